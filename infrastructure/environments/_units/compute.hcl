# The functions.
locals {
  common = read_terragrunt_config("${dirname(find_in_parent_folders("root.hcl"))}/values.hcl").locals
}

terraform {
  source = "${dirname(find_in_parent_folders("root.hcl"))}/../modules//compute"
}

dependency "networking" {
  config_path = "${get_terragrunt_dir()}/../networking"

  # Before it is applied for the first time.
  mock_outputs_allowed_terraform_commands = ["init", "validate", "plan"]
  mock_outputs = {
    subnet_ids         = []
    security_group_ids = []
  }
}

dependency "storage" {
  config_path = "${get_terragrunt_dir()}/../storage"

  # Before it is applied for the first time.
  mock_outputs_allowed_terraform_commands = ["init", "validate", "plan"]
  mock_outputs = {
    lake_bucket_arn = "arn:aws:s3:::mock-lake"
    settings        = { CALVE_WAREHOUSE = "s3://mock-lake/mock" }
    secret_settings = {}
    policy_json     = jsonencode({ Version = "2012-10-17", Statement = [] })
  }
}

dependency "queues" {
  config_path = "${get_terragrunt_dir()}/../queues"

  # Before it is applied for the first time.
  mock_outputs_allowed_terraform_commands = ["init", "validate", "plan"]
  mock_outputs = {
    events_queue   = { url = "https://sqs.eu-central-1.amazonaws.com/000000000000/mock-events-queue", arn = "arn:aws:sqs:eu-central-1:000000000000:mock-events-queue", name = "mock-events-queue" }
    receipts_queue = { url = "https://sqs.eu-central-1.amazonaws.com/000000000000/mock-receipts-queue", arn = "arn:aws:sqs:eu-central-1:000000000000:mock-receipts-queue", name = "mock-receipts-queue" }
    stream         = null
  }
}

dependency "observability" {
  config_path = "${get_terragrunt_dir()}/../observability"

  # Before it is applied for the first time.
  mock_outputs_allowed_terraform_commands = ["init", "validate", "plan"]
  mock_outputs = {
    alarm_actions   = ["arn:aws:sns:eu-central-1:000000000000:mock-alarms"]
    log_group_names = { ingest = "/aws/lambda/mock-ingest", commit = "/aws/lambda/mock-commit" }
    log_group_arns  = { ingest = "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/mock-ingest", commit = "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/lambda/mock-commit" }
  }
}

inputs = merge(local.common.compute, {
  name                       = local.common.name
  account_id                 = local.common.values.account_id
  architecture               = local.common.architecture
  ingest                     = merge(local.common.ingest, { zip = "${local.common.packages}/ingest.zip" })
  commit                     = merge(local.common.commit, { zip = "${local.common.packages}/commit.zip" })
  settings                   = dependency.storage.outputs.settings
  secret_settings            = dependency.storage.outputs.secret_settings
  policy_json                = dependency.storage.outputs.policy_json
  namespace                  = local.common.namespace
  subnet_ids                 = dependency.networking.outputs.subnet_ids
  security_group_ids         = dependency.networking.outputs.security_group_ids
  events_queue               = dependency.queues.outputs.events_queue
  receipts_queue             = dependency.queues.outputs.receipts_queue
  stream                     = try(dependency.queues.outputs.stream, null)
  stream_failures_bucket_arn = dependency.storage.outputs.lake_bucket_arn
  source_bucket_arns         = local.common.source_bucket_arns
  alarm_actions              = try(dependency.observability.outputs.alarm_actions, null)
  log_group_names            = dependency.observability.outputs.log_group_names
  log_group_arns             = dependency.observability.outputs.log_group_arns
})
