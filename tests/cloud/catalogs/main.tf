# What tests/cloud/catalogs.py applies to MiniStack: the storage module with each catalog of AWS, and for each a role that
# may do what the module says its functions need.

terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  backend "local" {}
}

# It follows AWS_ENDPOINT_URL by itself.
provider "aws" {
  region                  = "us-east-1"
  s3_use_path_style       = true
  skip_metadata_api_check = true
  skip_region_validation  = true

  default_tags {
    tags = { project = "calve", environment = "catalogs" }
  }
}

data "aws_caller_identity" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
}

module "storage" {
  for_each = toset(["glue", "s3tables"])
  source   = "../../../infrastructure/modules/storage"

  name          = "catalogs-${each.key}"
  account_id    = local.account_id
  namespace     = "analytics"
  catalog       = each.key
  tls_only      = false
  force_destroy = true
}

resource "aws_iam_role" "function" {
  for_each = module.storage

  name = "calve-catalogs-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = "arn:aws:iam::${local.account_id}:root" }
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = module.storage

  name   = "storage"
  role   = aws_iam_role.function[each.key].name
  policy = jsonencode(merge(jsondecode(each.value.operator_policy_json), { Statement = concat(local.statements[each.key], local.added[each.key]) }))
}

# What MiniStack makes of table buckets.
locals {
  # It knows no condition key of S3 Tables, so that what asks for a namespace would be denied.
  statements = {
    for catalog, storage in module.storage : catalog => [
      for statement in jsondecode(storage.operator_policy_json).Statement : {
        for key, value in statement : key => value
        if key != "Condition" || try(keys(value.StringEquals), []) != ["s3tables:namespace"]
      }
    ]
  }

  # Their objects are those of a bucket of S3 of the same name. With AWS, s3tables:GetTableData and PutTableData decide.
  added = {
    glue = []
    s3tables = [{
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
      Resource = ["arn:aws:s3:::calve-catalogs-s3tables-tables", "arn:aws:s3:::calve-catalogs-s3tables-tables/*"]
    }]
  }
}

output "storage" {
  description = "All that the module puts out, for each catalog."
  value       = module.storage
  sensitive   = true
}

output "role_arns" {
  description = "Who may do what the functions may, for each catalog."
  value       = { for catalog, role in aws_iam_role.function : catalog => role.arn }
}
