data "aws_region" "current" {}
data "aws_partition" "current" {}

locals {
  # Known before the function is, for its own role to name it.
  arn = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.name}:${var.account_id}:function:${var.name}"

  manifest_path = "${trimsuffix(var.zip, ".zip")}.json"
  manifest      = try(jsondecode(file(local.manifest_path)), {})
  build         = "./scripts/build.sh"
}

# (Tracing is a choice, and on by default.)
#trivy:ignore:AWS-0066
resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:Tracing is a choice, and on by default
  #checkov:skip=CKV_AWS_115:Concurrency is bounded where messages are read, by maximum_concurrency; reserved_concurrency takes from what the account has
  #checkov:skip=CKV_AWS_116:What fails goes back to its queue or stream, which have places for what is given up; what a schedule starts comes again with it
  #checkov:skip=CKV_AWS_117:A VPC is a choice: a function that only calls AWS APIs is cheaper and starts faster without
  #checkov:skip=CKV_AWS_173:Settings are encrypted at rest with Lambda's own key
  #checkov:skip=CKV_AWS_272:Zips are built and applied by the same hand; the manifest's SHA-256 tells a zip that is not the one built
  function_name                  = var.name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  filename                       = var.zip
  source_code_hash               = fileexists(var.zip) ? filebase64sha256(var.zip) : null
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = var.environment
  }

  # The function writes JSON lines itself; in this format Lambda leaves them as they are.
  logging_config {
    log_format = "Text"
    log_group  = var.log_group_name
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) > 0 ? [true] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = fileexists(var.zip) && fileexists(local.manifest_path)
      error_message = "There is no `${var.zip}` with its manifest `${local.manifest_path}`. Build it: ${local.build}"
    }

    precondition {
      condition     = !fileexists(local.manifest_path) || try(local.manifest.architecture == var.architecture, false)
      error_message = "`${var.zip}` was built for ${try(local.manifest.architecture, "no known processor")}, but architecture is ${var.architecture}. Set architecture, or build it: ${local.build} --arch ${var.architecture}"
    }

    precondition {
      condition     = !fileexists(var.zip) || !fileexists(local.manifest_path) || try(local.manifest.sha256 == filesha256(var.zip), false)
      error_message = "`${var.zip}` is not the one that its manifest `${local.manifest_path}` tells of. Build both again: ${local.build}"
    }
  }

  # Lambda tries the role when it makes the function, and messages may come as soon as it is there.
  depends_on = [aws_iam_role_policy.platform, aws_iam_role_policy.own]
}
