# What every unit knows: the values of its environment, and the names that follow from them. The same as the locals of
# ../stack/main.tf, which is the same system with one state.
locals {
  environment  = basename(dirname(get_original_terragrunt_dir()))
  environments = dirname(dirname(get_original_terragrunt_dir()))
  values       = jsondecode(file("${local.environments}/${local.environment}/values.json"))
  unit         = basename(get_original_terragrunt_dir())

  # Environment `dev` is shared: whose system it is has to be said.
  developer = local.environment == "dev" ? get_env("CALVE_DEVELOPER") : ""
  name      = local.developer == "" ? local.environment : "${local.environment}-${local.developer}"
  namespace = replace(local.name, "-", "_")
  # AWS_ENDPOINT_URL points to what plays AWS.
  emulator  = lookup(local.values, "emulator", false)
  protected = lookup(local.values, "protected", false)

  networking    = lookup(local.values, "networking", {})
  storage       = lookup(local.values, "storage", {})
  queues        = lookup(local.values, "queues", {})
  observability = lookup(local.values, "observability", {})
  compute       = lookup(local.values, "compute", {})

  source_bucket_arns = lookup(local.values, "source_bucket_arns", [])
  architecture       = lookup(local.compute, "architecture", "arm64")
  packages           = "${local.environments}/../../target/lambda/${local.architecture}"
  ingest             = merge({ timeout_seconds = 60, window_seconds = 1 }, lookup(local.compute, "ingest", {}))
  commit             = merge({ timeout_seconds = 60, window_seconds = 2 }, lookup(local.compute, "commit", {}))
  timings = {
    ingest = { timeout_seconds = local.ingest.timeout_seconds, window_seconds = local.ingest.window_seconds }
    commit = { timeout_seconds = local.commit.timeout_seconds, window_seconds = local.commit.window_seconds }
  }

  # What the functions take for it when nobody says.
  receipt_horizon_days = merge({ CALVE_RECEIPT_HORIZON_DAYS = 14 }, lookup(local.compute, "extra_settings", {})).CALVE_RECEIPT_HORIZON_DAYS

  tags = merge(
    { project = "calve", environment = local.environment },
    local.developer == "" ? {} : { developer = local.developer },
  )
}
