output "private_ip" {
  description = "Address inside the network."
  value       = google_compute_instance.this.network_interface[0].network_ip
}

output "public_ip" {
  description = "Address that outlives the machine."
  value       = google_compute_address.this.address
}

output "instance_name" {
  description = "Name of the machine; for gcloud compute ssh."
  value       = google_compute_instance.this.name
}
