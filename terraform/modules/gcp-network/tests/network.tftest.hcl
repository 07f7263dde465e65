variables {
  project_id                     = "example"
  region                         = "asia-northeast3"
  network_name                   = "crm-dr"
  subnet_ip_cidr_range           = "10.20.0.0/20"
  subnet_secondary_pods_cidr     = "10.21.0.0/16"
  subnet_secondary_services_cidr = "10.22.0.0/20"
  ip_range_pods_name             = "crm-dr-pods"
  ip_range_services_name         = "crm-dr-services"
  private_services_cidr          = "10.23.0.0/20"
  control_plane_cidr             = "10.24.0.0/28"
  aws_vpc_cidr                   = "10.30.0.0/16"
}

run "names_that_stand" {
  command = plan
  variables {
    subnet_name                 = "crm-dr-nodes"
    private_services_range_name = "crm-dr-private"
  }
  assert {
    condition     = google_compute_subnetwork.this.name == "crm-dr-nodes" && google_compute_global_address.private_services.name == "crm-dr-private" && output.subnetwork_name == "crm-dr-nodes"
    error_message = "A subnet and a range that are taken over keep their names."
  }
}

run "shape" {
  assert {
    condition     = !google_compute_network.this.auto_create_subnetworks && google_compute_network.this.routing_mode == "REGIONAL" && !google_compute_network.this.delete_default_routes_on_create && google_compute_network.this.name == "crm-dr"
    error_message = "The network has its own subnets and keeps its way to the internet for NAT."
  }
  assert {
    condition     = [for r in google_compute_subnetwork.this.secondary_ip_range : [r.range_name, r.ip_cidr_range]] == [["crm-dr-pods", "10.21.0.0/16"], ["crm-dr-services", "10.22.0.0/20"]]
    error_message = "Pods first, services second, each under its name."
  }
  assert {
    condition     = google_compute_subnetwork.this.ip_cidr_range == "10.20.0.0/20" && google_compute_subnetwork.this.private_ip_google_access && google_compute_subnetwork.this.network == google_compute_network.this.id && google_compute_subnetwork.this.name == "crm-dr-asia-northeast3"
    error_message = "Nodes reach Google's services without a public address."
  }
  assert {
    condition     = google_compute_subnetwork.this.log_config[0].flow_sampling == 0.5 && google_compute_subnetwork.this.log_config[0].aggregation_interval == "INTERVAL_5_MIN" && google_compute_subnetwork.this.log_config[0].metadata == "INCLUDE_ALL_METADATA"
    error_message = "Flow logs are on, sampled."
  }
  assert {
    condition     = google_compute_router_nat.this.router == google_compute_router.nat.name && google_compute_router_nat.this.source_subnetwork_ip_ranges_to_nat == "ALL_SUBNETWORKS_ALL_IP_RANGES" && google_compute_router_nat.this.nat_ip_allocate_option == "MANUAL_ONLY" && toset(google_compute_router_nat.this.nat_ips) == toset([google_compute_address.nat.self_link]) && google_compute_router.nat.network == google_compute_network.this.id
    error_message = "Nodes and pods leave through NAT with one fixed address."
  }
  assert {
    condition     = google_compute_router_nat.this.log_config[0].enable && google_compute_router_nat.this.log_config[0].filter == "ERRORS_ONLY"
    error_message = "NAT logs what it had to drop."
  }
  assert {
    condition     = google_compute_global_address.private_services.purpose == "VPC_PEERING" && google_compute_global_address.private_services.address == "10.23.0.0" && google_compute_global_address.private_services.prefix_length == 20 && google_compute_global_address.private_services.address_type == "INTERNAL" && google_compute_global_address.private_services.network == google_compute_network.this.id
    error_message = "The private services range is ours to choose, so that AWS can admit it."
  }
  assert {
    condition     = google_service_networking_connection.this.reserved_peering_ranges == tolist([google_compute_global_address.private_services.name]) && google_service_networking_connection.this.service == "servicenetworking.googleapis.com" && google_service_networking_connection.this.network == google_compute_network.this.id
    error_message = "Google's services take their addresses from the reserved range."
  }
  assert {
    condition     = google_service_networking_connection.this.deletion_policy == "ABANDON"
    error_message = "Without ABANDON a destroy hangs on 'Producer services still using'."
  }
  assert {
    condition     = google_compute_network_peering_routes_config.private_services.export_custom_routes && !google_compute_network_peering_routes_config.private_services.import_custom_routes && google_compute_network_peering_routes_config.private_services.peering == google_service_networking_connection.this.peering && google_compute_network_peering_routes_config.private_services.network == google_compute_network.this.name
    error_message = "Custom routes are exported to Cloud SQL, or it has no way to AWS."
  }
  assert {
    condition     = alltrue([for project in [google_compute_network.this.project, google_compute_subnetwork.this.project, google_compute_router.nat.project, google_compute_address.nat.project, google_compute_router_nat.this.project, google_compute_global_address.private_services.project, google_compute_network_peering_routes_config.private_services.project] : project == "example"])
    error_message = "Every part names its project."
  }
  assert {
    condition     = alltrue([for region in [google_compute_subnetwork.this.region, google_compute_router.nat.region, google_compute_address.nat.region, google_compute_router_nat.this.region] : region == "asia-northeast3"])
    error_message = "Regional parts stand in one region."
  }
  assert {
    condition     = output.network_id == "projects/example/global/networks/crm-dr" && output.network_name == "crm-dr" && output.subnetwork_name == google_compute_subnetwork.this.name && output.private_services_range_name == google_compute_global_address.private_services.name && output.private_services_connection == google_service_networking_connection.this.id && output.nat_public_ip == google_compute_address.nat.address
    error_message = "network_id has the form that aws/dr takes."
  }
}

run "overlap_with_aws_is_refused" {
  command = plan
  variables {
    subnet_secondary_pods_cidr = "10.28.0.0/14"
  }
  expect_failures = [google_compute_network.this]
}

run "services_overlap_is_refused" {
  command = plan
  variables {
    subnet_secondary_services_cidr = "10.30.16.0/20"
  }
  expect_failures = [google_compute_network.this]
}

run "private_services_overlap_is_refused" {
  command = plan
  variables {
    private_services_cidr = "10.30.32.0/20"
  }
  expect_failures = [google_compute_network.this]
}

run "overlap_within_gcp_is_refused" {
  command = plan
  variables {
    control_plane_cidr = "10.20.3.0/28"
    aws_vpc_cidr       = null
  }
  expect_failures = [google_compute_network.this]
}

run "small_private_services_range_is_refused" {
  command = plan
  variables {
    private_services_cidr = "10.23.0.0/26"
  }
  expect_failures = [var.private_services_cidr]
}

run "upper_case_name_is_refused" {
  command = plan
  variables {
    network_name = "CRM_DR"
  }
  expect_failures = [var.network_name]
}
