output "function_names" {
  description = "Full names of the functions, by `ingest` and `commit`."
  value       = { ingest = module.ingest.name, commit = module.commit.name }
}

output "function_arns" {
  description = "ARNs of the functions, by `ingest` and `commit`."
  value       = { ingest = module.ingest.arn, commit = module.commit.arn }
}

output "function_url" {
  description = "Where events are posted to. Null: ingest has no URL."
  value       = one(aws_lambda_function_url.ingest[*].function_url)
}
