# Who may use a queue without a role of this account, and what is refused to all.

locals {
  arns = merge(
    { for queue in keys(local.queues) : queue => "${local.sqs}:calve-${var.name}-${queue}" },
    { for queue in keys(local.queues) : "${queue}-dead-letters" => "${local.sqs}:calve-${var.name}-${queue}-dead-letters" },
  )

  urls = merge(
    { for queue in keys(local.queues) : queue => aws_sqs_queue.this[queue].id },
    { for queue in keys(local.queues) : "${queue}-dead-letters" => aws_sqs_queue.dead_letters[queue].id },
  )

  statements = {
    for queue, arn in local.arns : queue => concat(
      var.tls_only ? [{
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }] : [],
      queue == "events" && length(var.source_bucket_arns) > 0 ? [{
        Sid       = "NotificationsOfSourceBuckets"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = var.source_bucket_arns }
          StringEquals = { "aws:SourceAccount" = var.account_id }
        }
      }] : [],
    )
  }
}

resource "aws_sqs_queue_policy" "this" {
  for_each = { for queue, statements in local.statements : queue => statements if length(statements) > 0 }

  queue_url = local.urls[each.key]
  policy    = jsonencode({ Version = "2012-10-17", Statement = each.value })
}
