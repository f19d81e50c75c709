variable "name" {
  description = "Name of the system, the middle of all its names: `dev-alice`, `prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must begin with a lower-case letter and have 2 to 31 lower-case letters, digits or hyphens."
  }
}

variable "enabled" {
  description = "Whether there is a VPC. Functions that only call AWS APIs are cheaper and start faster without."
  type        = bool
  default     = false
  nullable    = false
}

variable "cidr" {
  description = "Addresses of the VPC, from /16 to /22. Each subnet gets a sixteenth of them."
  type        = string
  default     = "10.64.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr))
    error_message = "cidr must be a range of IPv4 addresses like 10.64.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 22, false)
    error_message = "cidr must be from /16, the largest of a VPC, to /22, which leaves 64 addresses to a subnet."
  }
}

variable "n_zones" {
  description = "How many availability zones have a private subnet. Each interface endpoint is paid for in each of them."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = contains([1, 2, 3], var.n_zones)
    error_message = "n_zones must be 1, 2 or 3."
  }
}

variable "zones" {
  description = "Names of the availability zones, the first `n_zones` of them used. Empty: those of the region, by name."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.zones) == 0 || length(var.zones) >= var.n_zones
    error_message = "zones must be empty or name at least n_zones availability zones."
  }

  validation {
    condition     = length(distinct(var.zones)) == length(var.zones)
    error_message = "zones must not name an availability zone twice."
  }
}

variable "interface_endpoints" {
  description = "Short names of the AWS services that the functions reach by interface endpoints. The catalog's, `glue` or `s3tables`, is added by the caller; S3 has a gateway endpoint always. Logs, and the metrics in them, need none: Lambda delivers them outside the VPC."
  type        = list(string)
  default     = ["sqs"]
  nullable    = false

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z][a-z0-9.-]*$", service)) && !startswith(service, "com.")])
    error_message = "interface_endpoints must be short names of services, like sqs, without com.amazonaws and region."
  }

  validation {
    condition     = !contains(var.interface_endpoints, "s3")
    error_message = "interface_endpoints must not name s3: its gateway endpoint is always there and costs nothing."
  }
}

variable "other_accounts" {
  description = "Accounts, of 12 digits, whose principals may use the endpoints beside those of this account: say that of a REST catalog that gives out credentials of its own."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for account in var.other_accounts : can(regex("^[0-9]{12}$", account))])
    error_message = "other_accounts must be account ids of 12 digits."
  }
}

variable "nat" {
  description = "Whether the functions reach the internet, for a catalog that is no AWS service: by a NAT gateway with a public subnet."
  type        = bool
  default     = false
  nullable    = false
}

variable "nat_per_zone" {
  description = "Whether each zone has a NAT gateway of its own, so that none depends on another. Only with `nat`."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = var.nat || !var.nat_per_zone
    error_message = "nat_per_zone has a meaning only when nat is true."
  }
}

variable "flow_log_retention_days" {
  description = "How long the flow logs of the VPC are kept, in days; one of the values that CloudWatch Logs takes."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.flow_log_retention_days)
    error_message = "flow_log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}
