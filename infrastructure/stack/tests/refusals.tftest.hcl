# What the stack refuses, and by which of its variables.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  environment = "int"
  region      = "eu-central-1"
  account_id  = "222222222222"
  packages    = "../modules/compute/tests/zips"
}

run "defaults_are_enough" {
  command = plan

  assert {
    condition     = output.name == "int" && output.function_url_auth == "iam"
    error_message = "with defaults there must be a system"
  }
}

run "dev_without_a_developer_is_refused" {
  command = plan

  variables {
    environment = "dev"
  }

  expect_failures = [var.developer]
}

run "a_developer_that_no_name_can_hold_is_refused" {
  command = plan

  variables {
    environment = "dev"
    developer   = "Alice_B"
  }

  expect_failures = [var.developer]
}

run "an_environment_that_no_name_can_hold_is_refused" {
  command = plan

  variables {
    environment = "In-t"
  }

  expect_failures = [var.environment]
}

run "an_account_of_another_length_is_refused" {
  command = plan

  variables {
    account_id = "42"
  }

  expect_failures = [var.account_id]
}

run "a_region_that_is_none_is_refused" {
  command = plan

  variables {
    region = "frankfurt"
  }

  expect_failures = [var.region]
}

run "aws_china_is_refused" {
  command = plan

  variables {
    region = "cn-north-1"
  }

  expect_failures = [var.region]
}

run "unknown_attributes_of_networking_are_refused" {
  command = plan

  variables {
    networking = { enabeld = true }
  }

  expect_failures = [var.networking]
}

run "unknown_attributes_of_storage_are_refused" {
  command = plan

  variables {
    storage = { katalog = "glue" }
  }

  expect_failures = [var.storage]
}

run "unknown_attributes_of_queues_are_refused" {
  command = plan

  variables {
    queues = { max_recieves = 3 }
  }

  expect_failures = [var.queues]
}

run "unknown_attributes_of_observability_are_refused" {
  command = plan

  variables {
    observability = { alarm = false }
  }

  expect_failures = [var.observability]
}

run "unknown_attributes_of_compute_are_refused" {
  command = plan

  variables {
    compute = { arch = "arm64" }
  }

  expect_failures = [var.compute]
}

run "unknown_attributes_of_a_function_are_refused" {
  command = plan

  variables {
    compute = { commit = { memory = 512 } }
  }

  expect_failures = [var.compute]
}

run "values_that_are_no_object_are_refused" {
  command = plan

  variables {
    queues = "many"
  }

  expect_failures = [var.queues]
}

run "a_horizon_as_long_as_what_comes_again_is_taken" {
  command = plan

  variables {
    queues  = { kinesis = { retention_hours = 480 } }
    compute = { extra_settings = { CALVE_RECEIPT_HORIZON_DAYS = "20" } }
  }

  assert {
    condition     = local.receipt_horizon_days == "20"
    error_message = "the queues must be told the horizon of the functions"
  }
}
