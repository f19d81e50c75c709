locals {
  log_groups = var.enabled ? "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.name}:${aws_vpc.this[0].owner_id}:log-group" : null
}

resource "aws_flow_log" "this" {
  count = var.enabled ? 1 : 0

  vpc_id                   = aws_vpc.this[0].id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow_logs[0].arn
  iam_role_arn             = aws_iam_role.flow_logs[0].arn
  max_aggregation_interval = 600

  tags = { Name = "calve-${var.name}" }
}

#trivy:ignore:AVD-AWS-0017 Addresses and ports only; CloudWatch Logs encrypts them with a key of its own.
resource "aws_cloudwatch_log_group" "flow_logs" {
  #checkov:skip=CKV_AWS_158:Addresses and ports only; CloudWatch Logs encrypts them with a key of its own.
  #checkov:skip=CKV_AWS_338:How long they are kept is for the environment to say.
  count = var.enabled ? 1 : 0

  name              = "/calve/${var.name}/flow-logs"
  retention_in_days = var.flow_log_retention_days
}

resource "aws_iam_role" "flow_logs" {
  count = var.enabled ? 1 : 0

  name = "calve-${var.name}-flow-logs"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = aws_vpc.this[0].owner_id } }
    }]
  })
}

resource "aws_iam_role_policy" "flow_logs" {
  count = var.enabled ? 1 : 0

  name = "write-flow-logs"
  role = aws_iam_role.flow_logs[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "WriteFlowLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
        Resource = "${local.log_groups}:/calve/${var.name}/flow-logs:*"
      },
      {
        Sid      = "FindLogGroup" # Its names only; this cannot be granted for one group.
        Effect   = "Allow"
        Action   = "logs:DescribeLogGroups"
        Resource = "${local.log_groups}:*"
      },
    ]
  })
}
