output "bucket" {
  description = "Bucket of backend.tf in gcp/dr."
  value       = google_storage_bucket.this.name
}
