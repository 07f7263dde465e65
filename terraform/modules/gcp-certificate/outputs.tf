output "certificate_map_id" {
  description = "The certificate map, as gcp/dr takes it in certificate_map_id."
  value       = google_certificate_manager_certificate_map.this.id
}
