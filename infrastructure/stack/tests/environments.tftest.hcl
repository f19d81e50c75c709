# Every environment as its values say, planned without AWS.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  packages = "../modules/compute/tests/zips"
}

run "local_plays_everything_but_the_catalog" {
  command = plan

  variables {
    environment   = jsondecode(file("../environments/local/values.json")).environment
    region        = jsondecode(file("../environments/local/values.json")).region
    account_id    = jsondecode(file("../environments/local/values.json")).account_id
    emulator      = jsondecode(file("../environments/local/values.json")).emulator
    networking    = jsondecode(file("../environments/local/values.json")).networking
    storage       = jsondecode(file("../environments/local/values.json")).storage
    queues        = jsondecode(file("../environments/local/values.json")).queues
    observability = jsondecode(file("../environments/local/values.json")).observability
    compute       = jsondecode(file("../environments/local/values.json")).compute
  }

  assert {
    condition     = output.name == "local" && output.table == "local.events"
    error_message = "names must be those of the environment"
  }

  assert {
    condition     = output.settings.CALVE_CATALOG_URI == "http://127.0.0.1:8181" && output.settings.CALVE_CATALOG_VENDED_CREDENTIALS == "true"
    error_message = "the catalog must be a REST catalog on this machine"
  }

  assert {
    condition     = output.http_api_url == null && output.stream_name == null
    error_message = "LocalStack has no HTTP API, and a stream is a choice"
  }
}

run "dev_is_small_and_of_one_developer" {
  command = plan

  variables {
    developer     = "alice"
    environment   = jsondecode(file("../environments/dev/values.json")).environment
    region        = jsondecode(file("../environments/dev/values.json")).region
    account_id    = jsondecode(file("../environments/dev/values.json")).account_id
    networking    = jsondecode(file("../environments/dev/values.json")).networking
    storage       = jsondecode(file("../environments/dev/values.json")).storage
    queues        = jsondecode(file("../environments/dev/values.json")).queues
    observability = jsondecode(file("../environments/dev/values.json")).observability
    compute       = jsondecode(file("../environments/dev/values.json")).compute
  }

  assert {
    condition     = output.name == "dev-alice" && output.table == "dev_alice.events"
    error_message = "names must be prefixed by developer, with an underscore where AWS takes no hyphen"
  }

  assert {
    condition     = output.warehouse == "s3://calve-dev-alice-lake-${var.account_id}/dev_alice"
    error_message = "bucket and keys must be the developer's own"
  }

  assert {
    condition     = length(module.networking.subnet_ids) == 0
    error_message = "dev must have no VPC, which costs by the hour"
  }

  assert {
    condition     = length(output.alarm_names) == 0 && output.topic_arn == null
    error_message = "dev must wake up nobody"
  }

  assert {
    condition     = output.first_command == "./scripts/run_mock_generator.sh --environment dev --developer alice --seconds 10"
    error_message = "the first command must name the developer"
  }
}

run "int_is_in_between" {
  command = plan

  variables {
    environment   = jsondecode(file("../environments/int/values.json")).environment
    region        = jsondecode(file("../environments/int/values.json")).region
    account_id    = jsondecode(file("../environments/int/values.json")).account_id
    networking    = jsondecode(file("../environments/int/values.json")).networking
    storage       = jsondecode(file("../environments/int/values.json")).storage
    queues        = jsondecode(file("../environments/int/values.json")).queues
    observability = jsondecode(file("../environments/int/values.json")).observability
    compute       = jsondecode(file("../environments/int/values.json")).compute
  }

  assert {
    condition     = length(module.networking.subnet_ids) == 1
    error_message = "int must have a VPC in one zone"
  }

  assert {
    condition     = output.stream_name == "calve-int-events"
    error_message = "int must have a stream, so that every way in is tried before prod"
  }

  assert {
    condition     = length(setsubtract(["calve-int-commits-failed", "calve-int-stream-age", "calve-int-stream-given-up"], output.alarm_names)) == 0
    error_message = "int must have alarms, those of its stream among them"
  }
}

run "prod_is_protected_in_three_zones_with_alarms" {
  command = plan

  variables {
    environment   = jsondecode(file("../environments/prod/values.json")).environment
    region        = jsondecode(file("../environments/prod/values.json")).region
    account_id    = jsondecode(file("../environments/prod/values.json")).account_id
    protected     = jsondecode(file("../environments/prod/values.json")).protected
    networking    = jsondecode(file("../environments/prod/values.json")).networking
    storage       = jsondecode(file("../environments/prod/values.json")).storage
    queues        = jsondecode(file("../environments/prod/values.json")).queues
    observability = jsondecode(file("../environments/prod/values.json")).observability
    compute       = jsondecode(file("../environments/prod/values.json")).compute
  }

  assert {
    condition     = var.protected
    error_message = "prod must be protected"
  }

  assert {
    condition     = length(module.networking.subnet_ids) == 3
    error_message = "prod must have a subnet in three zones"
  }

  assert {
    condition     = length(output.alarm_names) > 0
    error_message = "prod must have alarms"
  }
}
