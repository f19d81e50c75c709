# What the functions may do: objects of the lake bucket below the prefix, and tables of the namespace. Nothing may drop a
# table or remove a data file.

locals {
  glue = "arn:${local.partition}:glue:${local.region}:${var.account_id}"

  lake_statements = [
    {
      Sid    = "WriteObjects"
      Effect = "Allow"
      # A conditional put, and each request of an upload in parts, is a PutObject.
      Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
      Resource = "${local.bucket_arn}/${local.prefix}/*"
    },
    {
      # Without a condition on the prefix: S3 says of an absent object that it is absent only to those who may list, and
      # such a request has no prefix.
      Sid      = "ListLake"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = local.bucket_arn
    },
  ]

  key_statements = var.kms_key_arn == null ? [] : [{
    Sid      = "UseKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.kms_key_arn
  }]

  catalog_statements = {
    glue = [
      {
        Sid      = "ReadCatalog"
        Effect   = "Allow"
        Action   = "glue:GetCatalog"
        Resource = "${local.glue}:catalog"
      },
      {
        Sid    = "CommitToTables"
        Effect = "Allow"
        Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:CreateTable", "glue:UpdateTable"]
        Resource = [
          "${local.glue}:catalog",
          "${local.glue}:database/${var.namespace}",
          "${local.glue}:table/${var.namespace}/*",
        ]
      },
    ]
    s3tables = [
      {
        Sid      = "ReadTableBucket"
        Effect   = "Allow"
        Action   = ["s3tables:GetTableBucket", "s3tables:ListNamespaces"]
        Resource = local.table_bucket_arn
      },
      {
        Sid       = "MakeTables"
        Effect    = "Allow"
        Action    = ["s3tables:GetNamespace", "s3tables:ListTables", "s3tables:CreateTable"]
        Resource  = local.table_bucket_arn
        Condition = { StringEquals = { "s3tables:namespace" = var.namespace } }
      },
      {
        Sid    = "CommitToTables"
        Effect = "Allow"
        Action = [
          "s3tables:GetTable",
          "s3tables:GetTableData",
          "s3tables:GetTableMetadataLocation",
          "s3tables:PutTableData",
          "s3tables:UpdateTableMetadataLocation",
        ]
        Resource  = "${local.table_bucket_arn}/table/*" # The rest of the name is an id that is made with the table.
        Condition = { StringEquals = { "s3tables:namespace" = var.namespace } }
      },
    ]
    rest = []
  }

  statements = concat(local.lake_statements, local.key_statements, local.catalog_statements[var.catalog])
  policy     = jsonencode({ Version = "2012-10-17", Statement = local.statements })

  # People replay, and what has landed leaves the quarantine; functions never delete.
  operator_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.statements, [{
      Sid      = "EmptyQuarantine"
      Effect   = "Allow"
      Action   = "s3:DeleteObject"
      Resource = "${local.bucket_arn}/${local.prefix}/quarantine/*"
    }])
  })
}
