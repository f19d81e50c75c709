output "log_group_names" {
  description = "Names of the functions' log groups, by the short names of the functions."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.name }
}

output "log_group_arns" {
  description = "ARNs of the functions' log groups, by the short names of the functions."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.arn }
}

output "topic_arn" {
  description = "ARN of the topic that alarms go to. Null: there are no alarms."
  value       = one(aws_sns_topic.alarms[*].arn)
}

output "alarm_actions" {
  description = "ARNs that alarms go to, for alarms elsewhere. Null: there are no alarms."
  value       = var.alarms ? local.actions : null
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarm_names" {
  description = "Names of the alarms, in alphabetic order."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}
