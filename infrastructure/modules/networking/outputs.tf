output "subnet_ids" {
  description = "The private subnets that the functions run in, one per zone. Empty without a VPC."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]

  # A function that starts before these are there reaches nothing.
  depends_on = [
    aws_route_table_association.private,
    aws_route.private_to_nat,
    aws_vpc_endpoint.s3,
    aws_vpc_endpoint.interface,
  ]
}

output "security_group_ids" {
  description = "The security group of the functions, in a list. Empty without a VPC."
  value       = aws_security_group.functions[*].id

  depends_on = [
    aws_vpc_security_group_egress_rule.functions_to_endpoints,
    aws_vpc_security_group_egress_rule.functions_to_internet,
    aws_vpc_security_group_egress_rule.functions_to_s3,
    aws_vpc_security_group_ingress_rule.endpoints_from_functions,
  ]
}

output "vpc_id" {
  description = "The VPC; null without."
  value       = one(aws_vpc.this[*].id)
}

output "nat_addresses" {
  description = "The public IPv4 addresses that the functions come from, for the allow-list of a catalog on the internet. Empty without NAT."
  value       = [for zone in sort(keys(local.public)) : aws_eip.nat[zone].public_ip]
}
