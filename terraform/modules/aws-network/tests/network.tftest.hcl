variables {
  name                 = "crm-dr"
  vpc_cidr             = "10.30.0.0/16"
  availability_zones   = ["ap-northeast-2a", "ap-northeast-2c"]
  public_subnet_cidrs  = ["10.30.0.0/24", "10.30.1.0/24"]
  private_subnet_cidrs = ["10.30.10.0/24", "10.30.11.0/24"]
  tags                 = { project = "crm" }
}

run "shape" {
  assert {
    condition     = aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames && aws_vpc.this.cidr_block == "10.30.0.0/16"
    error_message = "Endpoint names of RDS and ElastiCache resolve only with DNS support and host names on."
  }
  assert {
    condition = { for zone, s in aws_subnet.private : zone => [s.cidr_block, s.availability_zone, s.vpc_id == aws_vpc.this.id] } == {
      "ap-northeast-2a" = ["10.30.10.0/24", "ap-northeast-2a", true]
      "ap-northeast-2c" = ["10.30.11.0/24", "ap-northeast-2c", true]
    }
    error_message = "Each private subnet stands in its zone, in the order given."
  }
  assert {
    condition = { for zone, s in aws_subnet.public : zone => [s.cidr_block, s.availability_zone, s.vpc_id == aws_vpc.this.id] } == {
      "ap-northeast-2a" = ["10.30.0.0/24", "ap-northeast-2a", true]
      "ap-northeast-2c" = ["10.30.1.0/24", "ap-northeast-2c", true]
    }
    error_message = "Each public subnet stands in its zone, in the order given."
  }
  assert {
    condition     = alltrue([for s in aws_subnet.public : s.map_public_ip_on_launch != true && s.tags["kubernetes.io/role/elb"] == "1"]) && alltrue([for s in aws_subnet.private : s.tags["kubernetes.io/role/internal-elb"] == "1"])
    error_message = "Subnets carry the role that load balancers look for, and machines get no public address by themselves."
  }
  assert {
    condition     = alltrue([for zone, r in aws_route.private_internet : r.nat_gateway_id == aws_nat_gateway.this[zone].id && r.destination_cidr_block == "0.0.0.0/0" && r.route_table_id == aws_route_table.private[zone].id])
    error_message = "Each private route table leaves through the NAT gateway of its own zone."
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 2 && alltrue([for zone, n in aws_nat_gateway.this : n.subnet_id == aws_subnet.public[zone].id && n.allocation_id == aws_eip.nat[zone].id]) && alltrue([for e in aws_eip.nat : e.domain == "vpc"])
    error_message = "One NAT gateway with its own address a zone, in that zone's public subnet."
  }
  assert {
    condition     = alltrue([for zone, a in aws_route_table_association.private : a.route_table_id == aws_route_table.private[zone].id && a.subnet_id == aws_subnet.private[zone].id]) && alltrue([for zone, a in aws_route_table_association.public : a.route_table_id == aws_route_table.public.id && a.subnet_id == aws_subnet.public[zone].id])
    error_message = "Every subnet uses its own route table."
  }
  assert {
    condition     = aws_route.public_internet.gateway_id == aws_internet_gateway.this.id && aws_route.public_internet.destination_cidr_block == "0.0.0.0/0" && aws_route.public_internet.route_table_id == aws_route_table.public.id && aws_internet_gateway.this.vpc_id == aws_vpc.this.id
    error_message = "The public table leaves through the internet gateway of this VPC."
  }
  assert {
    condition     = alltrue([for t in concat([aws_route_table.public], values(aws_route_table.private)) : t.vpc_id == aws_vpc.this.id])
    error_message = "Route tables belong to this VPC."
  }
  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && toset(aws_vpc_endpoint.s3.route_table_ids) == toset(values(output.private_route_table_ids)) && endswith(aws_vpc_endpoint.s3.service_name, ".s3") && aws_vpc_endpoint.s3.vpc_id == aws_vpc.this.id
    error_message = "S3 is reached from every private table without NAT."
  }
  assert {
    condition     = aws_default_security_group.this.vpc_id == aws_vpc.this.id && length(aws_default_security_group.this.ingress) + length(aws_default_security_group.this.egress) == 0
    error_message = "The default security group admits nothing."
  }
  assert {
    condition     = aws_flow_log.this["this"].traffic_type == "ALL" && aws_flow_log.this["this"].vpc_id == aws_vpc.this.id && aws_flow_log.this["this"].log_destination == aws_cloudwatch_log_group.flow["this"].arn && aws_flow_log.this["this"].iam_role_arn == aws_iam_role.flow["this"].arn && aws_cloudwatch_log_group.flow["this"].retention_in_days == 30
    error_message = "Flow logs of this VPC go to a log group that forgets after 30 days."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.flow["this"].policy).Statement[0].Resource == "${aws_cloudwatch_log_group.flow["this"].arn}:*" && aws_iam_role_policy.flow["this"].role == aws_iam_role.flow["this"].id
    error_message = "The flow-log role writes to its own group only."
  }
  assert {
    condition     = jsondecode(aws_iam_role.flow["this"].assume_role_policy).Statement[0].Principal.Service == "vpc-flow-logs.amazonaws.com"
    error_message = "Only the flow-log service takes the role."
  }
  assert {
    condition     = alltrue([for p in [aws_iam_role.flow["this"].assume_role_policy, aws_iam_role_policy.flow["this"].policy] : jsondecode(p).Version == "2012-10-17" && jsondecode(p).Statement[0].Effect == "Allow"]) && jsondecode(aws_iam_role.flow["this"].assume_role_policy).Statement[0].Action == "sts:AssumeRole" && jsondecode(aws_iam_role_policy.flow["this"].policy).Statement[0].Action == ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"] && aws_cloudwatch_log_group.flow["this"].name == "/vpc/crm-dr/flow"
    error_message = "Whole policies: it writes logs and nothing else."
  }
  assert {
    condition     = alltrue([for tags in [aws_vpc.this.tags, aws_internet_gateway.this.tags, aws_eip.nat["ap-northeast-2a"].tags, aws_nat_gateway.this["ap-northeast-2c"].tags, aws_route_table.public.tags, aws_route_table.private["ap-northeast-2a"].tags, aws_vpc_endpoint.s3.tags, aws_flow_log.this["this"].tags, aws_cloudwatch_log_group.flow["this"].tags, aws_iam_role.flow["this"].tags, aws_default_security_group.this.tags] : tags["project"] == "crm"])
    error_message = "Every resource carries the tags."
  }
  assert {
    condition     = output.private_subnet_ids == [aws_subnet.private["ap-northeast-2a"].id, aws_subnet.private["ap-northeast-2c"].id] && output.public_subnet_ids == [aws_subnet.public["ap-northeast-2a"].id, aws_subnet.public["ap-northeast-2c"].id] && output.nat_public_ips == [aws_eip.nat["ap-northeast-2a"].public_ip, aws_eip.nat["ap-northeast-2c"].public_ip] && output.vpc_id == aws_vpc.this.id && output.vpc_cidr == "10.30.0.0/16"
    error_message = "Outputs keep the order of the zones."
  }
}

run "one_nat_gateway" {
  command = plan
  variables {
    single_nat_gateway      = true
    flow_log_retention_days = 0
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_eip.nat) == 1 && length(aws_route.private_internet) == 2 && length(aws_flow_log.this) == 0
    error_message = "One gateway for both zones if asked for, and no flow log with 0 days."
  }
}

run "one_zone_is_refused" {
  command = plan
  variables {
    availability_zones   = ["ap-northeast-2a"]
    public_subnet_cidrs  = ["10.30.0.0/24"]
    private_subnet_cidrs = ["10.30.10.0/24"]
  }
  expect_failures = [var.availability_zones]
}

run "missing_subnet_is_refused" {
  command = plan
  variables {
    private_subnet_cidrs = ["10.30.10.0/24"]
  }
  expect_failures = [aws_vpc.this]
}

run "subnet_outside_is_refused" {
  command = plan
  variables {
    private_subnet_cidrs = ["10.30.10.0/24", "10.31.11.0/24"]
  }
  expect_failures = [aws_vpc.this]
}

run "subnet_larger_than_vpc_is_refused" {
  command = plan
  variables {
    vpc_cidr             = "10.30.0.0/20"
    public_subnet_cidrs  = ["10.30.0.0/24", "10.30.1.0/24"]
    private_subnet_cidrs = ["10.30.0.0/16", "10.30.2.0/24"]
  }
  expect_failures = [aws_vpc.this]
}

run "overlapping_subnets_are_refused" {
  command = plan
  variables {
    private_subnet_cidrs = ["10.30.10.0/24", "10.30.1.128/25"]
  }
  expect_failures = [aws_vpc.this]
}

run "public_range_is_refused" {
  command = plan
  variables {
    vpc_cidr = "52.30.0.0/16"
  }
  expect_failures = [var.vpc_cidr]
}

run "odd_retention_is_refused" {
  command = plan
  variables {
    flow_log_retention_days = 31
  }
  expect_failures = [var.flow_log_retention_days]
}
