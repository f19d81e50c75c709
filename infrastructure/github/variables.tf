variable "repository" {
  description = "The repository on GitHub, as `owner/name`, letter for letter as GitHub writes it."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be owner/name, without wildcards."
  }
}

variable "environment" {
  description = "The environment of Calve, and of the repository, that the deploy role is for: `dev`, `int`, `prod`."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment must be 2 to 10 lower-case letters and digits, the first one a letter."
  }
}

variable "developer" {
  description = "Whose system it is, where several share an environment: the workflow deploys that of `main` to `dev`."
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

variable "account_id" {
  description = "The AWS account of the environment, 12 digits. With credentials of another one nothing is done."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "region" {
  description = "AWS region of the environment."
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

variable "plan_for" {
  description = "Whose runs may plan: `main`, those of the branch main; `pull_request`, those of pull requests from the repository itself. A plan runs what the pull request says, and reads the state with its secrets."
  type        = string
  default     = "main"
  nullable    = false

  validation {
    condition     = contains(["main", "pull_request"], var.plan_for)
    error_message = "plan_for must be main or pull_request."
  }

  validation {
    condition     = var.environment != "prod" || var.plan_for == "main"
    error_message = "plan_for must be main in prod, whose state nobody's branch may read."
  }
}

variable "secret_arns" {
  description = "ARNs of the secrets that hold tokens or credentials of a REST catalog, which each plan reads."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.secret_arns : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*]+$", arn))])
    error_message = "secret_arns must be whole ARNs of secrets, without wildcards."
  }
}

variable "make_provider" {
  description = "Whether GitHub is made known to the account. False where it is already; an account knows it once."
  type        = bool
  default     = true
  nullable    = false
}
