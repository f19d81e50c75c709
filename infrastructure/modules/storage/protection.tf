# `prevent_destroy` takes no variable. What has it is this, so that any plan that destroys or replaces what it watches is
# refused as a whole. The key is how `terraform state rm` finds it when that is really wanted.
resource "terraform_data" "protected" {
  for_each = {
    for thing, id in {
      lake     = aws_s3_bucket.lake.id
      database = one(aws_glue_catalog_database.this[*].id)
      tables   = one(aws_s3tables_table_bucket.this[*].arn)
    } : thing => id if var.protected && contains(local.protected_things, thing)
  }

  triggers_replace = [each.value]

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  protected_things = concat(["lake"], { glue = ["database"], s3tables = ["tables"], rest = [] }[var.catalog])
}
