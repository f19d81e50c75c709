locals {
  name      = var.developer == null ? var.environment : "${var.environment}-${var.developer}"
  namespace = replace(local.name, "-", "_")

  # What the functions take for it when nobody says.
  receipt_horizon_days = merge({ CALVE_RECEIPT_HORIZON_DAYS = 14 }, lookup(var.compute, "extra_settings", {})).CALVE_RECEIPT_HORIZON_DAYS

  architecture = coalesce(lookup(var.compute, "architecture", null), "arm64")
  packages     = coalesce(var.packages, "${path.root}/../../target/lambda/${local.architecture}")
  ingest       = merge({ timeout_seconds = 60, window_seconds = 1 }, lookup(var.compute, "ingest", {}))
  commit       = merge({ timeout_seconds = 60, window_seconds = 2 }, lookup(var.compute, "commit", {}))
  timings = {
    ingest = { timeout_seconds = local.ingest.timeout_seconds, window_seconds = local.ingest.window_seconds }
    commit = { timeout_seconds = local.commit.timeout_seconds, window_seconds = local.commit.window_seconds }
  }
}

module "networking" {
  source = "../modules/networking"

  name    = local.name
  enabled = lookup(var.networking, "enabled", null)
  cidr    = lookup(var.networking, "cidr", null)
  n_zones = lookup(var.networking, "n_zones", null)
  zones   = lookup(var.networking, "zones", null)
  interface_endpoints = concat(
    lookup(var.networking, "interface_endpoints", ["sqs"]),
    module.storage.catalog_endpoint_services,
  )
  other_accounts          = lookup(var.networking, "other_accounts", null)
  nat                     = lookup(var.networking, "nat", null)
  nat_per_zone            = lookup(var.networking, "nat_per_zone", null)
  flow_log_retention_days = lookup(var.networking, "flow_log_retention_days", null)
}

module "storage" {
  source = "../modules/storage"

  name              = local.name
  account_id        = var.account_id
  namespace         = local.namespace
  catalog           = lookup(var.storage, "catalog", null)
  rest              = lookup(var.storage, "rest", null)
  prefix            = lookup(var.storage, "prefix", null)
  noncurrent_days   = lookup(var.storage, "noncurrent_days", null)
  quarantine_days   = lookup(var.storage, "quarantine_days", null)
  multipart_days    = lookup(var.storage, "multipart_days", null)
  unreferenced_days = lookup(var.storage, "unreferenced_days", null)
  tls_only          = lookup(var.storage, "tls_only", null)
  kms_key_arn       = lookup(var.storage, "kms_key_arn", null)
  protected         = var.protected
  force_destroy     = lookup(var.storage, "force_destroy", null)
}

module "queues" {
  source = "../modules/queues"

  name       = local.name
  account_id = var.account_id
  # The queues hide a message for as long as these make necessary.
  ingest                             = local.timings.ingest
  commit                             = local.timings.commit
  visibility_timeout_seconds         = lookup(var.queues, "visibility_timeout_seconds", null)
  receipt_visibility_timeout_seconds = lookup(var.queues, "receipt_visibility_timeout_seconds", null)
  receipt_horizon_days               = local.receipt_horizon_days
  max_receives                       = lookup(var.queues, "max_receives", null)
  retention_seconds                  = lookup(var.queues, "retention_seconds", null)
  dead_letter_retention_seconds      = lookup(var.queues, "dead_letter_retention_seconds", null)
  kinesis                            = lookup(var.queues, "kinesis", null)
  http_api                           = lookup(var.queues, "http_api", null)
  http_api_auth                      = lookup(var.queues, "http_api_auth", null)
  http_api_requests_per_second       = lookup(var.queues, "http_api_requests_per_second", null)
  http_api_log_retention_days        = lookup(var.queues, "http_api_log_retention_days", null)
  source_bucket_arns                 = var.source_bucket_arns
  redrive_allow                      = lookup(var.queues, "redrive_allow", null)
  tls_only                           = lookup(var.queues, "tls_only", null)
  protected                          = var.protected
}

module "observability" {
  source = "../modules/observability"

  name      = local.name
  namespace = local.namespace
  queue_names = {
    events                = module.queues.events_queue.name
    receipts              = module.queues.receipts_queue.name
    events_dead_letters   = module.queues.events_dead_letters.name
    receipts_dead_letters = module.queues.receipts_dead_letters.name
  }
  stream_name            = try(module.queues.stream.name, null)
  log_retention_days     = lookup(var.observability, "log_retention_days", null)
  kms_key_arn            = lookup(var.observability, "kms_key_arn", null)
  alarms                 = lookup(var.observability, "alarms", null)
  alarm_email            = lookup(var.observability, "alarm_email", null)
  alarm_actions          = lookup(var.observability, "alarm_actions", null)
  oldest_message_seconds = lookup(var.observability, "oldest_message_seconds", null)
  freshness_seconds      = lookup(var.observability, "freshness_seconds", null)
  max_quarantined        = lookup(var.observability, "max_quarantined", null)
  max_failures           = lookup(var.observability, "max_failures", null)
  max_function_errors    = lookup(var.observability, "max_function_errors", null)
  max_throttles          = lookup(var.observability, "max_throttles", null)
}

module "compute" {
  source = "../modules/compute"

  name                              = local.name
  account_id                        = var.account_id
  architecture                      = local.architecture
  ingest                            = merge(local.ingest, { zip = "${local.packages}/ingest.zip" })
  commit                            = merge(local.commit, { zip = "${local.packages}/commit.zip" })
  mode                              = lookup(var.compute, "mode", null)
  settings                          = module.storage.settings
  secret_settings                   = module.storage.secret_settings
  extra_settings                    = lookup(var.compute, "extra_settings", null)
  policy_json                       = module.storage.policy_json
  namespace                         = local.namespace
  table                             = lookup(var.compute, "table", null)
  subnet_ids                        = module.networking.subnet_ids
  security_group_ids                = module.networking.security_group_ids
  events_queue                      = module.queues.events_queue
  receipts_queue                    = module.queues.receipts_queue
  stream                            = module.queues.stream
  stream_failures_bucket_arn        = module.storage.lake_bucket_arn
  stream_batch_size                 = lookup(var.compute, "stream_batch_size", null)
  stream_window_seconds             = lookup(var.compute, "stream_window_seconds", null)
  stream_maximum_retry_attempts     = lookup(var.compute, "stream_maximum_retry_attempts", null)
  stream_maximum_record_age_seconds = lookup(var.compute, "stream_maximum_record_age_seconds", null)
  stream_metrics                    = lookup(var.compute, "stream_metrics", null)
  alarm_actions                     = module.observability.alarm_actions
  source_bucket_arns                = var.source_bucket_arns
  function_url                      = lookup(var.compute, "function_url", null)
  function_url_invokers             = lookup(var.compute, "function_url_invokers", null)
  log_group_names                   = module.observability.log_group_names
  log_group_arns                    = module.observability.log_group_arns
  log_level                         = lookup(var.compute, "log_level", null)
  tracing                           = lookup(var.compute, "tracing", null)
}
