output "name" {
  description = "What the middle of all names is."
  value       = local.name
}

output "region" {
  description = "AWS region of everything."
  value       = var.region
}

output "events_queue_url" {
  description = "The queue that events are sent to."
  value       = module.queues.events_queue.url
}

output "http_api_url" {
  description = "The HTTP API that puts its bodies into the events queue; null without."
  value       = module.queues.http_api_url
}

output "function_url" {
  description = "The URL of the ingest function; null without."
  value       = module.compute.function_url
}

output "function_url_auth" {
  description = "Who may call it: `none`, `iam` or `public`."
  value       = coalesce(lookup(var.compute, "function_url", null), "iam")
}

output "stream_name" {
  description = "The Kinesis stream that events are sent to; null without."
  value       = try(module.queues.stream.name, null)
}

output "queue_urls" {
  description = "URLs of all queues."
  value = {
    events                = module.queues.events_queue.url
    receipts              = module.queues.receipts_queue.url
    events_dead_letters   = module.queues.events_dead_letters.url
    receipts_dead_letters = module.queues.receipts_dead_letters.url
  }
}

output "function_names" {
  description = "Names of the functions."
  value       = module.compute.function_names
}

output "lake_bucket" {
  description = "The bucket of quarantine, receipts and, with Glue, the tables."
  value       = module.storage.lake_bucket
}

output "warehouse" {
  description = "Where in it: `s3://bucket/prefix`."
  value       = module.storage.warehouse
}

output "table" {
  description = "The table that events go to, as the catalog knows it."
  value       = "${local.namespace}.${coalesce(lookup(var.compute, "table", null), "events")}"
}

output "settings" {
  description = "The environment that makes the command `calve` read and write the same tables."
  value = merge(
    module.storage.settings,
    { CALVE_TABLE_NAME = "${local.namespace}.${coalesce(lookup(var.compute, "table", null), "events")}" },
  )
}

output "operator_policy_json" {
  description = "The IAM policy for those who use the command `calve` here."
  value       = module.storage.operator_policy_json
}

output "dashboard_name" {
  description = "The dashboard in CloudWatch."
  value       = module.observability.dashboard_name
}

output "topic_arn" {
  description = "The topic that alarms go to; null without."
  value       = module.observability.topic_arn
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = sort(concat(module.observability.alarm_names, module.compute.alarm_names))
}

output "first_command" {
  description = "The command that sends the first events."
  value       = "./scripts/run_mock_generator.sh --environment ${var.environment}${var.developer == null ? "" : " --developer ${var.developer}"} --seconds 10"
}
