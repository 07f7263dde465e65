variables {
  name   = "crm-dr"
  vpc_id = "vpc-1"
  flows = {
    a = { from = "aws-tandem", to = "aws-database", port = 5432, tls = "TLS", why = "gates" }
    b = { from = "gcp-tandem", to = "aws-database", port = 5432, tls = "TLS", why = "relay" }
    c = { from = "witness", to = "aws-etcd", port = 2380, tls = "mutual TLS", why = "consensus" }
    g = { from = "gcp-etcd", to = "aws-etcd", port = 2380, tls = "mutual TLS", why = "consensus" }
    h = { from = "gcp-tandem", to = "aws-etcd", port = 2379, tls = "mutual TLS", why = "agents" }
    d = { from = "edge", to = "aws-alb", port = 443, tls = "TLS", why = "users" }
    f = { from = "gcp-database", to = "aws-database", port = 5432, tls = "TLS", why = "subscription" }
    e = { from = "aws-tandem", to = "gcp-tandem", port = 8400, tls = "mutual TLS", why = "agents" }
  }
  gcp_cidrs      = ["10.20.0.0/20", "10.21.0.0/16", "10.23.0.0/20"]
  gcp_etcd_cidrs = ["198.51.100.2/32"]
  witness_cidrs  = ["203.0.113.9/32"]
  tags           = { project = "crm" }
}

run "shape" {
  assert {
    condition     = [aws_vpc_security_group_ingress_rule.inside["a"].security_group_id, aws_vpc_security_group_ingress_rule.inside["a"].referenced_security_group_id] == [output.security_group_ids["database"], output.security_group_ids["tandem"]] && length(aws_vpc_security_group_ingress_rule.inside) == 1
    error_message = "The database admits Tandem's machines."
  }
  assert {
    condition     = toset([for r in aws_vpc_security_group_ingress_rule.outside : r.cidr_ipv4 if r.security_group_id == output.security_group_ids["database"]]) == toset(["10.20.0.0/20", "10.21.0.0/16", "10.23.0.0/20"])
    error_message = "GCP comes from nodes, pods and Cloud SQL's range, not from the node range alone."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.outside["aws-database_5432_10.23.0.0/20"].description == "gcp-tandem: relay, gcp-database: subscription" && length([for r in aws_vpc_security_group_ingress_rule.outside : r if r.security_group_id == output.security_group_ids["database"]]) == 3
    error_message = "An opening that two flows need is made once; AWS refuses a second one."
  }
  assert {
    condition     = [for r in aws_vpc_security_group_ingress_rule.outside : [r.from_port, r.to_port, r.description] if r.cidr_ipv4 == "203.0.113.9/32" && r.security_group_id == output.security_group_ids["etcd"]] == [[2380, 2380, "witness: consensus"]]
    error_message = "etcd admits the witness by its address."
  }
  assert {
    condition     = toset([for r in aws_vpc_security_group_ingress_rule.outside : r.cidr_ipv4 if r.from_port == 2380 && r.description == "gcp-etcd: consensus"]) == toset(concat(var.gcp_cidrs, ["198.51.100.2/32"])) && toset([for r in aws_vpc_security_group_ingress_rule.outside : r.cidr_ipv4 if r.from_port == 2379]) == toset(var.gcp_cidrs)
    error_message = "GCP's member comes through the VPN or from its public address; everybody else of GCP through the VPN alone."
  }
  assert {
    condition     = length([for r in aws_vpc_security_group_ingress_rule.outside : r if r.security_group_id == output.security_group_ids["alb"]]) == 15 && !contains([for r in aws_vpc_security_group_ingress_rule.outside : r.cidr_ipv4], "0.0.0.0/0")
    error_message = "The load balancer admits Cloudflare only."
  }
  assert {
    condition     = alltrue([for r in concat(values(aws_vpc_security_group_ingress_rule.inside), values(aws_vpc_security_group_ingress_rule.outside)) : r.ip_protocol == "tcp" && r.from_port == r.to_port]) && aws_vpc_security_group_ingress_rule.inside["a"].from_port == 5432 && aws_vpc_security_group_ingress_rule.inside["a"].description == "gates"
    error_message = "One port a rule, each with its reason."
  }
  assert {
    condition     = toset([for r in aws_vpc_security_group_egress_rule.any : r.security_group_id]) == toset([for place, id in output.security_group_ids : id if place != "cache"]) && alltrue([for r in aws_vpc_security_group_egress_rule.any : r.cidr_ipv4 == "0.0.0.0/0" && r.ip_protocol == "-1" && r.description != null])
    error_message = "A cache opens no connection."
  }
  assert {
    condition     = toset(keys(output.security_group_ids)) == toset(["application", "tandem", "database", "cache", "etcd", "alb"]) && alltrue([for place, g in aws_security_group.this : g.vpc_id == "vpc-1" && g.name == "crm-dr-${place}" && g.description == "Tandem: ${place} of the AWS site" && g.tags["project"] == "crm" && g.tags["Name"] == g.name])
    error_message = "One group a place."
  }
}

run "no_witness_yet" {
  command = plan
  variables {
    witness_cidrs = []
  }
  assert {
    condition     = length([for key, r in aws_vpc_security_group_ingress_rule.outside : r if startswith(r.description, "witness")]) == 0
    error_message = "Without a witness nothing is opened for it."
  }
}

run "the_internet_is_no_witness" {
  command = plan
  variables {
    witness_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.witness_cidrs]
}

run "the_internet_is_no_member" {
  command = plan
  variables {
    gcp_etcd_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.gcp_etcd_cidrs]
}
