variables {
  project_id     = "example"
  secret_id      = "crm-dr-application"
  secret_data    = { DATABASE_URL = "postgres://gate:6432/crm" }
  reader_members = { application = "serviceAccount:crm@example.iam.gserviceaccount.com" }
  labels         = { project = "crm" }
}

run "map_of_strings" {
  assert {
    condition     = jsondecode(google_secret_manager_secret_version.this.secret_data) == { DATABASE_URL = "postgres://gate:6432/crm" } && google_secret_manager_secret_version.this.secret == google_secret_manager_secret.this.id
    error_message = "A map is encoded by the module."
  }
  assert {
    condition     = google_secret_manager_secret.this.secret_id == "crm-dr-application" && length(google_secret_manager_secret.this.replication[0].auto) == 1 && google_secret_manager_secret.this.labels["project"] == "crm" && google_secret_manager_secret.this.project == "example" && output.secret_id == google_secret_manager_secret.this.id
    error_message = "The guide's name, replicated by Google."
  }
  assert {
    condition     = google_secret_manager_secret_iam_member.reader["application"].role == "roles/secretmanager.secretAccessor" && google_secret_manager_secret_iam_member.reader["application"].member == "serviceAccount:crm@example.iam.gserviceaccount.com" && google_secret_manager_secret_iam_member.reader["application"].secret_id == "crm-dr-application" && google_secret_manager_secret_iam_member.reader["application"].project == "example"
    error_message = "The application reads this secret only."
  }
}

run "json_string" {
  variables {
    secret_data = "{\"DATABASE_URL\": \"postgres://gate:6432/crm\"}"
  }
  assert {
    condition     = jsondecode(google_secret_manager_secret_version.this.secret_data) == { DATABASE_URL = "postgres://gate:6432/crm" }
    error_message = "A JSON string is taken as it is, not encoded twice."
  }
}

run "plain_text_is_refused" {
  command = plan
  variables {
    secret_data = "jsonencode({ DATABASE_URL = 1 })"
  }
  expect_failures = [var.secret_data]
}

run "everybody_is_refused" {
  command = plan
  variables {
    secret_id      = "crm dr"
    reader_members = { all = "allUsers" }
  }
  expect_failures = [var.secret_id, var.reader_members]
}
