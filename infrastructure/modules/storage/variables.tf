variable "name" {
  description = "Name of the system, the middle of all its names: `dev-alice`, `prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must begin with a lower-case letter and have 2 to 31 lower-case letters, digits or hyphens."
  }
}

variable "account_id" {
  description = "The AWS account, of 12 digits. It ends the name of the lake bucket, which nobody else in the world may have."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "catalog" {
  description = "Who knows the tables: `glue` (their files are in the lake bucket), `s3tables` (in a table bucket), or `rest`, a catalog elsewhere."
  type        = string
  default     = "glue"
  nullable    = false

  validation {
    condition     = contains(["glue", "s3tables", "rest"], var.catalog)
    error_message = "catalog must be glue, s3tables or rest."
  }
}

variable "namespace" {
  description = "The namespace of the tables: of Glue the database, which is made. A REST catalog's is made by the functions."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,254}$", var.namespace))
    error_message = "namespace must begin with a lower-case letter and have at most 255 lower-case letters, digits or underscores."
  }

  validation {
    condition     = var.catalog != "s3tables" || !startswith(var.namespace, "aws")
    error_message = "namespace must not begin with aws in a table bucket: S3 Tables keeps such names for itself."
  }
}

variable "rest" {
  description = <<-EOT
    The REST catalog, with `catalog = "rest"` only. `uri`: the URL that `/v1/config` is below. `warehouse`: what it calls the
    warehouse. `auth`: `none`, `bearer` or `oauth2`. `oauth2_uri`, `scope`: where tokens are fetched, and for what.
    `credential_secret_arn`: a secret of Secrets Manager that holds the bearer token, or client id and secret as
    `id:secret`; it is read at apply. `vended_credentials`: whether the catalog gives out credentials for the objects of
    a table; without them its tables have to lie below `warehouse`/tables of the lake bucket.
  EOT
  type = object({
    uri                   = string
    warehouse             = optional(string)
    auth                  = optional(string, "none")
    oauth2_uri            = optional(string)
    scope                 = optional(string)
    credential_secret_arn = optional(string)
    vended_credentials    = optional(bool, false)
  })
  default = null

  validation {
    condition     = (var.catalog == "rest") == (var.rest != null)
    error_message = "rest must be given with catalog = \"rest\", and only then."
  }

  validation {
    condition     = var.rest == null || can(regex("^https?://[^/]+", var.rest.uri))
    error_message = "rest.uri must be a URL like https://catalog.example.com/iceberg."
  }

  validation {
    condition     = var.rest == null || try(contains(["none", "bearer", "oauth2"], var.rest.auth), false)
    error_message = "rest.auth must be none, bearer or oauth2."
  }

  validation {
    condition     = try(var.rest.auth == "oauth2" || (var.rest.oauth2_uri == null && var.rest.scope == null), true)
    error_message = "rest.oauth2_uri and rest.scope have a meaning only with auth = \"oauth2\"."
  }

  validation {
    condition     = try(var.rest.credential_secret_arn == null || var.rest.auth != "none", true)
    error_message = "rest.credential_secret_arn has a meaning only with auth = \"bearer\" or \"oauth2\"."
  }
}

variable "prefix" {
  description = "What all keys in the lake bucket begin with. Null: the namespace."
  type        = string
  default     = null

  validation {
    condition     = var.prefix == null || can(regex("^[a-z0-9_-]+(/[a-z0-9_-]+)*$", var.prefix))
    error_message = "prefix must be parts of lower-case letters, digits, hyphens and underscores, with / between them and none at the ends."
  }
}

variable "noncurrent_days" {
  description = "How long objects that were removed or replaced can be brought back, in days."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days must be a whole number of at least 1."
  }
}

variable "quarantine_days" {
  description = "After how many days objects leave the quarantine, and their events are given up. 0: they stay until they are replayed or removed."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.quarantine_days >= 0 && floor(var.quarantine_days) == var.quarantine_days
    error_message = "quarantine_days must be 0 or a whole number above."
  }
}

variable "multipart_days" {
  description = "After how many days the parts of unfinished uploads are removed. A process that is killed cannot."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.multipart_days >= 1 && floor(var.multipart_days) == var.multipart_days
    error_message = "multipart_days must be a whole number of at least 1."
  }
}

variable "unreferenced_days" {
  description = "After how many days S3 Tables removes files that no snapshot names. Files whose receipt waits, or was quarantined, are such files: a replay later than this finds them gone."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.unreferenced_days >= 15 && floor(var.unreferenced_days) == var.unreferenced_days
    error_message = "unreferenced_days must be a whole number of at least 15: receipts are committed for 14 days."
  }
}

variable "tls_only" {
  description = "Whether requests without TLS are refused. False for an emulator without TLS."
  type        = bool
  default     = true
  nullable    = false
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the buckets; its own policy has to let the functions use it, and S3 Tables' maintenance. Null: keys that S3 keeps itself (AES-256)."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key like arn:aws:kms:eu-west-1:123456789012:key/…, not an alias."
  }
}

variable "protected" {
  description = "Whether Terraform refuses to destroy or replace the lake bucket and the catalog. The README says how to go about it all the same."
  type        = bool
  default     = false
  nullable    = false
}

variable "force_destroy" {
  description = "Whether destroying the lake bucket removes what is in it. Never together with `protected`."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !(var.force_destroy && var.protected)
    error_message = "force_destroy must be false for a protected lake bucket."
  }
}
