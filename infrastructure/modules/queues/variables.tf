variable "name" {
  description = "Name of the system, the middle of all its names: `dev-alice`, `prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must begin with a lower-case letter and have 2 to 31 lower-case letters, digits or hyphens."
  }
}

variable "account_id" {
  description = "The AWS account, of 12 digits. Source buckets must belong to it."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "ingest" {
  description = "How long the ingest function may take, and how long its event source mapping waits to fill a batch, in seconds. The time-out of the events queue follows from them."
  type = object({
    timeout_seconds = optional(number, 60)
    window_seconds  = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = try(var.ingest.timeout_seconds >= 1 && var.ingest.timeout_seconds <= 900, false)
    error_message = "ingest.timeout_seconds must lie between 1 and 900, the limits of Lambda."
  }

  validation {
    condition     = try(var.ingest.window_seconds >= 0 && var.ingest.window_seconds <= 300, false)
    error_message = "ingest.window_seconds must lie between 0 and 300, the limits of the event source mapping."
  }
}

variable "commit" {
  description = "The same of the commit function and the receipts queue."
  type = object({
    timeout_seconds = optional(number, 60)
    window_seconds  = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = try(var.commit.timeout_seconds >= 1 && var.commit.timeout_seconds <= 900, false)
    error_message = "commit.timeout_seconds must lie between 1 and 900, the limits of Lambda."
  }

  validation {
    condition     = try(var.commit.window_seconds >= 0 && var.commit.window_seconds <= 300, false)
    error_message = "commit.window_seconds must lie between 0 and 300, the limits of the event source mapping."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long an event message is hidden while somebody works on it, in seconds. Null: 6 times the time-out of ingest and its window, the least that is allowed."
  type        = number
  default     = null

  validation {
    condition = (
      var.visibility_timeout_seconds == null ||
      try(var.visibility_timeout_seconds >= 6 * var.ingest.timeout_seconds + var.ingest.window_seconds, false)
    )
    error_message = "visibility_timeout_seconds must be at least 6 times ingest.timeout_seconds and ingest.window_seconds: Lambda tries a batch again within it."
  }

  validation {
    condition     = var.visibility_timeout_seconds == null || try(var.visibility_timeout_seconds <= 43200, false)
    error_message = "visibility_timeout_seconds must be at most 43200, twelve hours."
  }
}

variable "receipt_visibility_timeout_seconds" {
  description = "The same for receipts and the commit function."
  type        = number
  default     = null

  validation {
    condition = (
      var.receipt_visibility_timeout_seconds == null ||
      try(var.receipt_visibility_timeout_seconds >= 6 * var.commit.timeout_seconds + var.commit.window_seconds, false)
    )
    error_message = "receipt_visibility_timeout_seconds must be at least 6 times commit.timeout_seconds and commit.window_seconds: Lambda tries a batch again within it."
  }

  validation {
    condition     = var.receipt_visibility_timeout_seconds == null || try(var.receipt_visibility_timeout_seconds <= 43200, false)
    error_message = "receipt_visibility_timeout_seconds must be at most 43200, twelve hours."
  }
}

variable "max_receives" {
  description = "How many times a message is received before it goes to the dead letters."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receives >= 2 && var.max_receives <= 1000 && floor(var.max_receives) == var.max_receives
    error_message = "max_receives must be a whole number between 2 and 1000: with 1, one fault would make dead letters of a batch."
  }
}

variable "receipt_horizon_days" {
  description = "How long the functions recognise a repeated delivery, in days: their CALVE_RECEIPT_HORIZON_DAYS. Nothing may be delivered again after it, or it would be there twice."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.receipt_horizon_days >= 1 && var.receipt_horizon_days <= 365 && floor(var.receipt_horizon_days) == var.receipt_horizon_days
    error_message = "receipt_horizon_days must be a whole number between 1 and 365."
  }
}

variable "retention_seconds" {
  description = "How long messages wait to be worked on, in seconds."
  type        = number
  default     = 345600
  nullable    = false

  validation {
    condition     = var.retention_seconds >= 3600 && var.retention_seconds <= 1209600
    error_message = "retention_seconds must lie between 3600, one hour, and 1209600, the 14 days of SQS."
  }
}

variable "dead_letter_retention_seconds" {
  description = "How long dead letters are kept, in seconds, counted from when they were first sent."
  type        = number
  default     = 1209600
  nullable    = false

  validation {
    condition     = var.dead_letter_retention_seconds <= 1209600
    error_message = "dead_letter_retention_seconds must be at most 1209600, the 14 days of SQS."
  }

  validation {
    condition     = var.dead_letter_retention_seconds > var.retention_seconds
    error_message = "dead_letter_retention_seconds must be more than retention_seconds: a dead letter is as old as its message."
  }

  validation {
    condition     = var.dead_letter_retention_seconds <= 86400 * var.receipt_horizon_days
    error_message = "dead_letter_retention_seconds (${var.dead_letter_retention_seconds}) must be at most the ${86400 * var.receipt_horizon_days} seconds of receipt_horizon_days (${var.receipt_horizon_days}): of what comes back later nobody knows whether it has landed. CALVE_RECEIPT_HORIZON_DAYS in compute.extra_settings makes it longer."
  }
}

variable "kinesis" {
  description = "A Kinesis stream of events; null: none. `shards`: how many, of 1 MB/s each; null: on demand. `retention_hours`: how long records are kept, 24 to 8760."
  type = object({
    shards          = optional(number)
    retention_hours = optional(number, 24)
  })
  default = null

  validation {
    condition     = try(var.kinesis.shards == null || (var.kinesis.shards >= 1 && floor(var.kinesis.shards) == var.kinesis.shards), true)
    error_message = "kinesis.shards must be a whole number of at least 1, or null for a stream on demand."
  }

  validation {
    condition     = try(var.kinesis.retention_hours >= 24 && var.kinesis.retention_hours <= 8760, true)
    error_message = "kinesis.retention_hours must lie between 24 and 8760."
  }

  validation {
    condition     = try(var.kinesis.retention_hours <= 24 * var.receipt_horizon_days, true)
    error_message = "kinesis.retention_hours (${try(var.kinesis.retention_hours, 0)}) must be at most the ${24 * var.receipt_horizon_days} hours of receipt_horizon_days (${var.receipt_horizon_days}): a record that is read again later would be there twice. CALVE_RECEIPT_HORIZON_DAYS in compute.extra_settings makes it longer."
  }
}

variable "http_api" {
  description = "Whether there is an HTTP API whose `POST /events` puts its body into the events queue as one message."
  type        = bool
  default     = false
  nullable    = false
}

variable "http_api_auth" {
  description = "Who may post: `iam`, those who sign as somebody with `execute-api:Invoke`; `public`, everybody."
  type        = string
  default     = "iam"
  nullable    = false

  validation {
    condition     = contains(["iam", "public"], var.http_api_auth)
    error_message = "http_api_auth must be iam or public."
  }
}

variable "http_api_requests_per_second" {
  description = "Requests per second that the HTTP API takes; others are answered 429. For a moment it takes twice as many."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.http_api_requests_per_second >= 1 && var.http_api_requests_per_second <= 10000
    error_message = "http_api_requests_per_second must lie between 1 and 10000."
  }
}

variable "http_api_log_retention_days" {
  description = "How long the HTTP API's access log is kept, in days; one of the values that CloudWatch Logs takes."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.http_api_log_retention_days)
    error_message = "http_api_log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "source_bucket_arns" {
  description = "Buckets of this account that may send notifications of new objects to the events queue."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.source_bucket_arns : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", arn))])
    error_message = "source_bucket_arns must be ARNs of buckets like arn:aws:s3:::clicks."
  }
}

variable "redrive_allow" {
  description = "Whether each dead-letter queue takes messages of its own queue alone. False where an emulator cannot remove such a rule."
  type        = bool
  default     = true
  nullable    = false
}

variable "tls_only" {
  description = "Whether requests without TLS are refused. False for an emulator without TLS."
  type        = bool
  default     = true
  nullable    = false
}

variable "protected" {
  description = "Whether Terraform refuses to destroy or replace queues and stream, and what waits in them."
  type        = bool
  default     = false
  nullable    = false
}
