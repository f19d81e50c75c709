# The lake bucket: quarantine, large receipts, and with Glue the tables. It exists with every catalog.

locals {
  bucket    = "calve-${var.name}-lake-${var.account_id}"
  prefix    = coalesce(var.prefix, var.namespace)
  warehouse = "s3://${local.bucket}/${local.prefix}"

  # Beside `quarantine` and `receipts`, so that no name of a table is one of theirs and no lifecycle reaches its files.
  tables = "${local.warehouse}/tables"
  ledger = "${local.warehouse}/ledger"

  region     = data.aws_region.current.name
  partition  = data.aws_partition.current.partition
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
}

data "aws_region" "current" {}

data "aws_partition" "current" {}

#trivy:ignore:AVD-AWS-0089 Who reads and writes objects is told by CloudTrail, for the whole account.
resource "aws_s3_bucket" "lake" {
  #checkov:skip=CKV_AWS_18:Who reads and writes objects is told by CloudTrail, for the whole account.
  #checkov:skip=CKV_AWS_144:A copy in another region is for those to add who have one; the tables can be copied only as a whole.
  #checkov:skip=CKV_AWS_145:Encrypted with keys of S3 unless kms_key_arn names one, which each request would be paid for.
  #checkov:skip=CKV2_AWS_62:Nobody waits for objects of the lake; snapshots tell of them.
  bucket        = local.bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_ownership_controls" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket = aws_s3_bucket.lake.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# No rule removes a current object but those of the quarantine: data files live until a snapshot that names them expires.
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.multipart_days
    }
  }

  rule {
    id     = "removed-objects"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = var.quarantine_days > 0 ? [var.quarantine_days] : []

    content {
      id     = "quarantine"
      status = "Enabled"

      filter {
        prefix = "${local.prefix}/quarantine/"
      }

      expiration {
        days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.lake]
}

locals {
  bucket_denials = concat(
    var.tls_only ? [{
      Sid       = "DenyWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }] : [],
    var.protected ? [{
      Sid       = "DenyDeletingTheLake"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:DeleteBucket"
      Resource  = [local.bucket_arn]
    }] : [],
  )
}

resource "aws_s3_bucket_policy" "lake" {
  count = length(local.bucket_denials) > 0 ? 1 : 0

  bucket = aws_s3_bucket.lake.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_denials })

  depends_on = [aws_s3_bucket_public_access_block.lake] # S3 takes one change of these at a time.
}
