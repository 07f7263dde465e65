output "ip" {
  description = "Reserved address; the GCP origin at Cloudflare."
  value       = google_compute_global_address.this.address
}

output "backend_service_id" {
  description = "Backend service of the application."
  value       = google_compute_backend_service.this.id
}
