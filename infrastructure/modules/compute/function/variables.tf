variable "name" {
  description = "Full name of the function, e.g. `calve-prod-ingest`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,54}$", var.name))
    error_message = "name must be 2 to 55 lower case letters, digits and hyphens, the first one a letter; its roles are named by it and more."
  }
}

variable "description" {
  description = "What the function does, as the console shows it."
  type        = string
}

variable "account_id" {
  description = "The account, 12 digits."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

variable "zip" {
  description = "Path of the zip with `bootstrap` in it. Beside it lies its manifest, `<zip without .zip>.json`; `scripts/build.sh` writes both."
  type        = string

  validation {
    condition     = endswith(var.zip, ".zip")
    error_message = "zip must be the path of a .zip file."
  }
}

variable "architecture" {
  description = "The processor that the zip was built for: `arm64` or `x86_64`."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be `arm64` or `x86_64`."
  }
}

variable "memory_mb" {
  description = "Memory in MB; 1769 come with one whole processor."
  type        = number

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb must lie between 128 and 10240."
  }
}

variable "timeout_seconds" {
  description = "The longest that an invocation may take, in seconds."
  type        = number

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "timeout_seconds must lie between 1 and 900."
  }
}

variable "reserved_concurrency" {
  description = "Invocations side by side that are kept for this function, and are the most it may have. -1: as many as the account has left."
  type        = number
  default     = -1
  nullable    = false

  validation {
    condition     = var.reserved_concurrency >= -1
    error_message = "reserved_concurrency must be -1 or more."
  }
}

variable "environment" {
  description = "The function's environment variables."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "policies" {
  description = "What the function may do beyond writing its log: IAM policy documents as JSON, by name."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "log_group_name" {
  description = "Name of the function's log group."
  type        = string
}

variable "log_group_arn" {
  description = "ARN of the function's log group, without `:*`."
  type        = string
}

variable "tracing" {
  description = "Whether invocations are traced by X-Ray."
  type        = bool
  default     = true
  nullable    = false
}

variable "subnet_ids" {
  description = "Subnets that the function runs in. None: in no VPC."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups of the function in the VPC."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = (length(var.security_group_ids) == 0) == (length(var.subnet_ids) == 0)
    error_message = "security_group_ids and subnet_ids go together."
  }
}

variable "schedule" {
  description = "When the function is invoked by the clock: an expression of EventBridge Scheduler (`rate(1 hour)`, `cron(15 3 * * ? *)`), the payload as JSON, and the time zone. Null: never."
  type = object({
    expression = string
    input      = optional(string, "{}")
    timezone   = optional(string, "UTC")
  })
  default = null

  validation {
    condition     = var.schedule == null || can(regex("^(rate|cron|at)\\(.+\\)$", var.schedule.expression))
    error_message = "schedule.expression must be like `rate(1 hour)`, `cron(15 3 * * ? *)` or `at(2026-12-01T03:00:00)`."
  }

  validation {
    condition     = var.schedule == null || can(jsondecode(var.schedule.input))
    error_message = "schedule.input must be JSON."
  }
}
