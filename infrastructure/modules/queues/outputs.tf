output "events_queue" {
  description = "The queue of events: `url`, `arn`, `name`."
  value       = { url = aws_sqs_queue.this["events"].id, arn = aws_sqs_queue.this["events"].arn, name = aws_sqs_queue.this["events"].name }
}

output "receipts_queue" {
  description = "The queue of receipts: `url`, `arn`, `name`."
  value       = { url = aws_sqs_queue.this["receipts"].id, arn = aws_sqs_queue.this["receipts"].arn, name = aws_sqs_queue.this["receipts"].name }
}

output "events_dead_letters" {
  description = "The dead letters of the events queue: `url`, `arn`, `name`."
  value       = { url = aws_sqs_queue.dead_letters["events"].id, arn = aws_sqs_queue.dead_letters["events"].arn, name = aws_sqs_queue.dead_letters["events"].name }
}

output "receipts_dead_letters" {
  description = "The dead letters of the receipts queue: `url`, `arn`, `name`."
  value       = { url = aws_sqs_queue.dead_letters["receipts"].id, arn = aws_sqs_queue.dead_letters["receipts"].arn, name = aws_sqs_queue.dead_letters["receipts"].name }
}

output "stream" {
  description = "The Kinesis stream of events: `arn`, `name`; null without."
  value       = one([for stream in aws_kinesis_stream.events : { arn = stream.arn, name = stream.name }])
}

output "http_api_url" {
  description = "Where events are posted to; null without an HTTP API."
  value       = one([for stage in aws_apigatewayv2_stage.default : "${trimsuffix(stage.invoke_url, "/")}/events"])
}
