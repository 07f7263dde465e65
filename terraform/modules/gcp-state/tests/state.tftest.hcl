variables {
  project_id     = "example"
  bucket         = "crm-dr-terraform-state"
  location       = "ASIA-NORTHEAST3"
  writer_members = { ops = "group:ops@example.com" }
  labels         = { project = "crm" }
}

run "shape" {
  assert {
    condition     = google_storage_bucket.this.versioning[0].enabled && google_storage_bucket.this.uniform_bucket_level_access && google_storage_bucket.this.public_access_prevention == "enforced" && !google_storage_bucket.this.force_destroy && google_storage_bucket.this.storage_class == "STANDARD"
    error_message = "Versioned and private; never deleted with states inside."
  }
  assert {
    condition     = one(google_storage_bucket.this.lifecycle_rule).condition != null && one(one(google_storage_bucket.this.lifecycle_rule).condition).days_since_noncurrent_time == 365 && one(one(google_storage_bucket.this.lifecycle_rule).action).type == "Delete"
    error_message = "Old versions go after a year."
  }
  assert {
    condition     = google_storage_bucket_iam_member.writer["ops"].role == "roles/storage.objectUser" && google_storage_bucket_iam_member.writer["ops"].member == "group:ops@example.com" && google_storage_bucket_iam_member.writer["ops"].bucket == google_storage_bucket.this.name
    error_message = "Those who apply write objects, no more."
  }
  assert {
    condition     = google_storage_bucket.this.project == "example" && google_storage_bucket.this.location == "ASIA-NORTHEAST3" && google_storage_bucket.this.labels["project"] == "crm" && output.bucket == "crm-dr-terraform-state"
    error_message = "Place, labels and output."
  }
}

run "everybody_is_refused" {
  command = plan
  variables {
    bucket         = "CRM_state"
    writer_members = { all = "allUsers" }
  }
  expect_failures = [var.bucket, var.writer_members]
}
