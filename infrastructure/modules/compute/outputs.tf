output "function_names" {
  description = "Full names of the functions, by `ingest` and `commit`."
  value       = { ingest = module.ingest.name, commit = module.commit.name }
}

output "function_arns" {
  description = "ARNs of the functions, by `ingest` and `commit`."
  value       = { ingest = module.ingest.arn, commit = module.commit.arn }
}

output "alarm_names" {
  description = "Names of the stream's alarms, in alphabetic order."
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.stream : alarm.alarm_name])
}

output "function_url" {
  description = "Where events are posted to. Null: ingest has no URL."
  value       = one(aws_lambda_function_url.ingest[*].function_url)
}
