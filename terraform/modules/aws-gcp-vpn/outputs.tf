output "tunnels" {
  description = "The four tunnels as both sides see them, without keys: names, outside and inside addresses, interfaces."
  value = {
    for key in ["0", "1", "2", "3"] : key => {
      aws_connection_id = contains(["0", "1"], key) ? local.first.id : local.second.id
      aws_outside       = local.tunnels[key].aws_outside
      aws_inside        = local.tunnels[key].aws_inside
      gcp_outside       = google_compute_ha_vpn_gateway.this.vpn_interfaces[local.tunnels[key].gcp_interface].ip_address
      gcp_inside        = local.tunnels[key].gcp_inside
      gcp_tunnel        = google_compute_vpn_tunnel.this[key].name
      gcp_peer          = google_compute_router_peer.this[key].name
    }
  }
}

output "aws_vpn_gateway_id" {
  description = "AWS's VPN gateway."
  value       = aws_vpn_gateway.this.id
}

output "aws_vpn_connection_ids" {
  description = "AWS's connections: first (tunnels 0 and 1) and second (tunnels 2 and 3)."
  value       = { for key, connection in aws_vpn_connection.this : key => connection.id }
}

output "gcp_router_name" {
  description = "GCP's router; `gcloud compute routers get-status` shows its BGP sessions."
  value       = google_compute_router.this.name
}

output "gcp_gateway_name" {
  description = "GCP's HA VPN gateway."
  value       = google_compute_ha_vpn_gateway.this.name
}

output "preshared_keys" {
  description = "The keys in use by tunnel, given or made by AWS."
  value       = local.tunnel_keys
  sensitive   = true
}
