variables {
  project_id         = "example-project"
  gcp_writer_members = { ops = "group:ops@example.com" }
}

run "both_backends" {
  assert {
    condition     = output.aws_bucket == "crm-dr-terraform-state" && output.aws_lock_table == "crm-dr-terraform-locks" && output.gcp_bucket == "crm-dr-terraform-state-gcp"
    error_message = "The names that backend.tf of the sites uses."
  }
}
