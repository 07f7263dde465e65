# Every module off, ids given instead.

variables {
  project_id                         = "example-project"
  create_network                     = false
  existing_network_id                = "projects/example-project/global/networks/shared"
  existing_subnetwork_name           = "shared-seoul"
  create_access                      = false
  create_gke                         = false
  existing_pod_service_accounts      = { application = "crm@example-project.iam.gserviceaccount.com" }
  enable_secret_manager              = false
  enable_cloud_sql                   = false
  existing_cloud_sql_private_ip      = "10.40.0.3"
  existing_cloud_sql_connection_name = "example-project:asia-northeast3:crm"
  enable_memorystore                 = false
  existing_memorystore_host          = "10.40.0.4"
  create_load_balancer               = false
  existing_lb_ip                     = "203.0.113.10"
}

run "nothing_is_made" {
  assert {
    condition     = output.network_id == "projects/example-project/global/networks/shared" && output.network_name == "shared" && output.cloud_sql_private_ip == "10.40.0.3" && output.cloud_sql_connection_name == "example-project:asia-northeast3:crm" && output.memorystore_host == "10.40.0.4" && output.memorystore_port == 6378 && output.lb_ip == "203.0.113.10"
    error_message = "Outputs are the ids that were given."
  }
  assert {
    condition     = output.node_counts == null && output.secret_id == null && length(output.nat_public_ips) == 0 && output.cloud_sql_user_password == null && output.memorystore_auth_string == null && output.cloud_sql_server_ca_cert == null && output.memorystore_server_ca_certs == null
    error_message = "Nothing else is invented."
  }
}

run "databases_in_an_existing_network" {
  variables {
    enable_cloud_sql   = true
    enable_memorystore = true
    create_access      = true
  }
  assert {
    condition     = output.cloud_sql_private_ip != "10.40.0.3" && output.memorystore_host != "10.40.0.4"
    error_message = "Parts can be made one by one in a network that is yours."
  }
}

run "missing_ids_are_all_named" {
  command = plan
  variables {
    enable_cloud_sql              = false
    enable_memorystore            = false
    create_access                 = false
    existing_network_id           = null
    existing_cloud_sql_private_ip = null
    existing_memorystore_host     = null
    existing_lb_ip                = null
  }
  expect_failures = [output.network_name, output.cloud_sql_private_ip, output.memorystore_host, output.lb_ip]
}
