# AWS's half of the table of permitted connections: one security group a place, one rule a flow and source.
#
# Nodes and the machines of Tandem may open connections to anywhere; databases, caches and the load balancer only
# answer, and a database also subscribes to its peer.

locals {
  places = toset(["application", "tandem", "database", "cache", "etcd", "alb"])

  outside = {
    edge     = var.edge_cidrs
    witness  = var.witness_cidrs
    gcp-etcd = concat(var.gcp_cidrs, var.gcp_etcd_cidrs)
  }

  # Flows into AWS, one entry for each source: a group of ours, or each range of a place outside.
  inside_rules = { for key, flow in var.flows : key => flow if startswith(flow.to, "aws-") && startswith(flow.from, "aws-") }
  # Two flows may ask for the same opening (relay and subscription): AWS refuses a rule that is there already.
  outside_rules = { for opening, flows in {
    for entry in flatten([
      for key, flow in var.flows : [
        for cidr in lookup(local.outside, flow.from, startswith(flow.from, "gcp-") ? var.gcp_cidrs : []) : merge(flow, { cidr = cidr })
      ] if startswith(flow.to, "aws-") && !startswith(flow.from, "aws-")
    ]) : "${entry.to}_${entry.port}_${entry.cidr}" => entry...
  } : opening => merge(flows[0], { why = join(", ", distinct([for flow in flows : "${flow.from}: ${flow.why}"])) }) }
}

resource "aws_security_group" "this" {
  for_each = local.places

  name        = "${var.name}-${each.key}"
  description = "Tandem: ${each.key} of the AWS site"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${each.key}" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "inside" {
  for_each = local.inside_rules

  security_group_id            = aws_security_group.this[trimprefix(each.value.to, "aws-")].id
  referenced_security_group_id = aws_security_group.this[trimprefix(each.value.from, "aws-")].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  description                  = each.value.why
}

resource "aws_vpc_security_group_ingress_rule" "outside" {
  for_each = local.outside_rules

  security_group_id = aws_security_group.this[trimprefix(each.value.to, "aws-")].id
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  description       = each.value.why
}

resource "aws_vpc_security_group_egress_rule" "any" {
  for_each = toset(["application", "tandem", "database", "etcd", "alb"])

  security_group_id = aws_security_group.this[each.key].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
  description       = "opens connections itself; the other end decides"
}
