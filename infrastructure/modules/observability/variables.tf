variable "name" {
  description = "What this deployment is called, e.g. `dev-alice` or `prod`. All names begin with `calve-<name>`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must be 2 to 31 lower case letters, digits and hyphens, the first one a letter."
  }
}

variable "function_names" {
  description = "Full names of the functions by their short ones, `ingest` and `commit` among them. Null: `calve-<name>-ingest` and `calve-<name>-commit`."
  type        = map(string)
  default     = null

  validation {
    condition     = var.function_names == null || alltrue([for key in ["ingest", "commit"] : contains(keys(coalesce(var.function_names, {})), key)])
    error_message = "function_names must have the keys `ingest` and `commit`."
  }
}

variable "queue_names" {
  description = "Names of the queues. Null: `calve-<name>-events` and so on."
  type = object({
    events                = string
    receipts              = string
    events_dead_letters   = string
    receipts_dead_letters = string
  })
  default = null
}

variable "stream_name" {
  description = "Name of the Kinesis stream that events come from. Null: there is none."
  type        = string
  default     = null
}

variable "namespace" {
  description = "Namespace of the tables whose figures the dashboard shows, e.g. `dev_alice`. Null: all tables of the account and region."
  type        = string
  default     = null

  validation {
    condition     = var.namespace == null || can(regex("^[a-z][a-z0-9_]*$", var.namespace))
    error_message = "namespace must be lower case letters, digits and underscores, the first one a letter."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept, in days. 0: for ever."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the periods that CloudWatch knows: 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "kms_key_arn" {
  description = "ARN of the key that logs and the topic are encrypted with; its policy must let CloudWatch Logs and CloudWatch alarms use it. Null: logs by the key of CloudWatch, the topic not at rest."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key, like `arn:aws:kms:eu-west-1:123456789012:key/…`."
  }
}

variable "alarms" {
  description = "Whether there are alarms, and the topic that they go to."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_email" {
  description = "Address that the topic writes to; it has to be confirmed there once. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@\\s]+@[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email must be an address like `ops@example.com`."
  }

  validation {
    condition     = var.alarm_email == null || var.alarms
    error_message = "alarm_email needs alarms = true."
  }
}

variable "alarm_actions" {
  description = "ARNs that alarms go to beside the topic."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for action in var.alarm_actions : startswith(action, "arn:")])
    error_message = "alarm_actions must be ARNs."
  }
}

variable "oldest_message_seconds" {
  description = "An alarm rings when the oldest message of a queue, or the last record read from the stream, is older than this, in seconds. A message that is handed back waits for six times the function's time-out before it comes again."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.oldest_message_seconds >= 1 && var.oldest_message_seconds <= 1209600
    error_message = "oldest_message_seconds must lie between 1 and 1209600, the longest that a queue keeps a message."
  }
}

variable "freshness_seconds" {
  description = "An alarm rings when a receipt was older than this when the commit function answered it, in seconds. A message that is handed back waits for six times the function's time-out before it comes again."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.freshness_seconds >= 1 && var.freshness_seconds <= 1209600
    error_message = "freshness_seconds must lie between 1 and 1209600, the longest that a queue keeps a message."
  }
}

variable "max_quarantined" {
  description = "An alarm rings when more than so many events, or receipts, were quarantined in five minutes."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.max_quarantined >= 0
    error_message = "max_quarantined must be 0 or more."
  }
}

variable "max_failures" {
  description = "An alarm rings when more than so many payloads did not land, or tables could not be committed to, in five minutes. They are delivered again, so a few may be an outage that passes."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.max_failures >= 0
    error_message = "max_failures must be 0 or more."
  }
}

variable "max_function_errors" {
  description = "An alarm rings when a function failed as a whole more often than this in five minutes: time-outs, panics, memory."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.max_function_errors >= 0
    error_message = "max_function_errors must be 0 or more."
  }
}

variable "max_throttles" {
  description = "An alarm rings when more than so many invocations of a function were refused for want of concurrency in five minutes."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.max_throttles >= 0
    error_message = "max_throttles must be 0 or more."
  }
}
