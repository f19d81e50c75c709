# What all units share: where their states are, how they reach AWS, and that it is the right account. Terragrunt 1.x with
# Terraform 1.10 or newer:
#
#   cd infrastructure/environments/int && terragrunt run --all plan
#   cd infrastructure/environments/dev && CALVE_DEVELOPER=alice terragrunt run --all apply
#
# An environment is deployed by these units or by scripts/deploy.sh, not by both: their states differ.

locals {
  common = read_terragrunt_config("${dirname(find_in_parent_folders("root.hcl"))}/values.hcl").locals

  account_id = local.common.values.account_id
  region     = local.common.values.region
}

remote_state {
  backend = "s3"

  generate = {
    path      = "backend.tf"
    if_exists = "overwrite_terragrunt"
  }

  config = merge(
    {
      bucket              = "calve-tfstate-${local.account_id}-${local.region}"
      key                 = "units/${local.common.name}/${local.common.unit}/terraform.tfstate"
      region              = local.region
      encrypt             = true
      use_lockfile        = true
      allowed_account_ids = [local.account_id]
    },
    { for option in ["use_path_style", "skip_metadata_api_check"] : option => true if local.common.emulator },
  )
}

generate "provider" {
  path      = "provider.tf"
  if_exists = "overwrite_terragrunt"
  contents  = <<-EOT
    provider "aws" {
      region              = "${local.region}"
      allowed_account_ids = ["${local.account_id}"]

      s3_use_path_style       = ${local.common.emulator}
      skip_metadata_api_check = ${local.common.emulator}
      skip_region_validation  = ${local.common.emulator}

      default_tags {
        tags = ${jsonencode(local.common.tags)}
      }
    }
  EOT
}

terraform {
  # Said in words before anything is looked up: the provider refuses another account as well.
  before_hook "account" {
    commands = ["plan", "apply", "destroy", "import", "refresh"]
    execute  = ["${local.common.environments}/../../scripts/check_account.sh", local.account_id, local.common.environment]
  }
}
