# GitHub as somebody whose word the account takes, and the two roles that its runs may have: one that plans, one that deploys.

locals {
  name       = var.developer == null ? var.environment : "${var.environment}-${var.developer}"
  namespace  = replace(local.name, "-", "_")
  partition  = data.aws_partition.current.partition
  issuer     = "token.actions.githubusercontent.com"
  provider   = "arn:${local.partition}:iam::${var.account_id}:oidc-provider/${local.issuer}"
  states_arn = "arn:${local.partition}:s3:::calve-tfstate-${var.account_id}-${var.region}"

  # What GitHub says of a run, and AWS holds against the role, letter for letter.
  subjects = {
    plan   = "repo:${var.repository}:${var.plan_for == "main" ? "ref:refs/heads/main" : "pull_request"}"
    deploy = "repo:${var.repository}:environment:${var.environment}"
  }
}

data "aws_partition" "current" {}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.make_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "this" {
  #checkov:skip=CKV_AWS_393:Checkov cannot follow `each.value`; tests hold that each subject names one repository and one kind of run, whole
  for_each = local.subjects

  # Not `calve-<name>-…`: the deploy role may change roles of that name.
  name                 = "calve-github-${local.name}-${each.key}"
  description          = { plan = "Plans ${local.name} for runs of ${var.repository}.", deploy = "Deploys ${local.name} for runs of ${var.repository}." }[each.key]
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.provider }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = each.value
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

# Policies of their own, since what a role may have inline is too little for all of it.
resource "aws_iam_policy" "this" {
  for_each = local.policies

  name   = "calve-github-${local.name}-${each.key}"
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = merge([
    for role, policies in local.policies_of : { for policy in policies : "${role}-${policy}" => { role = role, policy = policy } }
  ]...)

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = aws_iam_policy.this[each.value.policy].arn
}
