# Names are made here, and not taken from what they name: alarms and log groups exist before it does.
locals {
  prefix = "calve-${var.name}"

  functions = var.function_names != null ? var.function_names : {
    ingest = "${local.prefix}-ingest"
    commit = "${local.prefix}-commit"
  }

  queues = var.queue_names != null ? var.queue_names : {
    events                = "${local.prefix}-events"
    receipts              = "${local.prefix}-receipts"
    events_dead_letters   = "${local.prefix}-events-dead-letters"
    receipts_dead_letters = "${local.prefix}-receipts-dead-letters"
  }

  dead_letters = {
    "events-dead-letters"   = local.queues.events_dead_letters
    "receipts-dead-letters" = local.queues.receipts_dead_letters
  }
  live_queues = {
    events   = local.queues.events
    receipts = local.queues.receipts
  }
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; kms_key_arn gives one to those who want another
  #checkov:skip=CKV_AWS_338:How long logs are kept is log_retention_days; events are not in them
  for_each = local.functions

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# Figures of this deployment alone, from its own log lines. (The functions' embedded metrics are filed by table, for all
# deployments of an account.) Lines of embedded metrics have no `message`, so nothing is counted twice.
locals {
  metric_namespace = "Calve/${var.name}"

  log_metrics = {
    EventsQuarantined = {
      function = "ingest"
      pattern  = "{ $.message = \"payload landed in part\" && $.n_quarantined > 0 }"
      value    = "$.n_quarantined"
      unit     = "Count"
    }
    PayloadsNotLanded = {
      function = "ingest"
      pattern  = "{ $.message = \"payload not landed\" || $.message = \"events not landed in their table\" }"
      value    = "1"
      unit     = "Count"
    }
    ReceiptsQuarantined = {
      function = "commit"
      pattern  = "{ $.message = \"messages answered\" && $.n_quarantined > 0 }"
      value    = "$.n_quarantined"
      unit     = "Count"
    }
    CommitsFailed = {
      function = "commit"
      pattern  = "{ $.message = \"receipts not committed\" }"
      value    = "1"
      unit     = "Count"
    }
    OldestReceipt = {
      function = "commit"
      pattern  = "{ $.message = \"messages answered\" }"
      value    = "$.oldest_message_ms"
      unit     = "Milliseconds"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.log_metrics

  name           = "${local.prefix}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.function[each.value.function].name
  pattern        = each.value.pattern

  metric_transformation {
    name      = each.key
    namespace = local.metric_namespace
    value     = each.value.value
    unit      = each.value.unit
  }
}
