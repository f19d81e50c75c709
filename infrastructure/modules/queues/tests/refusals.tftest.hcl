# What the module refuses, and by which of its variables.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
}

variables {
  name       = "dev-alice"
  account_id = "123456789012"
}

run "refuses_a_name_of_one_letter" {
  command = plan

  variables {
    name = "d"
  }

  expect_failures = [var.name]
}

run "refuses_an_account_that_is_none" {
  command = plan

  variables {
    account_id = "alice"
  }

  expect_failures = [var.account_id]
}

run "refuses_an_ingest_time_out_beyond_lambda" {
  command = plan

  variables {
    ingest = { timeout_seconds = 901 }
  }

  expect_failures = [var.ingest]
}

run "refuses_an_ingest_window_beyond_lambda" {
  command = plan

  variables {
    ingest = { window_seconds = 301 }
  }

  expect_failures = [var.ingest]
}

run "refuses_a_commit_time_out_of_nothing" {
  command = plan

  variables {
    commit = { timeout_seconds = 0 }
  }

  expect_failures = [var.commit]
}

run "refuses_a_negative_commit_window" {
  command = plan

  variables {
    commit = { window_seconds = -1 }
  }

  expect_failures = [var.commit]
}

run "refuses_to_show_events_while_they_are_worked_on" {
  command = plan

  variables {
    visibility_timeout_seconds = 360
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "refuses_to_hide_events_for_more_than_twelve_hours" {
  command = plan

  variables {
    visibility_timeout_seconds = 43201
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "refuses_to_show_receipts_while_they_are_worked_on" {
  command = plan

  variables {
    receipt_visibility_timeout_seconds = 361
  }

  expect_failures = [var.receipt_visibility_timeout_seconds]
}

run "refuses_to_hide_receipts_for_more_than_twelve_hours" {
  command = plan

  variables {
    receipt_visibility_timeout_seconds = 43201
  }

  expect_failures = [var.receipt_visibility_timeout_seconds]
}

run "refuses_dead_letters_at_the_first_fault" {
  command = plan

  variables {
    max_receives = 1
  }

  expect_failures = [var.max_receives]
}

run "refuses_a_retention_of_a_minute" {
  command = plan

  variables {
    retention_seconds = 60
  }

  expect_failures = [var.retention_seconds]
}

run "refuses_dead_letters_that_outlive_sqs" {
  command = plan

  variables {
    dead_letter_retention_seconds = 1209601
  }

  expect_failures = [var.dead_letter_retention_seconds]
}

run "refuses_dead_letters_that_end_with_their_messages" {
  command = plan

  variables {
    dead_letter_retention_seconds = 345600
  }

  expect_failures = [var.dead_letter_retention_seconds]
}

run "refuses_dead_letters_that_come_back_when_nobody_knows_them" {
  command = plan

  variables {
    receipt_horizon_days = 13
  }

  expect_failures = [var.dead_letter_retention_seconds]
}

run "refuses_a_stream_that_is_read_again_when_nobody_knows_it" {
  command = plan

  variables {
    kinesis = { retention_hours = 337 }
  }

  expect_failures = [var.kinesis]
}

run "refuses_a_horizon_of_half_a_day" {
  command = plan

  variables {
    receipt_horizon_days          = 0.5
    retention_seconds             = 3600
    dead_letter_retention_seconds = 7200
  }

  expect_failures = [var.receipt_horizon_days]
}

run "refuses_a_stream_without_shards" {
  command = plan

  variables {
    kinesis = { shards = 0 }
  }

  expect_failures = [var.kinesis]
}

run "refuses_a_stream_that_keeps_an_hour" {
  command = plan

  variables {
    kinesis = { retention_hours = 1 }
  }

  expect_failures = [var.kinesis]
}

run "refuses_an_unknown_kind_of_authentication" {
  command = plan

  variables {
    http_api_auth = "basic"
  }

  expect_failures = [var.http_api_auth]
}

run "refuses_an_http_api_that_takes_nothing" {
  command = plan

  variables {
    http_api_requests_per_second = 0
  }

  expect_failures = [var.http_api_requests_per_second]
}

run "refuses_a_retention_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    http_api_log_retention_days = 8
  }

  expect_failures = [var.http_api_log_retention_days]
}

run "refuses_names_for_arns_of_buckets" {
  command = plan

  variables {
    source_bucket_arns = ["clicks"]
  }

  expect_failures = [var.source_bucket_arns]
}
