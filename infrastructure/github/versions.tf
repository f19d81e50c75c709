terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Beside the states of what these roles deploy; which bucket is said at `init`.
  backend "s3" {}
}
