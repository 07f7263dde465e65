# The VPC of the AWS site: public subnets for the load balancer and NAT, private ones for everything else.
#
# Each zone has its own route table and, unless told otherwise, its own NAT gateway, so that the loss of a zone
# stays in that zone. The VPN propagates its routes into each of these private tables.

module "cidr" {
  source = "../cidr-overlap"
  ranges = merge(
    { for i, cidr in var.public_subnet_cidrs : "public_subnet_cidrs[${i}]" => cidr },
    { for i, cidr in var.private_subnet_cidrs : "private_subnet_cidrs[${i}]" => cidr },
  )
}

locals {
  vpc_bits = tonumber(split("/", var.vpc_cidr)[1])
  outside = [
    for cidr in concat(var.public_subnet_cidrs, var.private_subnet_cidrs) : cidr
    if cidrhost("${cidrhost(cidr, 0)}/${local.vpc_bits}", 0) != cidrhost(var.vpc_cidr, 0) || tonumber(split("/", cidr)[1]) < local.vpc_bits
  ]

  # Lists that are too short are refused by the VPC's precondition; `try` lets the plan get that far.
  public  = { for i, zone in var.availability_zones : zone => try(var.public_subnet_cidrs[i], null) }
  private = { for i, zone in var.availability_zones : zone => try(var.private_subnet_cidrs[i], null) }

  nat_zones = var.single_nat_gateway ? [var.availability_zones[0]] : var.availability_zones
  nat_of    = { for zone in var.availability_zones : zone => var.single_nat_gateway ? var.availability_zones[0] : zone }
}

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })

  lifecycle {
    precondition {
      condition     = length(var.public_subnet_cidrs) == length(var.availability_zones) && length(var.private_subnet_cidrs) == length(var.availability_zones)
      error_message = "Give one public and one private subnet for each of the ${length(var.availability_zones)} availability zones."
    }
    precondition {
      condition     = length(local.outside) == 0
      error_message = "These subnets lie outside of the VPC's ${var.vpc_cidr}: ${join(", ", local.outside)}."
    }
    precondition {
      condition     = length(module.cidr.overlaps) == 0
      error_message = "Subnets must not overlap: ${join("; ", module.cidr.overlaps)}."
    }
  }
}

# Nothing uses the default group; without rules, nothing can use it by mistake.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default-closed" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_subnet" "public" {
  for_each = local.public

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${var.name}-public-${each.key}", "kubernetes.io/role/elb" = "1" })
}

resource "aws_subnet" "private" {
  for_each = local.private

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${var.name}-private-${each.key}", "kubernetes.io/role/internal-elb" = "1" })
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain = "vpc"
  tags   = merge(var.tags, { Name = "${var.name}-nat-${each.key}" })
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-public" })
}

resource "aws_route" "public_internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = local.public

  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  for_each = local.private

  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_route" "private_internet" {
  for_each = local.private

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[local.nat_of[each.key]].id
}

resource "aws_route_table_association" "private" {
  for_each = local.private

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

# Image layers come from S3: past the NAT gateways, which charge by the gigabyte.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for zone in var.availability_zones : aws_route_table.private[zone].id]
  tags              = merge(var.tags, { Name = "${var.name}-s3" })
}

data "aws_region" "current" {}
