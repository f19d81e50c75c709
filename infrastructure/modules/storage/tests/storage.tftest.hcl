mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_secretsmanager_secret_version" {
    defaults = { secret_string = "calve:open-sesame" }
  }

  mock_resource "aws_s3tables_table_bucket" {
    defaults = { arn = "arn:aws:s3tables:eu-west-1:123456789012:bucket/calve-dev-alice-tables" }
  }
}

variables {
  name       = "dev-alice"
  account_id = "123456789012"
  namespace  = "dev_alice"
}

run "glue_by_default" {
  assert {
    condition     = aws_s3_bucket.lake.bucket == "calve-dev-alice-lake-123456789012" && aws_s3_bucket.lake.force_destroy == false
    error_message = "the lake bucket is named by system and account, and kept while something is in it"
  }

  assert {
    condition     = output.warehouse == "s3://calve-dev-alice-lake-123456789012/dev_alice" && output.prefix == "dev_alice"
    error_message = "the warehouse lies below the namespace"
  }

  assert {
    condition     = aws_glue_catalog_database.this[0].name == "dev_alice" && aws_glue_catalog_database.this[0].location_uri == "s3://calve-dev-alice-lake-123456789012/dev_alice/tables"
    error_message = "tables of the database lie in the lake bucket, beside the quarantine"
  }

  assert {
    condition = output.settings == tomap({
      CALVE_WAREHOUSE              = "s3://calve-dev-alice-lake-123456789012/dev_alice"
      CALVE_CATALOG_URI            = "https://glue.eu-west-1.amazonaws.com/iceberg"
      CALVE_CATALOG_AUTH           = "sigv4"
      CALVE_CATALOG_SIGNING_NAME   = "glue"
      CALVE_CATALOG_SIGNING_REGION = "eu-west-1"
      CALVE_CATALOG_WAREHOUSE      = "123456789012"
    })
    error_message = "the functions reach Glue's REST endpoint with signatures"
  }

  assert {
    condition     = output.catalog_endpoint_services == ["glue"] && length(output.secret_settings) == 0
    error_message = "a VPC needs the endpoint of Glue, and nothing is secret"
  }

  assert {
    condition     = length(aws_s3tables_table_bucket.this) + length(terraform_data.protected) == 0
    error_message = "no table bucket, and no protection that was not asked for"
  }
}

run "the_lake_bucket_is_private_versioned_and_encrypted" {
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.lake.block_public_acls,
      aws_s3_bucket_public_access_block.lake.block_public_policy,
      aws_s3_bucket_public_access_block.lake.ignore_public_acls,
      aws_s3_bucket_public_access_block.lake.restrict_public_buckets,
    ])
    error_message = "nothing is public"
  }

  assert {
    condition     = aws_s3_bucket_versioning.lake.versioning_configuration[0].status == "Enabled"
    error_message = "removed objects can be brought back"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.lake.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "encrypted with keys of S3"
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.lake[0].policy).Statement : [statement.Effect, statement.Action, statement.Condition.Bool["aws:SecureTransport"]]] == [
      ["Deny", "s3:*", "false"]
    ]
    error_message = "requests without TLS are refused, and nothing else"
  }
}

run "no_lifecycle_reaches_live_files" {
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.lake.rule : rule.id] == ["unfinished-uploads", "removed-objects"]
    error_message = "the quarantine is kept unless said otherwise"
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.lake.rule : alltrue([for expiration in rule.expiration : expiration.days == null || expiration.days == 0])])
    error_message = "no rule removes a current object"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.lake.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7 && aws_s3_bucket_lifecycle_configuration.lake.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "unfinished uploads go after 7 days, removed objects after 30"
  }
}

run "the_quarantine_expires_alone" {
  variables {
    prefix          = "teams/alice"
    quarantine_days = 60
    noncurrent_days = 3
    multipart_days  = 1
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.lake.rule[2].filter[0].prefix == "teams/alice/quarantine/" && aws_s3_bucket_lifecycle_configuration.lake.rule[2].expiration[0].days == 60
    error_message = "only objects of the quarantine expire"
  }

  assert {
    condition     = output.warehouse == "s3://calve-dev-alice-lake-123456789012/teams/alice" && aws_glue_catalog_database.this[0].location_uri == "s3://calve-dev-alice-lake-123456789012/teams/alice/tables"
    error_message = "everything lies below the prefix"
  }
}

run "policy_of_glue" {
  assert {
    condition = { for statement in jsondecode(output.policy_json).Statement : statement.Sid => flatten([statement.Action, statement.Resource]) } == {
      WriteObjects = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "arn:aws:s3:::calve-dev-alice-lake-123456789012/dev_alice/*"]
      ListLake     = ["s3:ListBucket", "arn:aws:s3:::calve-dev-alice-lake-123456789012"]
      ReadCatalog  = ["glue:GetCatalog", "arn:aws:glue:eu-west-1:123456789012:catalog"]
      CommitToTables = [
        "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:CreateTable", "glue:UpdateTable",
        "arn:aws:glue:eu-west-1:123456789012:catalog",
        "arn:aws:glue:eu-west-1:123456789012:database/dev_alice",
        "arn:aws:glue:eu-west-1:123456789012:table/dev_alice/*",
      ]
    }
    error_message = "objects below the prefix, tables of the database, and nothing else"
  }

  assert {
    condition = [for statement in jsondecode(output.operator_policy_json).Statement : flatten([statement.Action, statement.Resource])
      if !contains(jsondecode(output.policy_json).Statement[*].Sid, statement.Sid)
    ] == [["s3:DeleteObject", "arn:aws:s3:::calve-dev-alice-lake-123456789012/dev_alice/quarantine/*"]]
    error_message = "people may empty the quarantine besides"
  }
}

run "s3_tables" {
  variables {
    catalog = "s3tables"
  }

  assert {
    condition     = aws_s3tables_table_bucket.this[0].name == "calve-dev-alice-tables" && aws_s3tables_namespace.this[0].namespace == "dev_alice"
    error_message = "a table bucket with the namespace"
  }

  assert {
    condition     = aws_s3tables_table_bucket.this[0].encryption_configuration.sse_algorithm == "AES256"
    error_message = "encrypted with keys of S3"
  }

  assert {
    condition     = aws_s3tables_table_bucket.this[0].maintenance_configuration.iceberg_unreferenced_file_removal.settings.unreferenced_days == 90
    error_message = "files that wait for their commit outlive the horizon of receipts"
  }

  assert {
    condition = output.settings == tomap({
      CALVE_WAREHOUSE              = "s3://calve-dev-alice-lake-123456789012/dev_alice"
      CALVE_CATALOG_URI            = "https://s3tables.eu-west-1.amazonaws.com/iceberg"
      CALVE_CATALOG_AUTH           = "sigv4"
      CALVE_CATALOG_SIGNING_NAME   = "s3tables"
      CALVE_CATALOG_SIGNING_REGION = "eu-west-1"
      CALVE_CATALOG_WAREHOUSE      = "arn:aws:s3tables:eu-west-1:123456789012:bucket/calve-dev-alice-tables"
      CALVE_TABLE_LEDGER_PATH      = "s3://calve-dev-alice-lake-123456789012/dev_alice/ledger"
    })
    error_message = "the functions reach S3 Tables' REST endpoint, and keep the ledger in the lake bucket"
  }

  assert {
    condition     = output.catalog_endpoint_services == ["s3tables"] && length(aws_glue_catalog_database.this) == 0
    error_message = "a VPC needs the endpoint of S3 Tables, and Glue has no part in it"
  }

  assert {
    condition     = length(aws_s3_bucket.lake.bucket) > 0
    error_message = "the lake bucket is there with every catalog"
  }
}

run "policy_of_s3_tables" {
  variables {
    catalog = "s3tables"
  }

  assert {
    condition     = [for statement in jsondecode(output.policy_json).Statement : statement.Sid] == ["WriteObjects", "ListLake", "ReadTableBucket", "MakeTables", "CommitToTables"]
    error_message = "lake bucket, table bucket, tables"
  }

  assert {
    condition = [for statement in slice(jsondecode(output.policy_json).Statement, 2, 5) : [statement.Resource, try(statement.Condition.StringEquals["s3tables:namespace"], null)]] == [
      ["arn:aws:s3tables:eu-west-1:123456789012:bucket/calve-dev-alice-tables", null],
      ["arn:aws:s3tables:eu-west-1:123456789012:bucket/calve-dev-alice-tables", "dev_alice"],
      ["arn:aws:s3tables:eu-west-1:123456789012:bucket/calve-dev-alice-tables/table/*", "dev_alice"],
    ]
    error_message = "tables of the namespace alone"
  }

  assert {
    condition = flatten([for statement in slice(jsondecode(output.policy_json).Statement, 2, 5) : statement.Action]) == [
      "s3tables:GetTableBucket", "s3tables:ListNamespaces",
      "s3tables:GetNamespace", "s3tables:ListTables", "s3tables:CreateTable",
      "s3tables:GetTable", "s3tables:GetTableData", "s3tables:GetTableMetadataLocation", "s3tables:PutTableData", "s3tables:UpdateTableMetadataLocation",
    ]
    error_message = "what load, create and commit need, and nothing that drops"
  }
}

run "a_catalog_elsewhere" {
  variables {
    catalog = "rest"
    rest    = { uri = "https://catalog.example.com/iceberg" }
  }

  assert {
    condition = output.settings == tomap({
      CALVE_WAREHOUSE                  = "s3://calve-dev-alice-lake-123456789012/dev_alice"
      CALVE_CATALOG_URI                = "https://catalog.example.com/iceberg"
      CALVE_CATALOG_AUTH               = "none"
      CALVE_CATALOG_VENDED_CREDENTIALS = "false"
    })
    error_message = "what is not said is not set"
  }

  assert {
    condition     = [for statement in jsondecode(output.policy_json).Statement : statement.Sid] == ["WriteObjects", "ListLake"]
    error_message = "the lake bucket alone"
  }

  assert {
    condition     = length(output.catalog_endpoint_services) + length(aws_glue_catalog_database.this) + length(aws_s3tables_table_bucket.this) == 0
    error_message = "no catalog is made"
  }
}

run "a_catalog_with_credentials" {
  variables {
    catalog = "rest"
    rest = {
      uri                   = "http://127.0.0.1:8181"
      warehouse             = "s3://tables"
      auth                  = "oauth2"
      oauth2_uri            = "http://127.0.0.1:8181/v1/oauth/tokens"
      scope                 = "catalog"
      credential_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:catalog-a1b2c3"
      vended_credentials    = true
    }
  }

  assert {
    condition = output.settings == tomap({
      CALVE_WAREHOUSE                  = "s3://calve-dev-alice-lake-123456789012/dev_alice"
      CALVE_CATALOG_URI                = "http://127.0.0.1:8181"
      CALVE_CATALOG_AUTH               = "oauth2"
      CALVE_CATALOG_WAREHOUSE          = "s3://tables"
      CALVE_CATALOG_OAUTH2_URI         = "http://127.0.0.1:8181/v1/oauth/tokens"
      CALVE_CATALOG_SCOPE              = "catalog"
      CALVE_CATALOG_VENDED_CREDENTIALS = "true"
    })
    error_message = "every part of the catalog becomes a setting"
  }

  assert {
    condition     = output.secret_settings == { CALVE_CATALOG_CREDENTIAL = "calve:open-sesame" }
    error_message = "the credential comes out of the secret, apart from what may be shown"
  }
}

run "a_catalog_with_a_token" {
  variables {
    catalog = "rest"
    rest = {
      uri                   = "https://catalog.example.com"
      auth                  = "bearer"
      credential_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:catalog-a1b2c3"
    }
  }

  assert {
    condition     = keys(output.secret_settings) == ["CALVE_CATALOG_TOKEN"]
    error_message = "a bearer token is another setting than a credential"
  }
}

run "a_key_of_ones_own" {
  variables {
    catalog     = "s3tables"
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
  }

  assert {
    condition = alltrue([
      one(one(aws_s3_bucket_server_side_encryption_configuration.lake.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms",
      one(aws_s3_bucket_server_side_encryption_configuration.lake.rule).bucket_key_enabled,
      aws_s3tables_table_bucket.this[0].encryption_configuration.sse_algorithm == "aws:kms",
      aws_s3tables_table_bucket.this[0].encryption_configuration.kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/1234abcd",
    ])
    error_message = "both buckets are encrypted with it"
  }

  assert {
    condition     = [for statement in jsondecode(output.policy_json).Statement : statement.Resource if statement.Sid == "UseKey"] == ["arn:aws:kms:eu-west-1:123456789012:key/1234abcd"]
    error_message = "the functions may use it"
  }
}

run "without_tls_for_an_emulator" {
  variables {
    tls_only      = false
    force_destroy = true
  }

  assert {
    condition     = length(aws_s3_bucket_policy.lake) == 0 && aws_s3_bucket.lake.force_destroy
    error_message = "no policy, and a bucket that goes with what is in it"
  }
}

run "nulls_mean_the_defaults" {
  variables {
    catalog           = null
    rest              = null
    prefix            = null
    noncurrent_days   = null
    quarantine_days   = null
    multipart_days    = null
    unreferenced_days = null
    tls_only          = null
    kms_key_arn       = null
    protected         = null
    force_destroy     = null
  }

  assert {
    condition     = length(aws_glue_catalog_database.this) == 1 && length(aws_s3_bucket_policy.lake) == 1
    error_message = "null must mean the default"
  }
}

# What is protected can only be planned here: a test could not take it away again.
run "protection_watches_lake_and_database" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = keys(terraform_data.protected) == ["database", "lake"]
    error_message = "the lake bucket and the database are watched"
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.lake[0].policy).Statement : statement.Action] == ["s3:*", "s3:DeleteBucket"]
    error_message = "nobody deletes the bucket"
  }
}

run "protection_watches_the_table_bucket" {
  command = plan

  variables {
    protected = true
    catalog   = "s3tables"
    tls_only  = false
  }

  assert {
    condition     = keys(terraform_data.protected) == ["lake", "tables"]
    error_message = "the lake bucket and the table bucket are watched"
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.lake[0].policy).Statement : statement.Action] == ["s3:DeleteBucket"]
    error_message = "nobody deletes the bucket"
  }
}
