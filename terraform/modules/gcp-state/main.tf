# Where the GCP site's state lives: a versioned, private bucket. Cloud Storage locks states by itself.

resource "google_storage_bucket" "this" {
  project                     = var.project_id
  name                        = var.bucket
  location                    = var.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 365
    }
  }
}

resource "google_storage_bucket_iam_member" "writer" {
  for_each = var.writer_members

  bucket = google_storage_bucket.this.name
  role   = "roles/storage.objectUser"
  member = each.value
}
