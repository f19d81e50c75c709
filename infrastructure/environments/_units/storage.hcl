# Lake bucket and catalog.
locals {
  common = read_terragrunt_config("${dirname(find_in_parent_folders("root.hcl"))}/values.hcl").locals
}

terraform {
  source = "${dirname(find_in_parent_folders("root.hcl"))}/../modules//storage"
}

inputs = merge(local.common.storage, {
  name       = local.common.name
  account_id = local.common.values.account_id
  namespace  = local.common.namespace
  protected  = local.common.protected
})
