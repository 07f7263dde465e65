# GCP's half: an HA VPN gateway and a router, and for each tunnel its interface and BGP session.

resource "google_compute_ha_vpn_gateway" "this" {
  project = local.gcp_project
  region  = var.gcp_region
  name    = local.gcp_prefix
  network = var.gcp_network_id
}

resource "google_compute_router" "this" {
  project = local.gcp_project
  region  = var.gcp_region
  name    = "${local.gcp_prefix}-router"
  network = var.gcp_network_id

  bgp {
    asn               = var.gcp_asn
    advertise_mode    = "CUSTOM"
    advertised_groups = ["ALL_SUBNETS"]

    dynamic "advertised_ip_ranges" {
      for_each = local.advertised
      content {
        range       = advertised_ip_ranges.key
        description = advertised_ip_ranges.value
      }
    }
  }
}

resource "google_compute_external_vpn_gateway" "aws" {
  project         = local.gcp_project
  name            = "${local.gcp_prefix}-aws"
  redundancy_type = "FOUR_IPS_REDUNDANCY"

  dynamic "interface" {
    for_each = local.tunnels
    content {
      id         = tonumber(interface.key)
      ip_address = interface.value.aws_outside
    }
  }
}

resource "google_compute_vpn_tunnel" "this" {
  for_each = local.tunnels

  project                         = local.gcp_project
  region                          = var.gcp_region
  name                            = "${local.gcp_prefix}-tunnel-${each.key}"
  router                          = google_compute_router.this.id
  vpn_gateway                     = google_compute_ha_vpn_gateway.this.id
  vpn_gateway_interface           = each.value.gcp_interface
  peer_external_gateway           = google_compute_external_vpn_gateway.aws.id
  peer_external_gateway_interface = tonumber(each.key)
  ike_version                     = 2
  shared_secret                   = local.tunnel_keys[each.key]
}

resource "google_compute_router_interface" "this" {
  for_each = local.tunnels

  project    = local.gcp_project
  region     = var.gcp_region
  name       = "${local.gcp_prefix}-interface-${each.key}"
  router     = google_compute_router.this.name
  ip_range   = "${each.value.gcp_inside}/30"
  vpn_tunnel = google_compute_vpn_tunnel.this[each.key].name
}

resource "google_compute_router_peer" "this" {
  for_each = local.tunnels

  project                   = local.gcp_project
  region                    = var.gcp_region
  name                      = "${local.gcp_prefix}-peer-${each.key}"
  router                    = google_compute_router.this.name
  interface                 = google_compute_router_interface.this[each.key].name
  ip_address                = each.value.gcp_inside
  peer_ip_address           = each.value.aws_inside
  peer_asn                  = var.aws_asn
  advertised_route_priority = 100

  lifecycle {
    # The address of a session follows its interface; an update in place is refused.
    replace_triggered_by = [google_compute_router_interface.this[each.key].ip_range]
  }
}
