# Private link between the clouds: two AWS connections with two tunnels each, to both interfaces of an HA VPN gateway.
#
#   tunnel  AWS connection, tunnel   GCP interface   peer interface
#     0     first, tunnel 1                0               0
#     1     first, tunnel 2                0               1
#     2     second, tunnel 1               1               2
#     3     second, tunnel 2               1               3
#
# Google promises 99.99 % only with all four. The clouds need each other's addresses, so both providers belong in
# this one module: GCP's gateway, AWS's customer gateways and connections, then GCP's tunnels and BGP sessions.

locals {
  gcp_project  = split("/", var.gcp_network_id)[1]
  gcp_network  = element(split("/", var.gcp_network_id), 4)
  gcp_prefix   = "${local.gcp_network}-vpn"
  advertised   = { for cidr in var.gcp_additional_cidrs : cidr => "beside the nodes" }
  all_networks = merge({ vpc_cidr = var.vpc_cidr, gcp_vpc_cidr = var.gcp_vpc_cidr }, { for i, cidr in var.gcp_additional_cidrs : "gcp_additional_cidrs[${i}]" => cidr })

  # An empty key counts as none: AWS then makes one, and GCP reads it from the connection.
  keys = {
    "0" = try(coalesce(var.vpn_tunnel1_preshared_key, lookup(var.vpn_preshared_keys, "0", null)), null)
    "1" = try(coalesce(var.vpn_tunnel2_preshared_key, lookup(var.vpn_preshared_keys, "1", null)), null)
    "2" = lookup(var.vpn_preshared_keys, "2", null)
    "3" = lookup(var.vpn_preshared_keys, "3", null)
  }

  first  = aws_vpn_connection.this["first"]
  second = aws_vpn_connection.this["second"]
  tunnels = {
    "0" = { gcp_interface = 0, aws_outside = local.first.tunnel1_address, aws_inside = local.first.tunnel1_vgw_inside_address, gcp_inside = local.first.tunnel1_cgw_inside_address }
    "1" = { gcp_interface = 0, aws_outside = local.first.tunnel2_address, aws_inside = local.first.tunnel2_vgw_inside_address, gcp_inside = local.first.tunnel2_cgw_inside_address }
    "2" = { gcp_interface = 1, aws_outside = local.second.tunnel1_address, aws_inside = local.second.tunnel1_vgw_inside_address, gcp_inside = local.second.tunnel1_cgw_inside_address }
    "3" = { gcp_interface = 1, aws_outside = local.second.tunnel2_address, aws_inside = local.second.tunnel2_vgw_inside_address, gcp_inside = local.second.tunnel2_cgw_inside_address }
  }

  # Apart from the table above, which decides what exists and so must not be secret.
  tunnel_keys = {
    "0" = local.first.tunnel1_preshared_key
    "1" = local.first.tunnel2_preshared_key
    "2" = local.second.tunnel1_preshared_key
    "3" = local.second.tunnel2_preshared_key
  }
}

module "cidr" {
  source = "../cidr-overlap"
  ranges = local.all_networks
}
