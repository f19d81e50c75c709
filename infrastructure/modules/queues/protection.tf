# `prevent_destroy` takes no variable. What has it is this, so that any plan that destroys or replaces what it watches is
# refused as a whole. The key is how `terraform state rm` finds it when that is really wanted.
resource "terraform_data" "protected" {
  for_each = toset(var.protected ? concat(keys(local.arns), var.kinesis == null ? [] : ["stream"]) : [])

  triggers_replace = [each.key == "stream" ? one(aws_kinesis_stream.events[*].arn) : local.urls[each.key]]

  lifecycle {
    prevent_destroy = true
  }
}
