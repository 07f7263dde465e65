output "secret_id" {
  description = "projects/PROJECT/secrets/NAME."
  value       = google_secret_manager_secret.this.id
}
