mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }

  mock_resource "aws_vpc" {
    defaults = { owner_id = "123456789012" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/calve/dev-alice/flow-logs" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/calve-dev-alice-flow-logs" }
  }
}

variables {
  name = "dev-alice"
}

run "nothing_by_default" {
  assert {
    condition     = length(output.subnet_ids) == 0 && length(output.security_group_ids) == 0
    error_message = "without a VPC there are no subnets and no security groups"
  }

  assert {
    condition     = output.vpc_id == null && length(output.nat_addresses) == 0
    error_message = "without a VPC there is no id of one"
  }

  assert {
    condition     = length(aws_flow_log.this) + length(aws_vpc_endpoint.s3) + length(aws_vpc_endpoint.interface) + length(data.aws_availability_zones.available) == 0
    error_message = "without a VPC nothing is made, and no zones are asked for"
  }
}

run "nulls_mean_the_defaults" {
  variables {
    enabled                 = null
    cidr                    = null
    n_zones                 = null
    zones                   = null
    interface_endpoints     = null
    other_accounts          = null
    nat                     = null
    nat_per_zone            = null
    flow_log_retention_days = null
  }

  assert {
    condition     = output.vpc_id == null
    error_message = "null must mean the default"
  }
}

run "one_private_zone" {
  variables {
    enabled = true
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { eu-west-1a = "10.64.0.0/20" }
    error_message = "one private subnet, in the first zone, with a sixteenth of the addresses"
  }

  assert {
    condition     = length(output.subnet_ids) == 1 && length(output.security_group_ids) == 1 && output.vpc_id != null
    error_message = "the functions get one subnet and one security group"
  }

  assert {
    condition     = toset([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name]) == toset(["com.amazonaws.eu-west-1.sqs"])
    error_message = "interface endpoints of the default services"
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3[0].service_name == "com.amazonaws.eu-west-1.s3"
    error_message = "S3 has a gateway endpoint"
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.s3[0].policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"] == ["123456789012"]
    error_message = "endpoints serve principals of this account alone"
  }

  assert {
    condition = alltrue([
      aws_vpc_security_group_egress_rule.functions_to_s3[0].prefix_list_id == aws_vpc_endpoint.s3[0].prefix_list_id,
      aws_vpc_security_group_egress_rule.functions_to_s3[0].from_port == 443,
      aws_vpc_security_group_egress_rule.functions_to_s3[0].to_port == 443,
      aws_vpc_security_group_egress_rule.functions_to_endpoints[0].referenced_security_group_id == aws_security_group.endpoints[0].id,
      aws_vpc_security_group_egress_rule.functions_to_endpoints[0].from_port == 443,
      aws_vpc_security_group_egress_rule.functions_to_endpoints[0].to_port == 443,
      length(aws_vpc_security_group_egress_rule.functions_to_internet) == 0,
    ])
    error_message = "the functions reach S3 and the endpoints by HTTPS, and nothing else"
  }

  assert {
    condition     = length(aws_nat_gateway.this) + length(aws_internet_gateway.this) + length(aws_subnet.public) + length(aws_route.private_to_nat) == 0
    error_message = "no way to the internet"
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_cloudwatch_log_group.flow_logs[0].retention_in_days == 30
    error_message = "flow logs are kept for 30 days"
  }
}

run "three_zones_of_a_small_range" {
  variables {
    enabled                 = true
    cidr                    = "10.1.4.0/22"
    n_zones                 = 3
    interface_endpoints     = ["sqs", "glue"]
    flow_log_retention_days = 365
    other_accounts          = ["999999999999"]
  }

  assert {
    condition = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == {
      eu-west-1a = "10.1.4.0/26"
      eu-west-1b = "10.1.4.64/26"
      eu-west-1c = "10.1.4.128/26"
    }
    error_message = "a private subnet of 64 addresses in each zone"
  }

  assert {
    condition     = length(output.subnet_ids) == 3 && length(aws_route_table_association.private) == 3
    error_message = "each zone has a subnet with a route table"
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : length(endpoint.subnet_ids) == 3 && endpoint.private_dns_enabled])
    error_message = "endpoints are in every zone"
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.interface["glue"].policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"] == ["123456789012", "999999999999"]
    error_message = "other accounts may use the endpoints when named"
  }
}

run "zones_by_name" {
  variables {
    enabled = true
    n_zones = 2
    zones   = ["eu-west-1c", "eu-west-1a", "eu-west-1b"]
  }

  assert {
    condition     = keys(aws_subnet.private) == ["eu-west-1a", "eu-west-1c"] && length(data.aws_availability_zones.available) == 0
    error_message = "the first two zones that were named"
  }
}

run "no_interface_endpoints" {
  variables {
    enabled             = true
    interface_endpoints = []
  }

  assert {
    condition     = length(aws_security_group.endpoints) + length(aws_vpc_security_group_egress_rule.functions_to_endpoints) == 0
    error_message = "without endpoints there is no security group of theirs"
  }
}

run "one_nat_gateway_for_all_zones" {
  variables {
    enabled = true
    n_zones = 3
    nat     = true
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.public : zone => subnet.cidr_block } == { eu-west-1a = "10.64.128.0/20" }
    error_message = "one public subnet, apart from the private ones"
  }

  assert {
    condition     = toset([for route in aws_route.private_to_nat : route.nat_gateway_id]) == toset([aws_nat_gateway.this["eu-west-1a"].id]) && length(aws_route.private_to_nat) == 3
    error_message = "all private subnets use the one gateway"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.functions_to_internet[0].cidr_ipv4 == "0.0.0.0/0" && aws_vpc_security_group_egress_rule.functions_to_internet[0].from_port == 443 && aws_vpc_security_group_egress_rule.functions_to_internet[0].to_port == 443
    error_message = "out to the internet by HTTPS alone"
  }

  assert {
    condition     = length(output.nat_addresses) == 1
    error_message = "the address that the functions come from"
  }
}

run "a_nat_gateway_per_zone" {
  variables {
    enabled      = true
    n_zones      = 2
    nat          = true
    nat_per_zone = true
  }

  assert {
    condition = {
      for zone, route in aws_route.private_to_nat : zone => route.nat_gateway_id
    } == { for zone, gateway in aws_nat_gateway.this : zone => gateway.id } && length(aws_nat_gateway.this) == 2
    error_message = "each zone uses its own gateway"
  }
}

run "nat_without_a_vpc_makes_nothing" {
  variables {
    nat = true
  }

  assert {
    condition     = length(aws_nat_gateway.this) + length(aws_eip.nat) == 0
    error_message = "no gateway without a VPC"
  }
}

run "refuses_more_zones_than_the_region_has" {
  command = plan

  variables {
    enabled = true
    n_zones = 3
  }

  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["us-west-1a", "us-west-1c"] }
  }

  expect_failures = [aws_vpc.this]
}

run "refuses_a_name_with_an_underscore" {
  command = plan

  variables {
    name = "dev_alice"
  }

  expect_failures = [var.name]
}

run "refuses_a_name_that_is_too_long" {
  command = plan

  variables {
    name = "a1234567890123456789012345678901"
  }

  expect_failures = [var.name]
}

run "refuses_what_is_no_range" {
  command = plan

  variables {
    cidr = "10.64.0.0"
  }

  expect_failures = [var.cidr]
}

run "refuses_a_range_that_is_too_small" {
  command = plan

  variables {
    cidr = "10.64.0.0/23"
  }

  expect_failures = [var.cidr]
}

run "refuses_a_range_that_is_too_large" {
  command = plan

  variables {
    cidr = "10.0.0.0/15"
  }

  expect_failures = [var.cidr]
}

run "refuses_four_zones" {
  command = plan

  variables {
    n_zones = 4
  }

  expect_failures = [var.n_zones]
}

run "refuses_fewer_zones_than_asked_for" {
  command = plan

  variables {
    n_zones = 2
    zones   = ["eu-west-1a"]
  }

  expect_failures = [var.zones]
}

run "refuses_a_zone_twice" {
  command = plan

  variables {
    zones = ["eu-west-1a", "eu-west-1a"]
  }

  expect_failures = [var.zones]
}

run "refuses_full_names_of_services" {
  command = plan

  variables {
    interface_endpoints = ["com.amazonaws.eu-west-1.sqs"]
  }

  expect_failures = [var.interface_endpoints]
}

run "refuses_an_interface_endpoint_of_s3" {
  command = plan

  variables {
    interface_endpoints = ["s3"]
  }

  expect_failures = [var.interface_endpoints]
}

run "refuses_aws_china" {
  command = plan

  variables {
    enabled = true
  }

  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  expect_failures = [aws_vpc.this]
}

run "refuses_an_account_that_is_none" {
  command = plan

  variables {
    other_accounts = ["12345"]
  }

  expect_failures = [var.other_accounts]
}

run "refuses_nat_per_zone_without_nat" {
  command = plan

  variables {
    nat_per_zone = true
  }

  expect_failures = [var.nat_per_zone]
}

run "refuses_a_retention_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    flow_log_retention_days = 31
  }

  expect_failures = [var.flow_log_retention_days]
}
