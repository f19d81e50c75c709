# What carries events and receipts.
locals {
  common = read_terragrunt_config("${dirname(find_in_parent_folders("root.hcl"))}/values.hcl").locals
}

terraform {
  source = "${dirname(find_in_parent_folders("root.hcl"))}/../modules//queues"
}

inputs = merge(local.common.queues, {
  name                 = local.common.name
  account_id           = local.common.values.account_id
  ingest               = local.common.timings.ingest
  commit               = local.common.timings.commit
  receipt_horizon_days = local.common.receipt_horizon_days
  source_bucket_arns   = local.common.source_bucket_arns
  protected            = local.common.protected
})
