mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/stand-in" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:stand-in" }
  }
}

variables {
  name           = "prod"
  account_id     = "123456789012"
  namespace      = "prod"
  ingest         = { zip = "tests/zips/ingest.zip" }
  commit         = { zip = "tests/zips/commit.zip" }
  settings       = { CALVE_WAREHOUSE = "s3://lake/prod", CALVE_ZSTD_LEVEL = "1" }
  policy_json    = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  events_queue   = { url = "https://sqs/events", arn = "arn:aws:sqs:eu-west-1:123456789012:calve-prod-events", name = "calve-prod-events" }
  receipts_queue = { url = "https://sqs/receipts", arn = "arn:aws:sqs:eu-west-1:123456789012:calve-prod-receipts", name = "calve-prod-receipts" }
  log_group_names = {
    ingest = "/aws/lambda/calve-prod-ingest"
    commit = "/aws/lambda/calve-prod-commit"
  }
  log_group_arns = {
    ingest = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/calve-prod-ingest"
    commit = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/calve-prod-commit"
  }
}

run "both_functions_read_their_queues_in_windows_and_answer_for_each_message" {
  assert {
    condition = alltrue([
      for mapping in [aws_lambda_event_source_mapping.events, aws_lambda_event_source_mapping.receipts] :
      mapping.batch_size == 1000 && mapping.function_response_types == toset(["ReportBatchItemFailures"])
    ])
    error_message = "Messages must come in batches and be answered one by one."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.events.maximum_batching_window_in_seconds == 1 && aws_lambda_event_source_mapping.receipts.maximum_batching_window_in_seconds == 2
    error_message = "Windows must be 1 s for events and 2 s for receipts."
  }
  assert {
    condition     = length(aws_lambda_event_source_mapping.events.scaling_config) == 0 && aws_lambda_event_source_mapping.receipts.scaling_config[0].maximum_concurrency == 2
    error_message = "Ingest must scale as Lambda likes, commit to two."
  }
  assert {
    condition     = length(aws_lambda_event_source_mapping.stream) == 0 && output.function_names == { ingest = "calve-prod-ingest", commit = "calve-prod-commit" }
    error_message = "There must be two functions and no stream."
  }
}

run "functions_are_told_where_everything_is" {
  variables {
    extra_settings     = { CALVE_ZSTD_LEVEL = "3" }
    source_bucket_arns = ["arn:aws:s3:::uploads", "arn:aws:s3:::more.uploads"]
  }
  assert {
    condition = local.environment == {
      CALVE_WAREHOUSE         = "s3://lake/prod"
      CALVE_ZSTD_LEVEL        = "3"
      CALVE_MODE              = "staged"
      CALVE_RECEIPT_QUEUE_URL = "https://sqs/receipts"
      CALVE_TABLE_NAME        = "prod.events"
      CALVE_LOG_LEVEL         = "info"
      CALVE_SOURCE_BUCKETS    = "uploads,more.uploads"
    }
    error_message = "Settings must reach the functions, extra ones before those of the storage."
  }
  assert {
    condition = jsondecode(local.ingest_policy).Statement == [
      { Sid = "ReadEvents", Effect = "Allow", Action = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], Resource = "arn:aws:sqs:eu-west-1:123456789012:calve-prod-events" },
      { Sid = "SendReceipts", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = "arn:aws:sqs:eu-west-1:123456789012:calve-prod-receipts" },
      { Sid = "ReadSources", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion"], Resource = ["arn:aws:s3:::uploads/*", "arn:aws:s3:::more.uploads/*"] },
      { Sid = "ListSources", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::uploads", "arn:aws:s3:::more.uploads"] },
    ]
    error_message = "Ingest must read its queue and its source buckets, send receipts, and no more."
  }
  assert {
    condition = jsondecode(local.commit_policy).Statement == [
      { Sid = "ReadReceipts", Effect = "Allow", Action = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], Resource = "arn:aws:sqs:eu-west-1:123456789012:calve-prod-receipts" },
    ]
    error_message = "Commit must read its queue and no more."
  }
}

run "a_secret_reaches_the_functions_and_hides_itself_alone" {
  variables {
    secret_settings = { CALVE_CATALOG_TOKEN = "open-sesame" }
  }
  assert {
    condition     = nonsensitive(local.environment.CALVE_CATALOG_TOKEN) == "open-sesame"
    error_message = "The token must reach the functions."
  }
  assert {
    condition     = issensitive(local.environment.CALVE_CATALOG_TOKEN) && !issensitive(local.environment.CALVE_WAREHOUSE) && !issensitive(keys(local.environment))
    error_message = "A plan must hide the token, and show all other settings."
  }
}

run "in_direct_mode_no_receipts_are_sent_and_those_left_are_committed" {
  variables {
    mode = "direct"
  }
  assert {
    condition     = [for statement in jsondecode(local.ingest_policy).Statement : statement.Sid] == ["ReadEvents"] && local.environment.CALVE_MODE == "direct"
    error_message = "In direct mode ingest must not send receipts."
  }
  assert {
    condition     = output.function_names.commit == "calve-prod-commit"
    error_message = "Commit must be there for the receipts that are left."
  }
}

run "a_stream_is_read_in_order_and_keeps_what_is_given_up" {
  variables {
    stream                     = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/calve-prod-events", name = "calve-prod-events" }
    stream_failures_bucket_arn = "arn:aws:s3:::calve-prod-lake-123456789012"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream[0].parallelization_factor == 1 && aws_lambda_event_source_mapping.stream[0].starting_position == "TRIM_HORIZON"
    error_message = "A shard must be read from its beginning, by one."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream[0].maximum_retry_attempts == 1000 && aws_lambda_event_source_mapping.stream[0].maximum_record_age_in_seconds == 43200 && aws_lambda_event_source_mapping.stream[0].bisect_batch_on_function_error
    error_message = "Retries must be bounded in number and age, and batches cut in two."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream[0].destination_config[0].on_failure[0].destination_arn == "arn:aws:s3:::calve-prod-lake-123456789012"
    error_message = "What is given up must go to the bucket."
  }
  assert {
    condition = slice(jsondecode(local.ingest_policy).Statement, 2, 5) == [
      { Sid = "ReadStream", Effect = "Allow", Action = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"], Resource = "arn:aws:kinesis:eu-west-1:123456789012:stream/calve-prod-events" },
      { Sid = "KeepFailures", Effect = "Allow", Action = ["s3:PutObject"], Resource = "arn:aws:s3:::calve-prod-lake-123456789012/aws/lambda/*" },
      { Sid = "FindFailures", Effect = "Allow", Action = ["s3:ListBucket"], Resource = "arn:aws:s3:::calve-prod-lake-123456789012" },
    ]
    error_message = "Ingest must read this stream, and write what is given up to this bucket."
  }
}

run "records_that_are_given_up_ring" {
  variables {
    stream                     = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/calve-prod-events", name = "calve-prod-events" }
    stream_failures_bucket_arn = "arn:aws:s3:::calve-prod-lake-123456789012"
    alarm_actions              = ["arn:aws:sns:eu-west-1:123456789012:calve-prod-alarms"]
  }
  assert {
    condition     = aws_lambda_event_source_mapping.stream[0].metrics_config[0].metrics == toset(["EventCount"])
    error_message = "Lambda must be asked to count the events of the stream."
  }
  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.stream : key => alarm.metric_name } == {
      stream-given-up = "OnFailureDestinationDeliveredEventCount"
      stream-lost     = "DroppedEventCount"
    }
    error_message = "What is kept in the bucket and what is not must ring, each by itself."
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.stream :
      alarm.namespace == "AWS/Lambda" && alarm.dimensions == tomap({ EventSourceMappingUUID = aws_lambda_event_source_mapping.stream[0].uuid })
      && alarm.statistic == "Sum" && alarm.threshold == 0 && alarm.treat_missing_data == "notBreaching"
      && alarm.alarm_actions == toset(var.alarm_actions) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "One record of this mapping must ring where the other alarms do, and none must not."
  }
  assert {
    condition     = output.alarm_names == tolist(["calve-prod-stream-given-up", "calve-prod-stream-lost"])
    error_message = "The alarms must bear the name of the deployment."
  }
}

run "without_alarms_the_stream_has_none" {
  variables {
    stream                     = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/calve-prod-events", name = "calve-prod-events" }
    stream_failures_bucket_arn = "arn:aws:s3:::calve-prod-lake-123456789012"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.stream) == 0 && length(aws_lambda_event_source_mapping.stream[0].metrics_config) == 1
    error_message = "Without alarms of the others there must be none of the stream."
  }
}

run "for_an_emulator_the_stream_is_not_counted" {
  variables {
    stream                     = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/calve-prod-events", name = "calve-prod-events" }
    stream_failures_bucket_arn = "arn:aws:s3:::calve-prod-lake-123456789012"
    stream_metrics             = false
    alarm_actions              = ["arn:aws:sns:eu-west-1:123456789012:calve-prod-alarms"]
  }
  assert {
    condition     = length(aws_lambda_event_source_mapping.stream[0].metrics_config) == 0 && length(output.alarm_names) == 0
    error_message = "What is not counted must neither be asked for nor have an alarm."
  }
}

run "concurrency_and_windows_are_as_they_are_given" {
  variables {
    ingest = { zip = "tests/zips/ingest.zip", maximum_concurrency = 20, reserved_concurrency = 30, batch_size = 10, window_seconds = 0 }
    commit = { zip = "tests/zips/commit.zip", maximum_concurrency = 4, batch_size = 100, window_seconds = 60 }
  }
  assert {
    condition     = aws_lambda_event_source_mapping.events.scaling_config[0].maximum_concurrency == 20 && aws_lambda_event_source_mapping.events.batch_size == 10 && aws_lambda_event_source_mapping.receipts.maximum_batching_window_in_seconds == 60
    error_message = "Batches must be as they were asked for."
  }
}

run "the_url_wants_signed_requests_and_names_nobody" {
  assert {
    condition     = aws_lambda_function_url.ingest[0].authorization_type == "AWS_IAM" && length(aws_lambda_permission.url) == 0 && length(aws_cloudformation_stack.url) == 0
    error_message = "By default the URL must want signatures, and no principal be named."
  }
}

run "a_named_invoker_may_call_the_url_and_only_the_url" {
  variables {
    function_url_invokers = ["arn:aws:iam::123456789012:role/shop"]
  }
  assert {
    condition     = [for permission in aws_lambda_permission.url : "${permission.action} ${permission.principal} ${permission.function_url_auth_type}"] == ["lambda:InvokeFunctionUrl arn:aws:iam::123456789012:role/shop AWS_IAM"]
    error_message = "The invoker must be allowed to call the URL."
  }
  assert {
    condition = [for resource in values(jsondecode(aws_cloudformation_stack.url[0].template_body).Resources) : resource.Properties] == [
      { Action = "lambda:InvokeFunction", FunctionName = "calve-prod-ingest", Principal = "arn:aws:iam::123456789012:role/shop", InvokedViaFunctionUrl = true },
    ]
    error_message = "The invoker must be allowed to invoke the function by its URL alone."
  }
}

run "a_public_url_has_to_be_asked_for" {
  variables {
    function_url = "public"
  }
  assert {
    condition     = aws_lambda_function_url.ingest[0].authorization_type == "NONE" && [for permission in aws_lambda_permission.url : "${permission.action} ${permission.principal} ${permission.function_url_auth_type}"] == ["lambda:InvokeFunctionUrl * NONE"]
    error_message = "A public URL must want no signatures, and everybody may call it."
  }
  assert {
    condition = [for resource in values(jsondecode(aws_cloudformation_stack.url[0].template_body).Resources) : resource.Properties] == [
      { Action = "lambda:InvokeFunction", FunctionName = "calve-prod-ingest", Principal = "*", InvokedViaFunctionUrl = true },
    ]
    error_message = "Everybody must be allowed to invoke the function by its URL alone."
  }
}

run "without_a_url_there_is_none" {
  variables {
    function_url = "none"
  }
  assert {
    condition     = output.function_url == null && length(aws_lambda_function_url.ingest) == 0
    error_message = "There must be no URL."
  }
}
