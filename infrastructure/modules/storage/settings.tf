# What the functions are told: how they reach catalog and storage.

locals {
  dns_suffix = data.aws_partition.current.dns_suffix

  catalog_settings = {
    glue = {
      CALVE_CATALOG_URI            = "https://glue.${local.region}.${local.dns_suffix}/iceberg"
      CALVE_CATALOG_AUTH           = "sigv4"
      CALVE_CATALOG_SIGNING_NAME   = "glue"
      CALVE_CATALOG_SIGNING_REGION = local.region
      CALVE_CATALOG_WAREHOUSE      = var.account_id
    }
    s3tables = {
      CALVE_CATALOG_URI            = "https://s3tables.${local.region}.${local.dns_suffix}/iceberg"
      CALVE_CATALOG_AUTH           = "sigv4"
      CALVE_CATALOG_SIGNING_NAME   = "s3tables"
      CALVE_CATALOG_SIGNING_REGION = local.region
      CALVE_CATALOG_WAREHOUSE      = local.table_bucket_arn
      # A table bucket loses what no snapshot names; segments of the ledger are such objects.
      CALVE_TABLE_LEDGER_PATH = local.ledger
    }
    rest = {
      CALVE_CATALOG_URI                = try(var.rest.uri, null)
      CALVE_CATALOG_AUTH               = try(var.rest.auth, null)
      CALVE_CATALOG_WAREHOUSE          = try(var.rest.warehouse, null)
      CALVE_CATALOG_OAUTH2_URI         = try(var.rest.oauth2_uri, null)
      CALVE_CATALOG_SCOPE              = try(var.rest.scope, null)
      CALVE_CATALOG_VENDED_CREDENTIALS = try(tostring(var.rest.vended_credentials), null)
    }
  }

  settings = tomap(merge(
    { CALVE_WAREHOUSE = local.warehouse },
    { for setting, value in local.catalog_settings[var.catalog] : setting => value if value != null },
  ))

  secret_setting = { bearer = "CALVE_CATALOG_TOKEN", oauth2 = "CALVE_CATALOG_CREDENTIAL" }
}
