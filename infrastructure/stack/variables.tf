variable "environment" {
  description = "The environment: its folder in infrastructure/environments."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters and digits, the first one a letter."
  }
}

variable "developer" {
  description = "Whose system it is, where several share an environment: `dev-alice` in names, `dev_alice` in the catalog. `dev` has no other."
  type        = string
  default     = null

  validation {
    condition     = var.developer == null || can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.developer))
    error_message = "developer must be 2 to 20 lower-case letters, digits and hyphens, the first one a letter, the last one no hyphen."
  }

  validation {
    condition     = var.environment != "dev" || var.developer != null
    error_message = "developer must be given in environment dev, which several share."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, like eu-central-1."
  }

  validation {
    condition     = !startswith(var.region, "cn-")
    error_message = "region is one of AWS China, which is not supported: services have other names there."
  }
}

variable "account_id" {
  description = "The AWS account, 12 digits. With credentials of another one nothing is done."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "emulator" {
  description = "Whether AWS_ENDPOINT_URL points to something that plays AWS: nothing is asked of what only AWS has."
  type        = bool
  default     = false
  nullable    = false
}

variable "protected" {
  description = "Whether Terraform refuses to destroy or replace what holds data: lake bucket, catalog, queues and stream."
  type        = bool
  default     = false
  nullable    = false
}

variable "packages" {
  description = "Folder of the functions' zips and their manifests. Null: what scripts/build.sh makes for the architecture."
  type        = string
  default     = null
}

variable "source_bucket_arns" {
  description = "ARNs of buckets whose notifications the events queue takes, and whose objects the ingest function reads."
  type        = list(string)
  default     = []
  nullable    = false
}

# One object for each module. Attributes that are left out, or null, have the module's defaults; its variables say what
# they mean. `attributes.tf` lists them.

variable "networking" {
  description = "Values of modules/networking."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.networking)) && length(setsubtract(try(keys(var.networking), []), local.attributes.networking)) == 0
    error_message = "networking has attributes that modules/networking does not take: ${join(", ", setsubtract(try(keys(var.networking), []), local.attributes.networking))}."
  }
}

variable "storage" {
  description = "Values of modules/storage."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.storage)) && length(setsubtract(try(keys(var.storage), []), local.attributes.storage)) == 0
    error_message = "storage has attributes that modules/storage does not take: ${join(", ", setsubtract(try(keys(var.storage), []), local.attributes.storage))}."
  }
}

variable "queues" {
  description = "Values of modules/queues."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.queues)) && length(setsubtract(try(keys(var.queues), []), local.attributes.queues)) == 0
    error_message = "queues has attributes that modules/queues does not take: ${join(", ", setsubtract(try(keys(var.queues), []), local.attributes.queues))}."
  }
}

variable "observability" {
  description = "Values of modules/observability."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.observability)) && length(setsubtract(try(keys(var.observability), []), local.attributes.observability)) == 0
    error_message = "observability has attributes that modules/observability does not take: ${join(", ", setsubtract(try(keys(var.observability), []), local.attributes.observability))}."
  }
}

variable "compute" {
  description = "Values of modules/compute."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.compute)) && length(setsubtract(try(keys(var.compute), []), local.attributes.compute)) == 0
    error_message = "compute has attributes that modules/compute does not take: ${join(", ", setsubtract(try(keys(var.compute), []), local.attributes.compute))}."
  }

  validation {
    condition     = length(setsubtract(try(keys(var.compute.ingest), []), local.attributes.function)) == 0
    error_message = "compute.ingest has attributes that a function does not take: ${join(", ", setsubtract(try(keys(var.compute.ingest), []), local.attributes.function))}."
  }

  validation {
    condition     = length(setsubtract(try(keys(var.compute.commit), []), local.attributes.function)) == 0
    error_message = "compute.commit has attributes that a function does not take: ${join(", ", setsubtract(try(keys(var.compute.commit), []), local.attributes.function))}."
  }
}
