# POST /events → the events queue, without a function in between: what is accepted is durable.
# It holds no data, and goes when a protected environment is destroyed: scripts/destroy.sh names what it is made of.

locals {
  n_http_api = var.http_api ? 1 : 0
  log_group  = "/calve/${var.name}/http-api"
}

resource "aws_apigatewayv2_api" "events" {
  count = local.n_http_api

  name          = "calve-${var.name}-events"
  description   = "Events of calve-${var.name}, one message of the queue per request"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "queue" {
  count = local.n_http_api

  api_id              = aws_apigatewayv2_api.events[0].id
  integration_type    = "AWS_PROXY"
  integration_subtype = "SQS-SendMessage"
  credentials_arn     = aws_iam_role.http_api[0].arn

  request_parameters = {
    QueueUrl    = aws_sqs_queue.this["events"].id
    MessageBody = "$request.body"
  }
}

resource "aws_apigatewayv2_route" "events" {
  count = local.n_http_api

  api_id             = aws_apigatewayv2_api.events[0].id
  route_key          = "POST /events"
  target             = "integrations/${aws_apigatewayv2_integration.queue[0].id}"
  authorization_type = var.http_api_auth == "iam" ? "AWS_IAM" : "NONE"
}

resource "aws_apigatewayv2_stage" "default" {
  count = local.n_http_api

  api_id      = aws_apigatewayv2_api.events[0].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.http_api_requests_per_second
    throttling_burst_limit = 2 * var.http_api_requests_per_second
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.http_api[0].arn
    format = jsonencode({
      request_id  = "$context.requestId"
      time        = "$context.requestTime"
      source_ip   = "$context.identity.sourceIp"
      route       = "$context.routeKey"
      status      = "$context.status"
      error       = "$context.error.message"
      integration = "$context.integrationErrorMessage"
      latency_ms  = "$context.responseLatency"
    })
  }
}

#trivy:ignore:AVD-AWS-0017 No events in it; CloudWatch Logs encrypts it with a key of its own.
resource "aws_cloudwatch_log_group" "http_api" {
  #checkov:skip=CKV_AWS_158:No events in it; CloudWatch Logs encrypts it with a key of its own.
  #checkov:skip=CKV_AWS_338:How long it is kept is for the environment to say.
  count = local.n_http_api

  name              = local.log_group
  retention_in_days = var.http_api_log_retention_days
}

resource "aws_iam_role" "http_api" {
  count = local.n_http_api

  name = "calve-${var.name}-http-api"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "http_api" {
  count = local.n_http_api

  name = "send-events"
  role = aws_iam_role.http_api[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "SendEvents"
      Effect   = "Allow"
      Action   = "sqs:SendMessage"
      Resource = local.arns["events"]
    }]
  })
}
