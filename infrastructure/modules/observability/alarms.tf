resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic that is encrypted with the key of SNS; kms_key_arn gives one whose policy allows it. Alarms hold names and figures, no events
  count = var.alarms ? 1 : 0

  name              = "${local.prefix}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarms && var.alarm_email != null ? 1 : 0

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

# What each alarm looks at. A figure that is missing is `notBreaching` where nothing is written while nothing happens: no
# invocation, no failure, no message. (Of a stream Lambda's own age counts: it goes by what ingest has got, not by what was
# read ahead.)
locals {
  by_log = {
    events-quarantined = {
      description = "Events could not become rows. They are in the quarantine with their reasons: `calve quarantine list`."
      metric_name = "EventsQuarantined"
      statistic   = "Sum"
      threshold   = var.max_quarantined
    }
    receipts-quarantined = {
      description = "Receipts can never be committed. They are in the quarantine, their data files stay: `calve quarantine list`."
      metric_name = "ReceiptsQuarantined"
      statistic   = "Sum"
      threshold   = var.max_quarantined
    }
    payloads-not-landed = {
      description = "Payloads did not land and are delivered again. The log of ingest has the causes: `payload not landed`."
      metric_name = "PayloadsNotLanded"
      statistic   = "Sum"
      threshold   = var.max_failures
    }
    commits-failed = {
      description = "A table could not be committed to; its receipts are delivered again. The log of commit has the causes: `receipts not committed`."
      metric_name = "CommitsFailed"
      statistic   = "Sum"
      threshold   = var.max_failures
    }
    freshness = {
      description = "Receipts waited longer than ${var.freshness_seconds} s to become visible in their table."
      metric_name = "OldestReceipt"
      statistic   = "Maximum"
      threshold   = var.freshness_seconds * 1000
    }
  }

  by_dead_letters = {
    for key, queue in local.dead_letters : key => {
      description = "Messages were given up after too many receives. Mend the cause, then redrive `${queue}`."
      metric_name = "ApproximateNumberOfMessagesVisible"
      queue       = queue
      threshold   = 0
    }
  }
  by_age = {
    for key, queue in local.live_queues : "${key}-age" => {
      description = "The oldest message of `${queue}` waits longer than ${var.oldest_message_seconds} s."
      metric_name = "ApproximateAgeOfOldestMessage"
      queue       = queue
      threshold   = var.oldest_message_seconds
    }
  }

  by_errors = {
    for key, function in local.functions : "${key}-errors" => {
      description = "`${function}` failed as a whole: time-out, panic or memory. What it had is delivered again."
      metric_name = "Errors"
      function    = function
      threshold   = var.max_function_errors
    }
  }
  by_throttles = {
    for key, function in local.functions : "${key}-throttles" => {
      description = "Invocations of `${function}` were refused for want of concurrency, of its own or of the account."
      metric_name = "Throttles"
      function    = function
      threshold   = var.max_throttles
    }
  }

  by_stream = var.stream_name == null ? {} : {
    stream-age = {
      description = "The last record of a batch of `${var.stream_name}` was older than ${var.oldest_message_seconds} s when ingest got it. Records are given up after the age that the mapping allows."
      metric_name = "IteratorAge"
      dimensions  = { FunctionName = local.functions.ingest }
      threshold   = var.oldest_message_seconds * 1000
    }
  }

  alarms = merge(
    { for key, alarm in local.by_log : key => merge(alarm, { namespace = local.metric_namespace, dimensions = {}, period = 300, missing = "notBreaching" }) },
    { for key, alarm in merge(local.by_dead_letters, local.by_age) : key => merge(alarm, { namespace = "AWS/SQS", dimensions = { QueueName = alarm.queue }, statistic = "Maximum", period = 60, missing = "notBreaching" }) },
    { for key, alarm in merge(local.by_errors, local.by_throttles) : key => merge(alarm, { namespace = "AWS/Lambda", dimensions = { FunctionName = alarm.function }, statistic = "Sum", period = 300, missing = "notBreaching" }) },
    { for key, alarm in local.by_stream : key => merge(alarm, { namespace = "AWS/Lambda", statistic = "Maximum", period = 60, missing = "notBreaching" }) },
  )
  actions = concat(aws_sns_topic.alarms[*].arn, var.alarm_actions)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for key, alarm in local.alarms : key => alarm if var.alarms }

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric_name
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = local.actions
  ok_actions          = local.actions
}
