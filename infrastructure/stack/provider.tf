# Where AWS_ENDPOINT_URL points elsewhere, the provider follows it by itself.
provider "aws" {
  region              = var.region
  allowed_account_ids = var.emulator ? null : [var.account_id]

  # What only AWS itself answers.
  s3_use_path_style           = var.emulator
  skip_credentials_validation = var.emulator
  skip_metadata_api_check     = var.emulator
  skip_requesting_account_id  = var.emulator
  skip_region_validation      = var.emulator

  default_tags {
    tags = merge(
      { project = "calve", environment = var.environment },
      var.developer == null ? {} : { developer = var.developer },
    )
  }
}
