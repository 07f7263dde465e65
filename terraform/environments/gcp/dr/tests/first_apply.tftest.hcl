# Phase 3 as the guide does it.

variables {
  project_id         = "example-project"
  certificate_map_id = "projects/example-project/locations/global/certificateMaps/crm-dr-certificates"
}

run "as_it_comes" {
  assert {
    condition     = output.lb_ip != "" && output.cloud_sql_private_ip != "" && output.etcd_public_ip == null && output.etcd_private_ip == null
    error_message = "The first apply needs no secret."
  }
}

run "guides_json_text_is_accepted" {
  command = plan
  variables {
    secret_manager_secret_data = "{\"DATABASE_URL\": \"postgres://tandem-gate.tandem.svc:6432/crm\"}"
  }
  assert {
    condition     = output.secret_id != ""
    error_message = "One JSON string is as good as a map."
  }
}

run "project_name_is_no_id" {
  command = plan
  variables {
    project_id = "My Project"
  }
  expect_failures = [var.project_id]
}
