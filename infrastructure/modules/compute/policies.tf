# What each function may do with what it reads from. Both also have the policy of the lake, and that of the platform.
locals {
  receive_actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]

  reads_events = {
    Sid      = "ReadEvents"
    Effect   = "Allow"
    Action   = local.receive_actions
    Resource = var.events_queue.arn
  }
  sends_receipts = {
    Sid      = "SendReceipts"
    Effect   = "Allow"
    Action   = ["sqs:SendMessage"]
    Resource = var.receipts_queue.arn
  }
  reads_receipts = {
    Sid      = "ReadReceipts"
    Effect   = "Allow"
    Action   = local.receive_actions
    Resource = var.receipts_queue.arn
  }

  # With the right to list, an object that is gone is told from one that is forbidden.
  reads_source_buckets = [for arns in [var.source_bucket_arns] : [
    { Sid = "ReadSources", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectVersion"], Resource = [for arn in arns : "${arn}/*"] },
    { Sid = "ListSources", Effect = "Allow", Action = ["s3:ListBucket"], Resource = arns },
  ] if length(arns) > 0]

  reads_stream = [for stream in [var.stream] : [
    {
      Sid      = "ReadStream"
      Effect   = "Allow"
      Action   = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
      Resource = stream.arn
    },
    # Lambda chooses the names of these objects; they begin with `aws/lambda/`.
    { Sid = "KeepFailures", Effect = "Allow", Action = ["s3:PutObject"], Resource = "${var.stream_failures_bucket_arn}/aws/lambda/*" },
    { Sid = "FindFailures", Effect = "Allow", Action = ["s3:ListBucket"], Resource = var.stream_failures_bucket_arn },
  ] if stream != null]

  ingest_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.reads_events],
      [for statement in [local.sends_receipts] : statement if var.mode == "staged"],
      flatten(local.reads_source_buckets),
      flatten(local.reads_stream),
    )
  })
  commit_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.reads_receipts]
  })
}
