output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "vpc_cidr" {
  description = "Address range of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "Public subnets, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Private subnets, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets by zone; the VPN propagates its routes into each. The keys are known before the first apply."
  value       = { for zone in var.availability_zones : zone => aws_route_table.private[zone].id }
}

output "nat_public_ips" {
  description = "Addresses that this site's outgoing connections come from; the witness admits them."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}
