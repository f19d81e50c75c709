resource "aws_lambda_event_source_mapping" "events" {
  event_source_arn                   = var.events_queue.arn
  function_name                      = module.ingest.arn
  batch_size                         = var.ingest.batch_size
  maximum_batching_window_in_seconds = var.ingest.window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  dynamic "scaling_config" {
    for_each = compact([var.ingest.maximum_concurrency])

    content {
      maximum_concurrency = scaling_config.value
    }
  }
}

resource "aws_lambda_event_source_mapping" "receipts" {
  event_source_arn                   = var.receipts_queue.arn
  function_name                      = module.commit.arn
  batch_size                         = var.commit.batch_size
  maximum_batching_window_in_seconds = var.commit.window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.commit.maximum_concurrency
  }
}

resource "aws_lambda_event_source_mapping" "stream" {
  count = var.stream == null ? 0 : 1

  event_source_arn                   = var.stream.arn
  function_name                      = module.ingest.arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.stream_batch_size
  maximum_batching_window_in_seconds = var.stream_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = var.stream_maximum_retry_attempts
  maximum_record_age_in_seconds      = var.stream_maximum_record_age_seconds

  # A shard's records are recognised by ranges of sequence numbers. With more than one, batches of a shard would overtake
  # each other and their ranges interleave.
  parallelization_factor = 1

  destination_config {
    on_failure {
      destination_arn = var.stream_failures_bucket_arn
    }
  }

  # What is given up is counted only when it is asked for.
  dynamic "metrics_config" {
    for_each = var.stream_metrics ? [true] : []

    content {
      metrics = ["EventCount"]
    }
  }
}
