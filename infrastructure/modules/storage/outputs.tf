output "lake_bucket" {
  description = "Name of the lake bucket."
  value       = aws_s3_bucket.lake.id
}

output "lake_bucket_arn" {
  description = "ARN of the lake bucket."
  value       = aws_s3_bucket.lake.arn
}

output "warehouse" {
  description = "Where quarantine, large receipts and, with Glue, the tables are: `s3://bucket/prefix`."
  value       = local.warehouse

  depends_on = [aws_s3_bucket.lake]
}

output "prefix" {
  description = "What all keys in the lake bucket begin with, without a slash at the end."
  value       = local.prefix
}

output "namespace" {
  description = "The namespace of the tables."
  value       = var.namespace
}

output "settings" {
  description = "The environment variables by which the functions reach catalog and storage."
  value       = local.settings

  # A function that starts before these are there finds nothing to write to.
  depends_on = [
    aws_glue_catalog_database.this,
    aws_s3_bucket_lifecycle_configuration.lake,
    aws_s3_bucket_policy.lake,
    aws_s3_bucket_server_side_encryption_configuration.lake,
    aws_s3tables_namespace.this,
  ]
}

output "secret_settings" {
  description = "The same for what must not be shown: token or credential of a REST catalog. Empty without `rest.credential_secret_arn`."
  value = {
    for secret in data.aws_secretsmanager_secret_version.rest : local.secret_setting[var.rest.auth] => secret.secret_string
  }
  sensitive = true
}

output "policy_json" {
  description = "The IAM policy that the functions need for catalog and storage."
  value       = local.policy
}

output "operator_policy_json" {
  description = "The IAM policy for those who use the command `calve`: what the functions may do, and emptying the quarantine."
  value       = local.operator_policy
}

output "catalog_endpoint_services" {
  description = "Short names of the services whose interface endpoints a VPC needs for the catalog."
  value       = { glue = ["glue"], s3tables = ["s3tables"], rest = [] }[var.catalog]
}
