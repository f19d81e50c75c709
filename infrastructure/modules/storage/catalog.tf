locals {
  table_bucket     = "calve-${var.name}-tables"
  table_bucket_arn = "arn:${local.partition}:s3tables:${local.region}:${var.account_id}:bucket/${local.table_bucket}"
}

resource "aws_glue_catalog_database" "this" {
  count = var.catalog == "glue" ? 1 : 0

  name         = var.namespace
  catalog_id   = var.account_id
  description  = "Tables of calve-${var.name}"
  location_uri = local.tables

  depends_on = [aws_s3_bucket.lake]
}

resource "aws_s3tables_table_bucket" "this" {
  count = var.catalog == "s3tables" ? 1 : 0

  name = local.table_bucket

  encryption_configuration = {
    sse_algorithm = var.kms_key_arn == null ? "AES256" : "aws:kms"
    kms_key_arn   = var.kms_key_arn
  }

  # The service's own 3 days would remove files of receipts that still wait for their commit.
  maintenance_configuration = {
    iceberg_unreferenced_file_removal = {
      status = "enabled"
      settings = {
        unreferenced_days = var.unreferenced_days
        non_current_days  = var.noncurrent_days
      }
    }
  }
}

resource "aws_s3tables_namespace" "this" {
  count = var.catalog == "s3tables" ? 1 : 0

  namespace        = var.namespace
  table_bucket_arn = aws_s3tables_table_bucket.this[0].arn
}

data "aws_secretsmanager_secret_version" "rest" {
  count = try(var.rest.credential_secret_arn, null) == null ? 0 : 1

  secret_id = var.rest.credential_secret_arn
}
