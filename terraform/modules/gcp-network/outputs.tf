output "network_name" {
  description = "Name of the network."
  value       = google_compute_network.this.name
}

output "network_id" {
  description = "projects/PROJECT/global/networks/NAME, as aws/dr takes it in gcp_network_id."
  value       = "projects/${var.project_id}/global/networks/${google_compute_network.this.name}"
}

output "subnetwork_name" {
  description = "Name of the subnet."
  value       = google_compute_subnetwork.this.name
}

output "private_services_range_name" {
  description = "Reserved range that Cloud SQL and Memorystore take addresses from."
  value       = google_compute_global_address.private_services.name
}

output "private_services_connection" {
  description = "The private services connection; databases depend on it."
  value       = google_service_networking_connection.this.id
}

output "nat_public_ip" {
  description = "Address that this site's outgoing connections come from; the witness admits it."
  value       = google_compute_address.nat.address
}
