variables {
  name   = "crm-dr"
  vpc_id = "vpc-1"
  private_route_table_ids = {
    "ap-northeast-2a" = "rtb-a"
    "ap-northeast-2c" = "rtb-c"
  }
  vpc_cidr             = "10.30.0.0/16"
  gcp_network_id       = "projects/example/global/networks/crm-dr"
  gcp_region           = "asia-northeast3"
  gcp_vpc_cidr         = "10.20.0.0/20"
  gcp_additional_cidrs = ["10.21.0.0/16", "10.22.0.0/20", "10.23.0.0/20"]
  tags                 = { project = "crm" }
}

run "four_tunnels" {
  variables {
    vpn_tunnel1_preshared_key = "kAAAAAAAA1"
    vpn_tunnel2_preshared_key = "kAAAAAAAA2"
    vpn_preshared_keys        = { "2" = "kAAAAAAAA3" }
  }
  assert {
    condition     = { for k, t in google_compute_vpn_tunnel.this : k => [t.vpn_gateway_interface, t.peer_external_gateway_interface] } == { "0" = [0, 0], "1" = [0, 1], "2" = [1, 2], "3" = [1, 3] }
    error_message = "The pairs of interfaces are (0,0) (0,1) (1,2) (1,3)."
  }
  assert {
    condition = { for k, t in google_compute_vpn_tunnel.this : k => t.shared_secret } == {
      "0" = aws_vpn_connection.this["first"].tunnel1_preshared_key
      "1" = aws_vpn_connection.this["first"].tunnel2_preshared_key
      "2" = aws_vpn_connection.this["second"].tunnel1_preshared_key
      "3" = aws_vpn_connection.this["second"].tunnel2_preshared_key
    }
    error_message = "Each tunnel has the same key on both sides."
  }
  assert {
    condition     = aws_vpn_connection.this["first"].tunnel1_preshared_key == "kAAAAAAAA1" && aws_vpn_connection.this["first"].tunnel2_preshared_key == "kAAAAAAAA2" && aws_vpn_connection.this["second"].tunnel1_preshared_key == "kAAAAAAAA3" && aws_vpn_connection.this["second"].tunnel2_preshared_key != ""
    error_message = "The guide's two keys belong to the first connection, the third comes from the map, AWS makes the fourth."
  }
  assert {
    condition     = toset([for k in(keys(output.preshared_keys)) : k]) == toset(["0", "1", "2", "3"]) && (output.preshared_keys["3"]) == aws_vpn_connection.this["second"].tunnel2_preshared_key
    error_message = "All four keys can be read from the sensitive output."
  }
  assert {
    condition = { for i in google_compute_external_vpn_gateway.aws.interface : i.id => i.ip_address } == {
      0 = aws_vpn_connection.this["first"].tunnel1_address
      1 = aws_vpn_connection.this["first"].tunnel2_address
      2 = aws_vpn_connection.this["second"].tunnel1_address
      3 = aws_vpn_connection.this["second"].tunnel2_address
    }
    error_message = "GCP's peer interfaces 0 to 3 are AWS's four outside addresses, in this order."
  }
  assert {
    condition     = google_compute_external_vpn_gateway.aws.redundancy_type == "FOUR_IPS_REDUNDANCY"
    error_message = "Four addresses need FOUR_IPS_REDUNDANCY."
  }
  assert {
    condition     = aws_customer_gateway.gcp["first"].ip_address == google_compute_ha_vpn_gateway.this.vpn_interfaces[0].ip_address && aws_customer_gateway.gcp["second"].ip_address == google_compute_ha_vpn_gateway.this.vpn_interfaces[1].ip_address && aws_customer_gateway.gcp["first"].ip_address != aws_customer_gateway.gcp["second"].ip_address
    error_message = "The customer gateways are GCP's two interfaces."
  }
  assert {
    condition     = alltrue([for key, c in aws_vpn_connection.this : c.customer_gateway_id == aws_customer_gateway.gcp[key].id && c.vpn_gateway_id == aws_vpn_gateway.this.id && c.type == "ipsec.1" && !c.static_routes_only])
    error_message = "Each connection joins the VPN gateway with its customer gateway and speaks BGP."
  }
  assert {
    condition     = aws_vpn_gateway.this.amazon_side_asn == "64512" && alltrue([for g in aws_customer_gateway.gcp : g.bgp_asn == "65000" && g.type == "ipsec.1"]) && google_compute_router.this.bgp[0].asn == 65000 && alltrue([for p in google_compute_router_peer.this : p.peer_asn == 64512])
    error_message = "Each side knows its own AS number and the other's."
  }
  assert {
    condition = [for c in ["first", "second"] : [aws_vpn_connection.this[c].tunnel1_inside_cidr, aws_vpn_connection.this[c].tunnel2_inside_cidr]] == [
      ["169.254.10.0/30", "169.254.10.4/30"], ["169.254.11.0/30", "169.254.11.4/30"]
    ]
    error_message = "Four different inside ranges, none that AWS keeps for itself."
  }
  assert {
    condition = alltrue([for k, p in google_compute_router_peer.this :
      p.ip_address == split("/", google_compute_router_interface.this[k].ip_range)[0] && endswith(google_compute_router_interface.this[k].ip_range, "/30") && p.interface == google_compute_router_interface.this[k].name
    ])
    error_message = "A session speaks from the address of its own interface, a /30."
  }
  assert {
    condition = { for k, p in google_compute_router_peer.this : k => [p.ip_address, p.peer_ip_address] } == {
      "0" = [aws_vpn_connection.this["first"].tunnel1_cgw_inside_address, aws_vpn_connection.this["first"].tunnel1_vgw_inside_address]
      "1" = [aws_vpn_connection.this["first"].tunnel2_cgw_inside_address, aws_vpn_connection.this["first"].tunnel2_vgw_inside_address]
      "2" = [aws_vpn_connection.this["second"].tunnel1_cgw_inside_address, aws_vpn_connection.this["second"].tunnel1_vgw_inside_address]
      "3" = [aws_vpn_connection.this["second"].tunnel2_cgw_inside_address, aws_vpn_connection.this["second"].tunnel2_vgw_inside_address]
    }
    error_message = "GCP's end is the customer gateway's inside address, its peer AWS's."
  }
  assert {
    condition     = alltrue([for k, i in google_compute_router_interface.this : i.vpn_tunnel == google_compute_vpn_tunnel.this[k].name && i.router == google_compute_router.this.name && google_compute_router_peer.this[k].router == google_compute_router.this.name && google_compute_router_peer.this[k].advertised_route_priority == 100])
    error_message = "Interfaces and sessions belong to the one router, with equal priorities."
  }
  assert {
    condition     = alltrue([for t in google_compute_vpn_tunnel.this : t.ike_version == 2 && t.router == google_compute_router.this.id && t.vpn_gateway == google_compute_ha_vpn_gateway.this.id && t.peer_external_gateway == google_compute_external_vpn_gateway.aws.id])
    error_message = "Tunnels use IKEv2 and BGP between the two gateways."
  }
  assert {
    condition = alltrue([for c in aws_vpn_connection.this : [
      c.tunnel1_ike_versions, c.tunnel1_phase1_encryption_algorithms, c.tunnel1_phase1_integrity_algorithms, c.tunnel1_phase1_dh_group_numbers,
      c.tunnel1_phase2_encryption_algorithms, c.tunnel1_phase2_integrity_algorithms, c.tunnel1_phase2_dh_group_numbers,
      ] == [
      toset(["ikev2"]), toset(["AES256-GCM-16"]), toset(["SHA2-512"]), toset([21]),
      toset(["AES256-GCM-16"]), toset(["SHA2-512"]), toset([21]),
    ]])
    error_message = "Tunnel 1 of each connection offers exactly one proposal; AWS's default list breaks Cloud VPN's rekeying."
  }
  assert {
    condition = alltrue([for c in aws_vpn_connection.this : [
      c.tunnel2_ike_versions, c.tunnel2_phase1_encryption_algorithms, c.tunnel2_phase1_integrity_algorithms, c.tunnel2_phase1_dh_group_numbers,
      c.tunnel2_phase2_encryption_algorithms, c.tunnel2_phase2_integrity_algorithms, c.tunnel2_phase2_dh_group_numbers,
      ] == [
      toset(["ikev2"]), toset(["AES256-GCM-16"]), toset(["SHA2-512"]), toset([21]),
      toset(["AES256-GCM-16"]), toset(["SHA2-512"]), toset([21]),
    ]])
    error_message = "Tunnel 2 of each connection offers exactly one proposal."
  }
  assert {
    condition     = alltrue([for c in aws_vpn_connection.this : [c.tunnel1_dpd_timeout_action, c.tunnel2_dpd_timeout_action, c.tunnel1_startup_action, c.tunnel2_startup_action] == ["restart", "restart", "add", "add"]])
    error_message = "GCP starts the tunnels; AWS restarts a dead one."
  }
  assert {
    condition     = toset([for r in aws_vpn_gateway_route_propagation.private : r.route_table_id]) == toset(["rtb-a", "rtb-c"]) && alltrue([for r in aws_vpn_gateway_route_propagation.private : r.vpn_gateway_id == aws_vpn_gateway.this.id]) && aws_vpn_gateway_attachment.this.vpc_id == "vpc-1" && aws_vpn_gateway_attachment.this.vpn_gateway_id == aws_vpn_gateway.this.id
    error_message = "Every private route table learns GCP's routes from the attached gateway."
  }
  assert {
    condition     = google_compute_router.this.bgp[0].advertise_mode == "CUSTOM" && google_compute_router.this.bgp[0].advertised_groups == tolist(["ALL_SUBNETS"]) && toset([for r in google_compute_router.this.bgp[0].advertised_ip_ranges : r.range]) == toset(["10.21.0.0/16", "10.22.0.0/20", "10.23.0.0/20"]) && alltrue([for r in google_compute_router.this.bgp[0].advertised_ip_ranges : r.description == "beside the nodes"])
    error_message = "GCP advertises its subnets, pods, services and the private services range."
  }
  assert {
    condition     = [for key in ["first", "second"] : aws_vpn_connection.this[key].tags["Name"]] == ["crm-dr-vpn-tunnel-1", "crm-dr-vpn-tunnel-2"] && alltrue([for t in [aws_vpn_gateway.this.tags, aws_customer_gateway.gcp["first"].tags, aws_vpn_connection.this["second"].tags] : t["project"] == "crm"])
    error_message = "The guide's check filters tag:Name=crm-dr-vpn-tunnel-*."
  }
  assert {
    condition = alltrue([for name in concat(
      [google_compute_ha_vpn_gateway.this.name, google_compute_router.this.name, google_compute_external_vpn_gateway.aws.name],
      [for t in google_compute_vpn_tunnel.this : t.name], [for i in google_compute_router_interface.this : i.name], [for p in google_compute_router_peer.this : p.name],
    ) : startswith(name, "crm-dr-vpn")])
    error_message = "The guide's check filters name~crm-dr."
  }
  assert {
    condition = alltrue([for project in concat(
      [google_compute_ha_vpn_gateway.this.project, google_compute_router.this.project, google_compute_external_vpn_gateway.aws.project],
      [for t in google_compute_vpn_tunnel.this : t.project], [for i in google_compute_router_interface.this : i.project], [for p in google_compute_router_peer.this : p.project],
    ) : project == "example"])
    error_message = "GCP's project is read from the network's id, so that no provider default can differ."
  }
  assert {
    condition = alltrue([for region in concat(
      [google_compute_ha_vpn_gateway.this.region, google_compute_router.this.region],
      [for t in google_compute_vpn_tunnel.this : t.region], [for i in google_compute_router_interface.this : i.region], [for p in google_compute_router_peer.this : p.region],
    ) : region == "asia-northeast3"]) && google_compute_ha_vpn_gateway.this.network == var.gcp_network_id && google_compute_router.this.network == var.gcp_network_id
    error_message = "All regional parts stand in one region and one network."
  }
  assert {
    condition     = output.tunnels["2"].gcp_outside == google_compute_ha_vpn_gateway.this.vpn_interfaces[1].ip_address && output.tunnels["1"].aws_connection_id == aws_vpn_connection.this["first"].id && output.tunnels["3"].aws_connection_id == aws_vpn_connection.this["second"].id && output.tunnels["0"].aws_outside == aws_vpn_connection.this["first"].tunnel1_address && output.tunnels["3"].aws_inside == aws_vpn_connection.this["second"].tunnel2_vgw_inside_address && output.tunnels["3"].gcp_inside == google_compute_router_peer.this["3"].ip_address && output.tunnels["1"].gcp_tunnel == google_compute_vpn_tunnel.this["1"].name && output.tunnels["1"].gcp_peer == google_compute_router_peer.this["1"].name
    error_message = "The output shows each tunnel as both sides see it."
  }
  assert {
    condition     = output.gcp_router_name == google_compute_router.this.name && output.gcp_gateway_name == google_compute_ha_vpn_gateway.this.name && output.aws_vpn_gateway_id == aws_vpn_gateway.this.id && output.aws_vpn_connection_ids["second"] == aws_vpn_connection.this["second"].id
    error_message = "Outputs name what the checks of the VPN phase ask for."
  }
}

run "no_keys_at_all" {
  variables {
    vpn_tunnel1_preshared_key = ""
  }
  assert {
    condition     = alltrue([for t in google_compute_vpn_tunnel.this : length(t.shared_secret) > 0])
    error_message = "Without keys AWS makes all four and GCP reads them."
  }
}

run "guides_base64_key_is_refused" {
  command = plan
  variables {
    vpn_tunnel1_preshared_key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
  }
  expect_failures = [var.vpn_tunnel1_preshared_key]
}

run "base64_key_of_the_second_tunnel_is_refused" {
  command = plan
  variables {
    vpn_tunnel2_preshared_key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
  }
  expect_failures = [var.vpn_tunnel2_preshared_key]
}

run "hex_key_that_starts_with_0_is_refused" {
  command = plan
  variables {
    vpn_tunnel2_preshared_key = "0123456789abcdef0123456789abcdef"
  }
  expect_failures = [var.vpn_tunnel2_preshared_key]
}

run "short_key_is_refused" {
  command = plan
  variables {
    vpn_tunnel1_preshared_key = "abc1234"
  }
  expect_failures = [var.vpn_tunnel1_preshared_key]
}

run "base64_key_in_the_map_is_refused" {
  command = plan
  variables {
    vpn_preshared_keys = { "2" = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=" }
  }
  expect_failures = [var.vpn_preshared_keys]
}

run "unknown_tunnel_in_the_map_is_refused" {
  command = plan
  variables {
    vpn_preshared_keys = { "4" = "kAAAAAAAA4" }
  }
  expect_failures = [var.vpn_preshared_keys]
}

run "one_key_for_two_tunnels_is_refused" {
  command = plan
  variables {
    vpn_preshared_keys = { "2" = "kAAAAAAAA3", "3" = "kAAAAAAAA3" }
  }
  expect_failures = [var.vpn_preshared_keys]
}

run "network_name_instead_of_its_id_is_refused" {
  command = plan
  variables {
    gcp_network_id = "crm-dr"
  }
  expect_failures = [var.gcp_network_id]
}

run "empty_network_id_is_refused" {
  command = plan
  variables {
    gcp_network_id = ""
  }
  expect_failures = [var.gcp_network_id]
}

run "node_range_alone_is_refused" {
  command = plan
  variables {
    gcp_additional_cidrs = []
  }
  expect_failures = [var.gcp_additional_cidrs]
}

run "no_route_table_is_refused" {
  command = plan
  variables {
    private_route_table_ids = {}
  }
  expect_failures = [var.private_route_table_ids]
}

run "same_as_number_is_refused" {
  command = plan
  variables {
    gcp_asn = 64512
  }
  expect_failures = [aws_vpn_gateway.this]
}

run "public_as_numbers_are_refused" {
  command = plan
  variables {
    aws_asn = 7224
    gcp_asn = 16550
  }
  expect_failures = [var.aws_asn, var.gcp_asn]
}

run "overlapping_clouds_are_refused" {
  command = plan
  variables {
    gcp_additional_cidrs = ["10.21.0.0/16", "10.30.128.0/20"]
  }
  expect_failures = [aws_vpn_gateway.this]
}

run "reserved_inside_range_is_refused" {
  command = plan
  variables {
    inside_cidrs = { "0" = "169.254.0.0/30", "1" = "169.254.10.4/30", "2" = "169.254.11.0/30", "3" = "169.254.11.4/30" }
  }
  expect_failures = [var.inside_cidrs]
}

run "shared_inside_range_is_refused" {
  command = plan
  variables {
    inside_cidrs = { "0" = "169.254.10.0/30", "1" = "169.254.10.0/30", "2" = "169.254.11.0/30", "3" = "169.254.11.4/30" }
  }
  expect_failures = [var.inside_cidrs]
}

run "wide_inside_range_is_refused" {
  command = plan
  variables {
    inside_cidrs = { "0" = "169.254.10.0/29", "1" = "169.254.10.8/30", "2" = "169.254.11.0/30", "3" = "169.254.11.4/30" }
  }
  expect_failures = [var.inside_cidrs]
}

run "missing_inside_range_is_refused" {
  command = plan
  variables {
    inside_cidrs = { "0" = "169.254.10.0/30", "1" = "169.254.10.4/30" }
  }
  # Nothing below can be planned without the range, so a plan of the rest is not asked for.
  expect_failures = [var.inside_cidrs]
}

run "weak_proposals_are_refused" {
  command = plan
  variables {
    ike_encryption = "3DES"
    ike_integrity  = "SHA1"
    ike_dh_group   = 2
  }
  expect_failures = [var.ike_encryption, var.ike_integrity, var.ike_dh_group]
}
