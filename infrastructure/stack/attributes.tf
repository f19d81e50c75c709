# What values may say of each module. The rest of a module's variables is wired in main.tf. scripts/check_wiring.py holds
# both against the modules.
locals {
  attributes = {
    networking = [
      "enabled", "cidr", "n_zones", "zones", "interface_endpoints", "other_accounts", "nat", "nat_per_zone",
      "flow_log_retention_days",
    ]
    storage = [
      "catalog", "rest", "prefix", "noncurrent_days", "quarantine_days", "multipart_days", "unreferenced_days",
      "tls_only", "kms_key_arn", "force_destroy",
    ]
    queues = [
      "visibility_timeout_seconds", "receipt_visibility_timeout_seconds", "max_receives", "retention_seconds",
      "dead_letter_retention_seconds", "kinesis", "http_api", "http_api_auth",
      "http_api_requests_per_second", "http_api_log_retention_days", "redrive_allow", "tls_only",
    ]
    observability = [
      "log_retention_days", "kms_key_arn", "alarms", "alarm_email", "alarm_actions", "oldest_message_seconds",
      "freshness_seconds", "max_quarantined", "max_failures", "max_function_errors", "max_throttles",
    ]
    compute = [
      "architecture", "ingest", "commit", "mode", "extra_settings", "table", "function_url", "function_url_invokers",
      "log_level", "tracing", "stream_batch_size", "stream_window_seconds", "stream_maximum_retry_attempts",
      "stream_maximum_record_age_seconds", "stream_metrics",
    ]
    function = [
      "memory_mb", "timeout_seconds", "reserved_concurrency", "maximum_concurrency", "batch_size", "window_seconds",
    ]
  }
}
