# Policies are written with jsonencode rather than as data sources, so that tests without AWS can read them.
resource "aws_iam_role" "this" {
  name        = var.name
  description = "What ${var.name} may do."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "own" {
  for_each = var.policies

  name   = each.key
  role   = aws_iam_role.this.name
  policy = each.value
}

locals {
  writes_log = {
    Sid      = "WriteLog"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = "${var.log_group_arn}:*"
  }

  # X-Ray knows no resources to name.
  traces = {
    Sid      = "Trace"
    Effect   = "Allow"
    Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    Resource = "*"
  }

  network_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]
  # Lambda attaches the function to its subnets with the function's role, and asks for these on all resources. The code of
  # the function may not use them.
  attaches = {
    Sid      = "AttachToNetwork"
    Effect   = "Allow"
    Action   = local.network_actions
    Resource = "*"
  }
  leaves_network_alone = {
    Sid       = "LeaveNetworkAlone"
    Effect    = "Deny"
    Action    = local.network_actions
    Resource  = "*"
    Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.arn } }
  }
}

resource "aws_iam_role_policy" "platform" {
  #checkov:skip=CKV_AWS_290:X-Ray and the actions on network interfaces know no resources to name; the function's code is denied the latter
  #checkov:skip=CKV_AWS_355:X-Ray and the actions on network interfaces know no resources to name; the function's code is denied the latter
  name = "platform"
  role = aws_iam_role.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.writes_log],
      [for statement in [local.traces] : statement if var.tracing],
      [for statement in [local.attaches, local.leaves_network_alone] : statement if length(var.subnet_ids) > 0],
    )
  })
}
