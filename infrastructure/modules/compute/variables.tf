variable "name" {
  description = "What this deployment is called, e.g. `dev-alice` or `prod`. All names begin with `calve-<name>`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must be 2 to 31 lower case letters, digits and hyphens, the first one a letter."
  }
}

variable "account_id" {
  description = "The account, 12 digits."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must have 12 digits."
  }
}

# What runs.

variable "architecture" {
  description = "The processor that the zips were built for: `arm64` or `x86_64`."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be `arm64` or `x86_64`."
  }
}

variable "ingest" {
  description = "The function ingest: `zip` (path; its manifest lies beside it), `memory_mb`, `timeout_seconds`, `reserved_concurrency` (-1: not reserved); and how it reads the events queue: `batch_size` (messages), `window_seconds` (how long a batch is filled), `maximum_concurrency` (batches side by side, null: as many as Lambda likes)."
  type = object({
    zip                  = string
    memory_mb            = optional(number, 1769)
    timeout_seconds      = optional(number, 60)
    reserved_concurrency = optional(number, -1)
    maximum_concurrency  = optional(number)
    batch_size           = optional(number, 1000)
    window_seconds       = optional(number, 1)
  })

  validation {
    condition     = var.ingest.batch_size >= 1 && var.ingest.batch_size <= 10000
    error_message = "ingest.batch_size must lie between 1 and 10000 messages."
  }

  validation {
    condition     = var.ingest.window_seconds >= 0 && var.ingest.window_seconds <= 300
    error_message = "ingest.window_seconds must lie between 0 and 300."
  }

  validation {
    condition     = var.ingest.batch_size <= 10 || var.ingest.window_seconds >= 1
    error_message = "ingest.window_seconds must be 1 or more for batches of more than 10 messages."
  }

  validation {
    condition     = var.ingest.maximum_concurrency == null || try(var.ingest.maximum_concurrency >= 2 && var.ingest.maximum_concurrency <= 1000, false)
    error_message = "ingest.maximum_concurrency must lie between 2 and 1000, or be null."
  }

  validation {
    condition     = var.ingest.reserved_concurrency == -1 || var.ingest.reserved_concurrency >= coalesce(var.ingest.maximum_concurrency, 1)
    error_message = "ingest.reserved_concurrency must be -1, or 1 or more and no less than maximum_concurrency: beyond it messages are received, refused and come to the dead letters."
  }
}

variable "commit" {
  description = "The function commit, as `ingest`; its batches are of the receipts queue. More committers side by side lose more races, so `maximum_concurrency` is 2."
  type = object({
    zip                  = string
    memory_mb            = optional(number, 1024)
    timeout_seconds      = optional(number, 60)
    reserved_concurrency = optional(number, -1)
    maximum_concurrency  = optional(number, 2)
    batch_size           = optional(number, 1000)
    window_seconds       = optional(number, 2)
  })

  validation {
    condition     = var.commit.batch_size >= 1 && var.commit.batch_size <= 10000
    error_message = "commit.batch_size must lie between 1 and 10000 messages."
  }

  validation {
    condition     = var.commit.window_seconds >= 0 && var.commit.window_seconds <= 300
    error_message = "commit.window_seconds must lie between 0 and 300."
  }

  validation {
    condition     = var.commit.batch_size <= 10 || var.commit.window_seconds >= 1
    error_message = "commit.window_seconds must be 1 or more for batches of more than 10 messages."
  }

  validation {
    condition     = var.commit.maximum_concurrency >= 2 && var.commit.maximum_concurrency <= 1000
    error_message = "commit.maximum_concurrency must lie between 2 and 1000."
  }

  validation {
    condition     = var.commit.reserved_concurrency == -1 || var.commit.reserved_concurrency >= var.commit.maximum_concurrency
    error_message = "commit.reserved_concurrency must be -1, or no less than maximum_concurrency: beyond it messages are received, refused and come to the dead letters."
  }
}

variable "tracing" {
  description = "Whether invocations are traced by X-Ray."
  type        = bool
  default     = true
  nullable    = false
}

# What the functions are told.

variable "mode" {
  description = "Who commits: `staged`, the function commit, which gets receipts by a queue; `direct`, each invocation of ingest. The function commit is there in both, for receipts that are still in its queue."
  type        = string
  default     = "staged"
  nullable    = false

  validation {
    condition     = contains(["staged", "direct"], var.mode)
    error_message = "mode must be `staged` or `direct`."
  }
}

variable "namespace" {
  description = "Namespace of the tables, e.g. `dev_alice`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*$", var.namespace))
    error_message = "namespace must be lower case letters, digits and underscores, the first one a letter."
  }
}

variable "table" {
  description = "The table in the namespace that events go to."
  type        = string
  default     = "events"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]*$", var.table))
    error_message = "table must be lower case letters, digits and underscores, the first one a letter."
  }
}

variable "log_level" {
  description = "How much the functions log: `info`, `debug` or `trace`."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["info", "debug", "trace"], var.log_level)
    error_message = "log_level must be `info`, `debug` or `trace`: alarms read lines that are logged at `info`."
  }
}

variable "settings" {
  description = "Environment variables that reach storage and catalog; an output of `storage`."
  type        = map(string)
}

variable "secret_settings" {
  description = "Those of them that must not be shown; an output of `storage`. A plan names them, and hides what they hold."
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true
}

variable "extra_settings" {
  description = "Further environment variables of the functions, e.g. `CALVE_ZSTD_LEVEL`. They win over `settings`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(setintersection(keys(var.extra_settings), [
      "CALVE_MODE", "CALVE_RECEIPT_QUEUE_URL", "CALVE_TABLE_NAME", "CALVE_LOG_LEVEL", "CALVE_SOURCE_BUCKETS",
    ])) == 0
    error_message = "extra_settings must leave CALVE_MODE, CALVE_RECEIPT_QUEUE_URL, CALVE_TABLE_NAME, CALVE_LOG_LEVEL and CALVE_SOURCE_BUCKETS to the variables of their own: mode, receipts_queue, namespace and table, log_level, source_bucket_arns."
  }

  validation {
    condition     = alltrue([for key in keys(var.extra_settings) : can(regex("^[A-Z][A-Z0-9_]*$", key))])
    error_message = "extra_settings must have the names of environment variables as keys."
  }

  validation {
    condition     = can(regex("^[1-9][0-9]*$", lookup(var.extra_settings, "CALVE_RECEIPT_HORIZON_DAYS", "14")))
    error_message = "extra_settings.CALVE_RECEIPT_HORIZON_DAYS must be a number of days."
  }
}

variable "policy_json" {
  description = "IAM policy document that lets the functions reach storage and catalog; an output of `storage`."
  type        = string
}

# Where events and receipts come from.

variable "events_queue" {
  description = "The queue of events; an output of `queues`."
  type        = object({ url = string, arn = string, name = string })
}

variable "receipts_queue" {
  description = "The queue of receipts; an output of `queues`."
  type        = object({ url = string, arn = string, name = string })
}

variable "source_bucket_arns" {
  description = "ARNs of the buckets whose objects are read when a notification tells of them."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.source_bucket_arns : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", arn))])
    error_message = "source_bucket_arns must be ARNs of buckets, like `arn:aws:s3:::uploads`."
  }
}

variable "stream" {
  description = "The Kinesis stream of events; an output of `queues`. Null: there is none."
  type        = object({ arn = string, name = string })
  default     = null
}

variable "stream_batch_size" {
  description = "Most records of the stream in one invocation."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.stream_batch_size >= 1 && var.stream_batch_size <= 10000
    error_message = "stream_batch_size must lie between 1 and 10000."
  }
}

variable "stream_window_seconds" {
  description = "How long a batch of the stream is filled, in seconds."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.stream_window_seconds >= 0 && var.stream_window_seconds <= 300
    error_message = "stream_window_seconds must lie between 0 and 300."
  }
}

variable "stream_maximum_retry_attempts" {
  description = "How often a batch of the stream is tried again before it is given up."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.stream_maximum_retry_attempts >= 0 && var.stream_maximum_retry_attempts <= 10000
    error_message = "stream_maximum_retry_attempts must lie between 0 and 10000; for ever is not offered, since one batch would hold up its shard."
  }
}

variable "stream_maximum_record_age_seconds" {
  description = "Records of the stream older than this are given up, in seconds. Less than the stream keeps them, or they are lost before they are given up."
  type        = number
  default     = 43200
  nullable    = false

  validation {
    condition     = var.stream_maximum_record_age_seconds >= 60 && var.stream_maximum_record_age_seconds <= 604800
    error_message = "stream_maximum_record_age_seconds must lie between 60 and 604800; for ever is not offered, since one batch would hold up its shard."
  }

  validation {
    condition     = var.stream_maximum_record_age_seconds <= try(86400 * var.extra_settings.CALVE_RECEIPT_HORIZON_DAYS, 86400 * 14)
    error_message = "stream_maximum_record_age_seconds (${var.stream_maximum_record_age_seconds}) must be at most the days of CALVE_RECEIPT_HORIZON_DAYS in extra_settings (${lookup(var.extra_settings, "CALVE_RECEIPT_HORIZON_DAYS", 14)}): a record that is delivered again later would be there twice."
  }
}

variable "stream_failures_bucket_arn" {
  description = "ARN of the bucket that records of the stream go to, with their payload, when they are given up; they lie under `aws/lambda/`. Needed with `stream`."
  type        = string
  default     = null

  validation {
    condition     = var.stream == null || var.stream_failures_bucket_arn != null
    error_message = "stream_failures_bucket_arn is needed with a stream: what is given up must be kept."
  }

  validation {
    condition     = var.stream_failures_bucket_arn == null || can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", var.stream_failures_bucket_arn))
    error_message = "stream_failures_bucket_arn must be the ARN of a bucket, like `arn:aws:s3:::calve-prod-lake-123456789012`."
  }
}

variable "stream_metrics" {
  description = "Whether Lambda counts the events of the stream, those given up among them, which the alarms go by. False where an emulator forgets that it was asked to."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_actions" {
  description = "ARNs that the alarms of the stream go to; an output of `observability`. Null: there are no alarms."
  type        = list(string)
  default     = null
}

# Who may call by HTTP.

variable "function_url" {
  description = "Whether ingest has a URL of its own: `none`; `iam`, for requests signed by those who may; `public`, for everybody."
  type        = string
  default     = "iam"
  nullable    = false

  validation {
    condition     = contains(["none", "iam", "public"], var.function_url)
    error_message = "function_url must be `none`, `iam` or `public`."
  }
}

variable "function_url_invokers" {
  description = "ARNs of the users and roles, or numbers of the accounts, that may call the URL. Principals of this account may have the same by their own policies."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for principal in var.function_url_invokers : can(regex("^([0-9]{12}|arn:[a-z-]+:(iam|sts)::[0-9]{12}:.+)$", principal))])
    error_message = "function_url_invokers must be accounts of 12 digits or ARNs of users and roles, never `*`: everybody is function_url = \"public\"."
  }

  validation {
    condition     = length(var.function_url_invokers) == 0 || var.function_url == "iam"
    error_message = "function_url_invokers need function_url = \"iam\"."
  }
}

# Where they run and what they write to.

variable "subnet_ids" {
  description = "Subnets that the functions run in; an output of `networking`. None: in no VPC."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups of the functions; an output of `networking`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = (length(var.security_group_ids) == 0) == (length(var.subnet_ids) == 0)
    error_message = "security_group_ids and subnet_ids go together."
  }
}

variable "log_group_names" {
  description = "Names of the log groups by `ingest` and `commit`; an output of `observability`."
  type        = map(string)

  validation {
    condition     = alltrue([for key in ["ingest", "commit"] : contains(keys(var.log_group_names), key)])
    error_message = "log_group_names must have the keys `ingest` and `commit`."
  }
}

variable "log_group_arns" {
  description = "ARNs of the log groups by `ingest` and `commit`; an output of `observability`."
  type        = map(string)

  validation {
    condition     = alltrue([for key in ["ingest", "commit"] : contains(keys(var.log_group_arns), key)])
    error_message = "log_group_arns must have the keys `ingest` and `commit`."
  }
}
