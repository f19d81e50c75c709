# The network of the functions, or nothing.
locals {
  common = read_terragrunt_config("${dirname(find_in_parent_folders("root.hcl"))}/values.hcl").locals
}

terraform {
  source = "${dirname(find_in_parent_folders("root.hcl"))}/../modules//networking"
}

dependency "storage" {
  config_path = "${get_terragrunt_dir()}/../storage"

  # Before it is applied for the first time.
  mock_outputs_allowed_terraform_commands = ["init", "validate", "plan"]
  mock_outputs = {
    catalog_endpoint_services = ["glue"]
  }
}

inputs = merge(local.common.networking, {
  name = local.common.name
  interface_endpoints = concat(
    lookup(local.common.networking, "interface_endpoints", ["sqs"]),
    dependency.storage.outputs.catalog_endpoint_services,
  )
})
