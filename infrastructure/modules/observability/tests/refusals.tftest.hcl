mock_provider "aws" {}

variables {
  name = "prod"
}

run "a_name_with_an_underscore_is_refused" {
  command = plan
  variables {
    name = "dev_alice"
  }
  expect_failures = [var.name]
}

run "functions_without_commit_is_refused" {
  command = plan
  variables {
    function_names = { ingest = "a-ingest" }
  }
  expect_failures = [var.function_names]
}

run "a_namespace_with_a_hyphen_is_refused" {
  command = plan
  variables {
    namespace = "dev-alice"
  }
  expect_failures = [var.namespace]
}

run "a_period_that_cloudwatch_does_not_know_is_refused" {
  command = plan
  variables {
    log_retention_days = 31
  }
  expect_failures = [var.log_retention_days]
}

run "a_key_by_its_alias_is_refused" {
  command = plan
  variables {
    kms_key_arn = "alias/logs"
  }
  expect_failures = [var.kms_key_arn]
}

run "an_address_without_a_host_is_refused" {
  command = plan
  variables {
    alarm_email = "ops"
  }
  expect_failures = [var.alarm_email]
}

run "an_action_that_is_no_arn_is_refused" {
  command = plan
  variables {
    alarm_actions = ["pager"]
  }
  expect_failures = [var.alarm_actions]
}

run "an_age_of_nothing_is_refused" {
  command = plan
  variables {
    oldest_message_seconds = 0
  }
  expect_failures = [var.oldest_message_seconds]
}

run "an_age_beyond_any_queue_is_refused" {
  command = plan
  variables {
    oldest_message_seconds = 1209601
  }
  expect_failures = [var.oldest_message_seconds]
}

run "a_freshness_of_nothing_is_refused" {
  command = plan
  variables {
    freshness_seconds = 0
  }
  expect_failures = [var.freshness_seconds]
}

run "a_freshness_beyond_any_queue_is_refused" {
  command = plan
  variables {
    freshness_seconds = 1209601
  }
  expect_failures = [var.freshness_seconds]
}

run "a_negative_count_of_quarantined_is_refused" {
  command = plan
  variables {
    max_quarantined = -1
  }
  expect_failures = [var.max_quarantined]
}

run "a_negative_count_of_failures_is_refused" {
  command = plan
  variables {
    max_failures = -1
  }
  expect_failures = [var.max_failures]
}

run "a_negative_count_of_errors_is_refused" {
  command = plan
  variables {
    max_function_errors = -1
  }
  expect_failures = [var.max_function_errors]
}

run "a_negative_count_of_throttles_is_refused" {
  command = plan
  variables {
    max_throttles = -1
  }
  expect_failures = [var.max_throttles]
}

run "an_address_without_alarms_is_refused" {
  command = plan
  variables {
    alarms      = false
    alarm_email = "ops@example.com"
  }
  expect_failures = [var.alarm_email]
}
