output "plan_role_arn" {
  description = "The role that plans: the repository's variable AWS_PLAN_ROLE_ARN, of prod AWS_PROD_PLAN_ROLE_ARN."
  value       = aws_iam_role.this["plan"].arn
}

output "deploy_role_arn" {
  description = "The role that deploys: the variable AWS_DEPLOY_ROLE_ARN of the repository's environment."
  value       = aws_iam_role.this["deploy"].arn
}

output "subjects" {
  description = "Who may have which: what GitHub says of a run."
  value       = local.subjects
}
