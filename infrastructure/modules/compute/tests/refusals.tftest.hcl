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

run "a_name_with_an_underscore_is_refused" {
  command = plan
  variables {
    name = "dev_alice"
  }
  expect_failures = [var.name]
}

run "an_account_of_eleven_digits_is_refused" {
  command = plan
  variables {
    account_id = "12345678901"
  }
  expect_failures = [var.account_id]
}

run "an_unknown_processor_is_refused" {
  command = plan
  variables {
    architecture = "riscv64"
  }
  expect_failures = [var.architecture]
}

run "an_empty_batch_of_events_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", batch_size = 0 }
  }
  expect_failures = [var.ingest]
}

run "a_batch_of_events_beyond_lambda_s_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", batch_size = 10001 }
  }
  expect_failures = [var.ingest]
}

run "a_window_of_events_beyond_lambda_s_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", window_seconds = 301 }
  }
  expect_failures = [var.ingest]
}

run "a_large_batch_of_events_without_a_window_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", batch_size = 11, window_seconds = 0 }
  }
  expect_failures = [var.ingest]
}

run "a_single_poller_of_events_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", maximum_concurrency = 1 }
  }
  expect_failures = [var.ingest]
}

run "too_many_pollers_of_events_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", maximum_concurrency = 1001 }
  }
  expect_failures = [var.ingest]
}

run "more_batches_of_events_than_are_reserved_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", maximum_concurrency = 5, reserved_concurrency = 4 }
  }
  expect_failures = [var.ingest]
}

run "an_ingest_that_never_runs_is_refused" {
  command = plan
  variables {
    ingest = { zip = "tests/zips/ingest.zip", reserved_concurrency = 0 }
  }
  expect_failures = [var.ingest]
}

run "an_empty_batch_of_receipts_is_refused" {
  command = plan
  variables {
    commit = { zip = "tests/zips/commit.zip", batch_size = 0 }
  }
  expect_failures = [var.commit]
}

run "a_batch_of_receipts_beyond_lambda_s_is_refused" {
  command = plan
  variables {
    commit = { zip = "tests/zips/commit.zip", batch_size = 10001 }
  }
  expect_failures = [var.commit]
}

run "a_window_of_receipts_beyond_lambda_s_is_refused" {
  command = plan
  variables {
    commit = { zip = "tests/zips/commit.zip", window_seconds = 301 }
  }
  expect_failures = [var.commit]
}

run "a_large_batch_of_receipts_without_a_window_is_refused" {
  command = plan
  variables {
    commit = { zip = "tests/zips/commit.zip", batch_size = 11, window_seconds = 0 }
  }
  expect_failures = [var.commit]
}

run "a_single_committer_is_refused" {
  command = plan
  variables {
    commit = { zip = "tests/zips/commit.zip", maximum_concurrency = 1 }
  }
  expect_failures = [var.commit]
}

run "too_many_committers_is_refused" {
  command = plan
  variables {
    commit = { zip = "tests/zips/commit.zip", maximum_concurrency = 1001 }
  }
  expect_failures = [var.commit]
}

run "more_committers_than_are_reserved_is_refused" {
  command = plan
  variables {
    commit = { zip = "tests/zips/commit.zip", reserved_concurrency = 1 }
  }
  expect_failures = [var.commit]
}

run "an_unknown_mode_is_refused" {
  command = plan
  variables {
    mode = "buffered"
  }
  expect_failures = [var.mode]
}

run "a_namespace_with_a_hyphen_is_refused" {
  command = plan
  variables {
    namespace = "dev-alice"
  }
  expect_failures = [var.namespace]
}

run "a_table_with_a_dot_is_refused" {
  command = plan
  variables {
    table = "other.events"
  }
  expect_failures = [var.table]
}

run "a_log_that_the_alarms_cannot_read_is_refused" {
  command = plan
  variables {
    log_level = "warn"
  }
  expect_failures = [var.log_level]
}

run "a_setting_that_has_a_variable_is_refused" {
  command = plan
  variables {
    extra_settings = { CALVE_MODE = "direct" }
  }
  expect_failures = [var.extra_settings]
}

run "a_setting_that_is_no_variable_of_an_environment_is_refused" {
  command = plan
  variables {
    extra_settings = { zstd_level = "3" }
  }
  expect_failures = [var.extra_settings]
}

run "a_source_that_is_no_bucket_is_refused" {
  command = plan
  variables {
    source_bucket_arns = ["arn:aws:s3:::uploads/*"]
  }
  expect_failures = [var.source_bucket_arns]
}

run "an_empty_batch_of_the_stream_is_refused" {
  command = plan
  variables {
    stream_batch_size = 0
  }
  expect_failures = [var.stream_batch_size]
}

run "a_batch_of_the_stream_beyond_lambda_s_is_refused" {
  command = plan
  variables {
    stream_batch_size = 10001
  }
  expect_failures = [var.stream_batch_size]
}

run "a_negative_window_of_the_stream_is_refused" {
  command = plan
  variables {
    stream_window_seconds = -1
  }
  expect_failures = [var.stream_window_seconds]
}

run "a_window_of_the_stream_beyond_lambda_s_is_refused" {
  command = plan
  variables {
    stream_window_seconds = 301
  }
  expect_failures = [var.stream_window_seconds]
}

run "trying_a_stream_again_for_ever_is_refused" {
  command = plan
  variables {
    stream_maximum_retry_attempts = -1
  }
  expect_failures = [var.stream_maximum_retry_attempts]
}

run "keeping_to_old_records_for_ever_is_refused" {
  command = plan
  variables {
    stream_maximum_record_age_seconds = -1
  }
  expect_failures = [var.stream_maximum_record_age_seconds]
}

run "failures_into_no_bucket_is_refused" {
  command = plan
  variables {
    stream_failures_bucket_arn = "calve-prod-lake"
  }
  expect_failures = [var.stream_failures_bucket_arn]
}

run "an_unknown_kind_of_url_is_refused" {
  command = plan
  variables {
    function_url = "open"
  }
  expect_failures = [var.function_url]
}

run "everybody_among_the_invokers_is_refused" {
  command = plan
  variables {
    function_url_invokers = ["*"]
  }
  expect_failures = [var.function_url_invokers]
}

run "a_group_without_subnets_is_refused" {
  command = plan
  variables {
    security_group_ids = ["sg-1"]
  }
  expect_failures = [var.security_group_ids]
}

run "a_missing_log_group_is_refused" {
  command = plan
  variables {
    log_group_names = { ingest = "a" }
  }
  expect_failures = [var.log_group_names]
}

run "a_missing_arn_of_a_log_group_is_refused" {
  command = plan
  variables {
    log_group_arns = { ingest = "a" }
  }
  expect_failures = [var.log_group_arns]
}

run "records_that_come_again_when_nobody_knows_them_are_refused" {
  command = plan
  variables {
    extra_settings                    = { CALVE_RECEIPT_HORIZON_DAYS = "1" }
    stream_maximum_record_age_seconds = 86401
  }
  expect_failures = [var.stream_maximum_record_age_seconds]
}

run "a_horizon_that_is_no_number_of_days_is_refused" {
  command = plan
  variables {
    extra_settings = { CALVE_RECEIPT_HORIZON_DAYS = "two weeks" }
  }
  expect_failures = [var.extra_settings]
}

run "a_stream_without_a_place_for_what_is_given_up_is_refused" {
  command = plan
  variables {
    stream = { arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/calve-prod-events", name = "calve-prod-events" }
  }
  expect_failures = [var.stream_failures_bucket_arn]
}

run "invokers_of_a_public_url_are_refused" {
  command = plan
  variables {
    function_url          = "public"
    function_url_invokers = ["123456789012"]
  }
  expect_failures = [var.function_url_invokers]
}
