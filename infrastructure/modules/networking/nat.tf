# The way to the internet, for a catalog that is no AWS service.

resource "aws_internet_gateway" "this" {
  count = length(local.public) > 0 ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "calve-${var.name}" }
}

resource "aws_subnet" "public" {
  for_each = local.public

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = each.value

  tags = { Name = "calve-${var.name}-public-${each.key}" }
}

resource "aws_route_table" "public" {
  count = length(local.public) > 0 ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "calve-${var.name}-public" }
}

resource "aws_route_table_association" "public" {
  for_each = local.public

  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route" "public_to_internet" {
  count = length(local.public) > 0 ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:It belongs to the NAT gateway, not to an instance.
  for_each = local.public

  domain = "vpc"

  tags = { Name = "calve-${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each = local.public

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "calve-${var.name}-${each.key}" }

  depends_on = [aws_route.public_to_internet]
}

resource "aws_route" "private_to_nat" {
  for_each = length(local.public) > 0 ? local.private : {}

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.nat_per_zone ? each.key : local.zones[0]].id
}

#trivy:ignore:AVD-AWS-0104 A catalog on the internet has no range of addresses that could be named.
resource "aws_vpc_security_group_egress_rule" "functions_to_internet" {
  count = length(local.public) > 0 ? 1 : 0

  security_group_id = aws_security_group.functions[0].id
  description       = "HTTPS to the internet by the NAT gateway"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
