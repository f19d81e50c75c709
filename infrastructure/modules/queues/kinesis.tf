resource "aws_kinesis_stream" "events" {
  #checkov:skip=CKV_AWS_185:AWS's own key of Kinesis; one of ours would have to be granted to each sender.
  count = var.kinesis == null ? 0 : 1

  name             = "calve-${var.name}-events"
  shard_count      = var.kinesis.shards
  retention_period = var.kinesis.retention_hours
  encryption_type  = "KMS"
  kms_key_id       = "alias/aws/kinesis"

  stream_mode_details {
    stream_mode = var.kinesis.shards == null ? "ON_DEMAND" : "PROVISIONED"
  }
}
