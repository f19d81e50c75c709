# A VPC with one private subnet per zone. From it the functions reach S3 and the named services, and nothing else unless
# `nat` says so.

locals {
  names   = length(var.zones) > 0 ? var.zones : try(data.aws_availability_zones.available[0].names, [])
  n_zones = var.enabled ? var.n_zones : 0
  zones   = [for position, zone in local.names : zone if position < local.n_zones]
  private = { for position, zone in local.zones : zone => cidrsubnet(var.cidr, 4, position) }
  public  = { for position, zone in local.zones : zone => cidrsubnet(var.cidr, 4, 8 + position) if var.nat && (position == 0 || var.nat_per_zone) }
}

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_availability_zones" "available" {
  count = var.enabled && length(var.zones) == 0 ? 1 : 0

  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "aws_vpc" "this" {
  count = var.enabled ? 1 : 0

  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # Interface endpoints answer to the usual names of their services.

  tags = { Name = "calve-${var.name}" }

  lifecycle {
    precondition {
      condition     = data.aws_partition.current.partition != "aws-cn"
      error_message = "The region is one of AWS China, which is not supported: endpoint services have other names there."
    }

    precondition {
      condition     = length(local.zones) == local.n_zones
      error_message = "The region has ${length(local.zones)} availability zones, n_zones asks for ${var.n_zones}."
    }
  }
}

# Whatever is started without a security group gets the default one: it lets nothing through.
resource "aws_default_security_group" "this" {
  count = var.enabled ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "calve-${var.name}-default" }
}

resource "aws_subnet" "private" {
  for_each = local.private

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = each.value

  tags = { Name = "calve-${var.name}-private-${each.key}" }
}

resource "aws_route_table" "private" {
  for_each = local.private

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "calve-${var.name}-private-${each.key}" }
}

resource "aws_route_table_association" "private" {
  for_each = local.private

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

resource "aws_security_group" "functions" {
  #checkov:skip=CKV2_AWS_5:The functions are attached to it, in another module.
  count = var.enabled ? 1 : 0

  name        = "calve-${var.name}-functions"
  description = "The functions: out by HTTPS to the endpoints alone, nothing in."
  vpc_id      = aws_vpc.this[0].id

  tags = { Name = "calve-${var.name}-functions" }
}
