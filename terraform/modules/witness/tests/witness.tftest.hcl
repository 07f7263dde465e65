variables {
  availability_zone = "ap-southeast-1a"
  site_cidrs        = ["198.51.100.10/32", "198.51.100.20/32"]
  initial_cluster   = { aws = "198.51.100.1", gcp = "198.51.100.2", witness = "198.51.100.3" }
  tags              = { project = "crm" }
}

run "shape" {
  assert {
    condition     = toset([for r in aws_vpc_security_group_ingress_rule.sites : "${r.cidr_ipv4} ${r.from_port}-${r.to_port} ${r.ip_protocol}"]) == toset(flatten([for port in [2379, 2380, 8400] : [for cidr in ["198.51.100.10/32", "198.51.100.20/32"] : "${cidr} ${port}-${port} tcp"]]))
    error_message = "Agents and etcd of both sites, by their addresses; nobody else, and no SSH."
  }
  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.sites : r.security_group_id == aws_security_group.this.id && endswith(r.description, "mutual TLS")]) && aws_vpc_security_group_egress_rule.any.security_group_id == aws_security_group.this.id && aws_vpc_security_group_egress_rule.any.cidr_ipv4 == "0.0.0.0/0" && aws_vpc_security_group_egress_rule.any.ip_protocol == "-1" && aws_vpc_security_group_egress_rule.any.description != null
    error_message = "Each opening says what it is for."
  }
  assert {
    condition     = aws_vpc.this.cidr_block == "10.250.0.0/24" && aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames && aws_subnet.this.cidr_block == "10.250.0.0/24" && aws_subnet.this.availability_zone == "ap-southeast-1a" && alltrue([for id in [aws_subnet.this.vpc_id, aws_internet_gateway.this.vpc_id, aws_route_table.this.vpc_id, aws_security_group.this.vpc_id, aws_default_security_group.this.vpc_id] : id == aws_vpc.this.id])
    error_message = "A VPC of its own, joined to nothing."
  }
  assert {
    condition     = aws_route.internet.gateway_id == aws_internet_gateway.this.id && aws_route.internet.route_table_id == aws_route_table.this.id && aws_route.internet.destination_cidr_block == "0.0.0.0/0" && aws_route_table_association.this.subnet_id == aws_subnet.this.id && aws_route_table_association.this.route_table_id == aws_route_table.this.id
    error_message = "It reaches the internet, not the VPN."
  }
  assert {
    condition     = output.public_ip != "" && output.instance_id != "" && aws_security_group.this.name == "tandem-witness" && aws_security_group.this.description == "Tandem: the witness" && alltrue([for tags in [aws_vpc.this.tags, aws_subnet.this.tags, aws_internet_gateway.this.tags, aws_route_table.this.tags, aws_security_group.this.tags] : tags["project"] == "crm" && tags["Name"] == "tandem-witness"]) && aws_default_security_group.this.tags["Name"] == "tandem-witness-default-closed"
    error_message = "Names, tags and outputs."
  }
}

run "wide_openings_are_refused" {
  command = plan
  variables {
    site_cidrs = ["0.0.0.0/0"]
    vpc_cidr   = "10.250.0.0/30"
  }
  expect_failures = [var.site_cidrs, var.vpc_cidr]
}
