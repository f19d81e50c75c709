# What is refused, and by which variable.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  repository  = "example/calve"
  environment = "prod"
  account_id  = "333333333333"
  region      = "eu-central-1"
}

run "all_repositories_of_an_owner_are_refused" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}

run "an_environment_that_no_name_can_hold_is_refused" {
  command = plan

  variables {
    environment = "prod:*"
  }

  expect_failures = [var.environment]
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
    developer   = "Alice"
  }

  expect_failures = [var.developer]
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

run "plans_for_everybody_are_refused" {
  command = plan

  variables {
    plan_for = "*"
  }

  expect_failures = [var.plan_for]
}

run "plans_of_prod_for_pull_requests_are_refused" {
  command = plan

  variables {
    plan_for = "pull_request"
  }

  expect_failures = [var.plan_for]
}

run "all_secrets_of_a_name_are_refused" {
  command = plan

  variables {
    secret_arns = ["arn:aws:secretsmanager:eu-central-1:333333333333:secret:catalog-*"]
  }

  expect_failures = [var.secret_arns]
}
