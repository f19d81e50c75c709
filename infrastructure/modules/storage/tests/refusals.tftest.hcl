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
  namespace  = "dev_alice"
}

run "refuses_a_name_in_capitals" {
  command = plan

  variables {
    name = "Dev"
  }

  expect_failures = [var.name]
}

run "refuses_an_account_that_is_none" {
  command = plan

  variables {
    account_id = "12345678901"
  }

  expect_failures = [var.account_id]
}

run "refuses_an_unknown_catalog" {
  command = plan

  variables {
    catalog = "hive"
  }

  expect_failures = [var.catalog]
}

run "refuses_a_namespace_with_a_hyphen" {
  command = plan

  variables {
    namespace = "dev-alice"
  }

  expect_failures = [var.namespace]
}

run "refuses_a_namespace_that_s3_tables_keeps" {
  command = plan

  variables {
    namespace = "aws_events"
    catalog   = "s3tables"
  }

  expect_failures = [var.namespace]
}

run "refuses_a_rest_catalog_that_is_not_described" {
  command = plan

  variables {
    catalog = "rest"
  }

  expect_failures = [var.rest]
}

run "refuses_the_description_of_a_catalog_that_is_not_used" {
  command = plan

  variables {
    rest = { uri = "https://catalog.example.com" }
  }

  expect_failures = [var.rest]
}

run "refuses_a_uri_that_is_none" {
  command = plan

  variables {
    catalog = "rest"
    rest    = { uri = "catalog.example.com" }
  }

  expect_failures = [var.rest]
}

run "refuses_an_unknown_kind_of_authentication" {
  command = plan

  variables {
    catalog = "rest"
    rest    = { uri = "https://catalog.example.com", auth = "basic" }
  }

  expect_failures = [var.rest]
}

run "refuses_a_token_uri_without_oauth2" {
  command = plan

  variables {
    catalog = "rest"
    rest    = { uri = "https://catalog.example.com", oauth2_uri = "https://login.example.com" }
  }

  expect_failures = [var.rest]
}

run "refuses_a_scope_without_oauth2" {
  command = plan

  variables {
    catalog = "rest"
    rest    = { uri = "https://catalog.example.com", auth = "bearer", scope = "catalog" }
  }

  expect_failures = [var.rest]
}

run "refuses_a_secret_that_nobody_asks_for" {
  command = plan

  variables {
    catalog = "rest"
    rest    = { uri = "https://catalog.example.com", credential_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:catalog-a1b2c3" }
  }

  expect_failures = [var.rest]
}

run "refuses_a_prefix_with_a_slash_behind" {
  command = plan

  variables {
    prefix = "teams/"
  }

  expect_failures = [var.prefix]
}

run "refuses_to_keep_removed_objects_for_no_time" {
  command = plan

  variables {
    noncurrent_days = 0
  }

  expect_failures = [var.noncurrent_days]
}

run "refuses_half_a_day_of_quarantine" {
  command = plan

  variables {
    quarantine_days = 0.5
  }

  expect_failures = [var.quarantine_days]
}

run "refuses_a_quarantine_of_negative_days" {
  command = plan

  variables {
    quarantine_days = -1
  }

  expect_failures = [var.quarantine_days]
}

run "refuses_to_keep_unfinished_uploads_for_no_time" {
  command = plan

  variables {
    multipart_days = 0
  }

  expect_failures = [var.multipart_days]
}

run "refuses_to_remove_files_whose_receipts_may_still_come" {
  command = plan

  variables {
    unreferenced_days = 14
  }

  expect_failures = [var.unreferenced_days]
}

run "refuses_the_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "alias/calve"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_to_empty_a_protected_bucket" {
  command = plan

  variables {
    force_destroy = true
    protected     = true
  }

  expect_failures = [var.force_destroy]
}
