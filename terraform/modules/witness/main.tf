# The witness: a vote and a vantage in a third place, with no data. A small machine in a VPC of its own, reached over
# the internet by mutual TLS, so that it still counts when the VPN between the clouds is what broke.
#
# This module takes an AWS region far from both sites. A third provider is better still: module etcd-config gives its
# user data to any machine (README.md shows one).

locals {
  ports = { agent = var.agent_port, etcd_client = var.client_port, etcd_peer = var.peer_port }
  openings = merge([
    for part, port in local.ports : { for cidr in var.site_cidrs : "${part}_${cidr}" => { part = part, port = port, cidr = cidr } }
  ]...)
}

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default-closed" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_subnet" "this" {
  vpc_id            = aws_vpc.this.id
  cidr_block        = var.vpc_cidr
  availability_zone = var.availability_zone
  tags              = merge(var.tags, { Name = var.name })
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.this.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "this" {
  subnet_id      = aws_subnet.this.id
  route_table_id = aws_route_table.this.id
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Tandem: the witness"
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = var.name })
}

resource "aws_vpc_security_group_ingress_rule" "sites" {
  for_each = local.openings

  security_group_id = aws_security_group.this.id
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  description       = "${each.value.part}, mutual TLS"
}

resource "aws_vpc_security_group_egress_rule" "any" {
  security_group_id = aws_security_group.this.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
  description       = "looks at both sites and the edge"
}

module "member" {
  source = "../etcd-aws"

  name               = var.name
  member             = "witness"
  initial_cluster    = var.initial_cluster
  availability_zone  = var.availability_zone
  subnet_id          = aws_subnet.this.id
  security_group_ids = [aws_security_group.this.id]
  client_port        = var.client_port
  peer_port          = var.peer_port
  tags               = var.tags
}
