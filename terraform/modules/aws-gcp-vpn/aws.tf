# AWS's half: a VPN gateway in the VPC, and a connection to each interface of GCP's gateway.

resource "aws_vpn_gateway" "this" {
  amazon_side_asn = tostring(var.aws_asn)
  tags            = merge(var.tags, { Name = "${var.name}-vpn" })

  lifecycle {
    precondition {
      condition     = length(module.cidr.overlaps) == 0
      error_message = "Overlapping ranges cannot be routed through the tunnels: ${join("; ", module.cidr.overlaps)}."
    }
    precondition {
      condition     = var.aws_asn != var.gcp_asn
      error_message = "aws_asn and gcp_asn are both ${var.aws_asn}: BGP between the clouds needs two different AS numbers."
    }
  }
}

resource "aws_vpn_gateway_attachment" "this" {
  vpc_id         = var.vpc_id
  vpn_gateway_id = aws_vpn_gateway.this.id
}

resource "aws_vpn_gateway_route_propagation" "private" {
  for_each = var.private_route_table_ids

  route_table_id = each.value
  vpn_gateway_id = aws_vpn_gateway_attachment.this.vpn_gateway_id
}

resource "aws_customer_gateway" "gcp" {
  for_each = { first = 0, second = 1 }

  type       = "ipsec.1"
  bgp_asn    = tostring(var.gcp_asn)
  ip_address = google_compute_ha_vpn_gateway.this.vpn_interfaces[each.value].ip_address
  tags       = merge(var.tags, { Name = "${var.name}-gcp-interface-${each.value}" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpn_connection" "this" {
  for_each = {
    first  = { number = 1, tunnels = ["0", "1"] }
    second = { number = 2, tunnels = ["2", "3"] }
  }

  type                = "ipsec.1"
  vpn_gateway_id      = aws_vpn_gateway.this.id
  customer_gateway_id = aws_customer_gateway.gcp[each.key].id
  static_routes_only  = false
  tags                = merge(var.tags, { Name = "${var.name}-vpn-tunnel-${each.value.number}" })

  tunnel1_inside_cidr                  = var.inside_cidrs[each.value.tunnels[0]]
  tunnel1_preshared_key                = local.keys[each.value.tunnels[0]]
  tunnel1_ike_versions                 = ["ikev2"]
  tunnel1_phase1_encryption_algorithms = [var.ike_encryption]
  tunnel1_phase1_integrity_algorithms  = [var.ike_integrity]
  tunnel1_phase1_dh_group_numbers      = [var.ike_dh_group]
  tunnel1_phase2_encryption_algorithms = [var.ike_encryption]
  tunnel1_phase2_integrity_algorithms  = [var.ike_integrity]
  tunnel1_phase2_dh_group_numbers      = [var.ike_dh_group]
  tunnel1_dpd_timeout_action           = "restart"
  tunnel1_startup_action               = "add"

  tunnel2_inside_cidr                  = var.inside_cidrs[each.value.tunnels[1]]
  tunnel2_preshared_key                = local.keys[each.value.tunnels[1]]
  tunnel2_ike_versions                 = ["ikev2"]
  tunnel2_phase1_encryption_algorithms = [var.ike_encryption]
  tunnel2_phase1_integrity_algorithms  = [var.ike_integrity]
  tunnel2_phase1_dh_group_numbers      = [var.ike_dh_group]
  tunnel2_phase2_encryption_algorithms = [var.ike_encryption]
  tunnel2_phase2_integrity_algorithms  = [var.ike_integrity]
  tunnel2_phase2_dh_group_numbers      = [var.ike_dh_group]
  tunnel2_dpd_timeout_action           = "restart"
  tunnel2_startup_action               = "add"
}
