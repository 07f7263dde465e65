# The application's environment in Secret Manager, in the same form as in AWS: one JSON object.

resource "google_secret_manager_secret" "this" {
  project   = var.project_id
  secret_id = var.secret_id
  labels    = var.labels

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "this" {
  secret      = google_secret_manager_secret.this.id
  secret_data = try(jsonencode(jsondecode(var.secret_data)), jsonencode(var.secret_data))
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = var.reader_members

  project   = var.project_id
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
