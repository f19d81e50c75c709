# The events queue and the receipts queue, each with a queue of dead letters.

locals {
  queues = {
    events = {
      visibility_timeout_seconds = coalesce(var.visibility_timeout_seconds, 6 * var.ingest.timeout_seconds + var.ingest.window_seconds)
    }
    receipts = {
      visibility_timeout_seconds = coalesce(var.receipt_visibility_timeout_seconds, 6 * var.commit.timeout_seconds + var.commit.window_seconds)
    }
  }

  region    = data.aws_region.current.name
  partition = data.aws_partition.current.partition
  sqs       = "arn:${local.partition}:sqs:${local.region}:${var.account_id}"

  # Receipts are cut to this size, and the provider takes no more.
  max_message_bytes = 262144
}

data "aws_region" "current" {}

data "aws_partition" "current" {}

resource "aws_sqs_queue" "this" {
  #checkov:skip=CKV_AWS_27:Encrypted with keys of SQS, which costs nothing and lets S3 send notifications.
  for_each = local.queues

  name                       = "calve-${var.name}-${each.key}"
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  message_retention_seconds  = var.retention_seconds
  max_message_size           = local.max_message_bytes
  receive_wait_time_seconds  = 20 # People who look at a queue wait for a message instead of paying for empty answers.
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = var.max_receives
  })
}

resource "aws_sqs_queue" "dead_letters" {
  #checkov:skip=CKV_AWS_27:Encrypted with keys of SQS, which costs nothing.
  for_each = local.queues

  name = "calve-${var.name}-${each.key}-dead-letters"
  # What is moved back is worked on by the same functions, and what is looked at by hand stays hidden for a while.
  visibility_timeout_seconds = 60
  message_retention_seconds  = var.dead_letter_retention_seconds
  max_message_size           = local.max_message_bytes
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  for_each = var.redrive_allow ? local.queues : {}

  queue_url = aws_sqs_queue.dead_letters[each.key].id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.key].arn]
  })
}
