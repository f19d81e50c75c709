locals {
  prefix = "calve-${var.name}"

  # Each value by itself is a secret, and not the map: a plan still shows all other settings.
  secrets = { for setting in nonsensitive(keys(var.secret_settings)) : setting => var.secret_settings[setting] }

  environment = merge(var.settings, local.secrets, var.extra_settings, {
    CALVE_MODE              = var.mode
    CALVE_RECEIPT_QUEUE_URL = var.receipts_queue.url
    CALVE_TABLE_NAME        = "${var.namespace}.${var.table}"
    CALVE_LOG_LEVEL         = var.log_level
    }, length(var.source_bucket_arns) == 0 ? {} : {
    CALVE_SOURCE_BUCKETS = join(",", [for arn in var.source_bucket_arns : element(split(":::", arn), 1)])
  })
}

module "ingest" {
  source = "./function"

  name                 = "${local.prefix}-ingest"
  description          = "JSON events into data files of an Iceberg table."
  account_id           = var.account_id
  zip                  = var.ingest.zip
  architecture         = var.architecture
  memory_mb            = var.ingest.memory_mb
  timeout_seconds      = var.ingest.timeout_seconds
  reserved_concurrency = var.ingest.reserved_concurrency
  environment          = local.environment
  policies             = { lake = var.policy_json, sources = local.ingest_policy }
  log_group_name       = var.log_group_names.ingest
  log_group_arn        = var.log_group_arns.ingest
  tracing              = var.tracing
  subnet_ids           = var.subnet_ids
  security_group_ids   = var.security_group_ids
}

module "commit" {
  source = "./function"

  name                 = "${local.prefix}-commit"
  description          = "Receipts of data files into snapshots of their tables."
  account_id           = var.account_id
  zip                  = var.commit.zip
  architecture         = var.architecture
  memory_mb            = var.commit.memory_mb
  timeout_seconds      = var.commit.timeout_seconds
  reserved_concurrency = var.commit.reserved_concurrency
  environment          = local.environment
  policies             = { lake = var.policy_json, sources = local.commit_policy }
  log_group_name       = var.log_group_names.commit
  log_group_arn        = var.log_group_arns.commit
  tracing              = var.tracing
  subnet_ids           = var.subnet_ids
  security_group_ids   = var.security_group_ids
}
