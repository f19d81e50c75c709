# Lambda counts what is given up by the mapping's own id, so these alarms are here and not in observability, which is applied
# before the functions. They call what its alarms call.
locals {
  stream_alarms = {
    stream-given-up = {
      description = "Records of the stream were given up after their retries or their age. The lake bucket keeps them below `aws/lambda/`, for those who hand them to ingest again."
      metric_name = "OnFailureDestinationDeliveredEventCount"
    }
    stream-lost = {
      description = "Records of the stream were given up and could not be put into the lake bucket. The stream has them until its retention is over."
      metric_name = "DroppedEventCount"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "stream" {
  for_each = { for key, alarm in local.stream_alarms : key => alarm if var.stream != null && var.stream_metrics && var.alarm_actions != null }

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric_name
  dimensions          = { EventSourceMappingUUID = aws_lambda_event_source_mapping.stream[0].uuid }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
}
