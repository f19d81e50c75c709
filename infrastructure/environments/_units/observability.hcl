# Logs, alarms and the dashboard.
locals {
  common = read_terragrunt_config("${dirname(find_in_parent_folders("root.hcl"))}/values.hcl").locals
}

terraform {
  source = "${dirname(find_in_parent_folders("root.hcl"))}/../modules//observability"
}

dependency "queues" {
  config_path = "${get_terragrunt_dir()}/../queues"

  # Before it is applied for the first time.
  mock_outputs_allowed_terraform_commands = ["init", "validate", "plan"]
  mock_outputs = {
    events_queue          = { url = "https://sqs.eu-central-1.amazonaws.com/000000000000/mock-events-queue", arn = "arn:aws:sqs:eu-central-1:000000000000:mock-events-queue", name = "mock-events-queue" }
    receipts_queue        = { url = "https://sqs.eu-central-1.amazonaws.com/000000000000/mock-receipts-queue", arn = "arn:aws:sqs:eu-central-1:000000000000:mock-receipts-queue", name = "mock-receipts-queue" }
    events_dead_letters   = { url = "https://sqs.eu-central-1.amazonaws.com/000000000000/mock-events-dead-letters", arn = "arn:aws:sqs:eu-central-1:000000000000:mock-events-dead-letters", name = "mock-events-dead-letters" }
    receipts_dead_letters = { url = "https://sqs.eu-central-1.amazonaws.com/000000000000/mock-receipts-dead-letters", arn = "arn:aws:sqs:eu-central-1:000000000000:mock-receipts-dead-letters", name = "mock-receipts-dead-letters" }
    stream                = null
  }
}

inputs = merge(local.common.observability, {
  name      = local.common.name
  namespace = local.common.namespace
  queue_names = {
    events                = dependency.queues.outputs.events_queue.name
    receipts              = dependency.queues.outputs.receipts_queue.name
    events_dead_letters   = dependency.queues.outputs.events_dead_letters.name
    receipts_dead_letters = dependency.queues.outputs.receipts_dead_letters.name
  }
  stream_name = try(dependency.queues.outputs.stream.name, null)
})
