mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/stand-in" }
  }
}

variables {
  name            = "calve-prod-ingest"
  description     = "Under test."
  account_id      = "123456789012"
  zip             = "../tests/zips/ingest.zip"
  memory_mb       = 1769
  timeout_seconds = 60
  log_group_name  = "/aws/lambda/calve-prod-ingest"
  log_group_arn   = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/calve-prod-ingest"
}

run "a_name_with_an_underscore_is_refused" {
  command = plan
  variables {
    name = "calve_ingest"
  }
  expect_failures = [var.name]
}

run "a_name_too_long_for_its_roles_is_refused" {
  command = plan
  variables {
    name = "calve-56789012345678901234567890123456789012345678901234-"
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

run "a_file_that_is_no_zip_is_refused" {
  command = plan
  variables {
    zip = "bootstrap"
  }
  expect_failures = [var.zip]
}

run "an_unknown_processor_is_refused" {
  command = plan
  variables {
    architecture = "riscv64"
  }
  expect_failures = [var.architecture]
}

run "too_little_memory_is_refused" {
  command = plan
  variables {
    memory_mb = 127
  }
  expect_failures = [var.memory_mb]
}

run "too_much_memory_is_refused" {
  command = plan
  variables {
    memory_mb = 10241
  }
  expect_failures = [var.memory_mb]
}

run "no_time_is_refused" {
  command = plan
  variables {
    timeout_seconds = 0
  }
  expect_failures = [var.timeout_seconds]
}

run "more_than_a_quarter_of_an_hour_is_refused" {
  command = plan
  variables {
    timeout_seconds = 901
  }
  expect_failures = [var.timeout_seconds]
}

run "a_concurrency_below_none_is_refused" {
  command = plan
  variables {
    reserved_concurrency = -2
  }
  expect_failures = [var.reserved_concurrency]
}

run "a_group_without_subnets_is_refused" {
  command = plan
  variables {
    security_group_ids = ["sg-1"]
  }
  expect_failures = [var.security_group_ids]
}

run "a_schedule_that_is_no_expression_is_refused" {
  command = plan
  variables {
    schedule = { expression = "hourly" }
  }
  expect_failures = [var.schedule]
}

run "a_schedule_whose_input_is_no_json_is_refused" {
  command = plan
  variables {
    schedule = { expression = "rate(1 hour)", input = "{" }
  }
  expect_failures = [var.schedule]
}
