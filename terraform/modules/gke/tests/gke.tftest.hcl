variables {
  project_id              = "example"
  region                  = "asia-northeast3"
  cluster_name            = "crm-dr-gke"
  node_locations          = ["asia-northeast3-a", "asia-northeast3-b", "asia-northeast3-c"]
  control_plane_cidr      = "10.24.0.0/28"
  network_id              = "projects/example/global/networks/crm-dr"
  subnetwork_name         = "crm-dr-asia-northeast3"
  ip_range_pods_name      = "crm-dr-pods"
  ip_range_services_name  = "crm-dr-services"
  node_pool_machine_type  = "n2-standard-4"
  node_pool_min_count     = 3
  node_pool_max_count     = 10
  node_pool_initial_count = 5
  network_tags            = { application = "crm-dr-application", tandem = "crm-dr-tandem" }
  labels                  = { project = "crm" }
}

run "shape" {
  assert {
    condition     = alltrue([for a in google_container_node_pool.this["application"].autoscaling : a.total_min_node_count == 3 && a.total_max_node_count == 10 && a.min_node_count == null && a.max_node_count == null && a.location_policy == "BALANCED"])
    error_message = "Limits are totals, never per zone: 3 to 10 must not become 9 to 30."
  }
  assert {
    condition     = google_container_node_pool.this["application"].initial_node_count == 2 && output.node_counts["application"] == { at_start = 6, at_most = 10 } && google_container_node_pool.this["tandem"].initial_node_count == 1 && output.node_counts["tandem"] == { at_start = 3, at_most = 3 }
    error_message = "Five nodes over three zones are two a zone, and the output says six."
  }
  assert {
    condition     = google_container_cluster.this.remove_default_node_pool && google_container_cluster.this.initial_node_count == 1 && toset(google_container_cluster.this.node_locations) == toset(var.node_locations) && google_container_cluster.this.location == "asia-northeast3" && google_container_cluster.this.name == "crm-dr-gke"
    error_message = "Pools of our own in stated zones."
  }
  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes && google_container_cluster.this.private_cluster_config[0].enable_private_endpoint && google_container_cluster.this.private_cluster_config[0].master_ipv4_cidr_block == "10.24.0.0/28" && google_container_cluster.this.private_cluster_config[0].master_global_access_config[0].enabled && length(google_container_cluster.this.master_authorized_networks_config) == 1 && !google_container_cluster.this.master_authorized_networks_config[0].gcp_public_cidrs_access_enabled
    error_message = "Private from the start."
  }
  assert {
    condition     = google_container_cluster.this.ip_allocation_policy[0].cluster_secondary_range_name == "crm-dr-pods" && google_container_cluster.this.ip_allocation_policy[0].services_secondary_range_name == "crm-dr-services" && google_container_cluster.this.networking_mode == "VPC_NATIVE" && google_container_cluster.this.network == var.network_id && google_container_cluster.this.subnetwork == "crm-dr-asia-northeast3" && google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH" && google_container_cluster.this.enable_shielded_nodes
    error_message = "Pods and services use the network's ranges, with network policies."
  }
  assert {
    condition     = google_container_cluster.this.master_auth[0].client_certificate_config[0].issue_client_certificate == false
    error_message = "No client certificate, which would be a login that nobody can withdraw."
  }
  assert {
    condition     = google_container_cluster.this.release_channel[0].channel == "REGULAR" && google_container_cluster.this.workload_identity_config[0].workload_pool == "example.svc.id.goog" && google_container_cluster.this.deletion_protection && google_container_cluster.this.resource_labels["project"] == "crm"
    error_message = "Release channel, workload identity, protection and labels."
  }
  assert {
    condition     = google_container_cluster.this.maintenance_policy[0].recurring_window[0].recurrence == "FREQ=WEEKLY;BYDAY=SA,SU" && endswith(google_container_cluster.this.maintenance_policy[0].recurring_window[0].start_time, "T17:00:00Z") && endswith(google_container_cluster.this.maintenance_policy[0].recurring_window[0].end_time, "T21:00:00Z")
    error_message = "Upgrades come in Seoul's weekend nights."
  }
  assert {
    condition     = toset(google_container_cluster.this.logging_config[0].enable_components) == toset(["SYSTEM_COMPONENTS", "WORKLOADS"]) && toset(google_container_cluster.this.monitoring_config[0].enable_components) == toset(["SYSTEM_COMPONENTS"]) && google_container_cluster.this.monitoring_config[0].managed_prometheus[0].enabled
    error_message = "Logs and metrics."
  }
  assert {
    condition     = alltrue([for key, p in google_container_node_pool.this : p.cluster == "crm-dr-gke" && p.location == "asia-northeast3" && p.name == key && toset(p.node_locations) == toset(var.node_locations) && p.management[0].auto_repair && p.management[0].auto_upgrade && p.upgrade_settings[0].strategy == "SURGE" && p.upgrade_settings[0].max_surge == 1 && p.upgrade_settings[0].max_unavailable == 0])
    error_message = "Nodes are repaired and upgraded one by one, the new one first."
  }
  assert {
    condition     = alltrue([for key, p in google_container_node_pool.this : p.node_config[0].service_account == google_service_account.node.email && p.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA" && p.node_config[0].metadata["disable-legacy-endpoints"] == "true" && toset(p.node_config[0].oauth_scopes) == toset(["https://www.googleapis.com/auth/cloud-platform"])])
    error_message = "Pods never get the node's identity."
  }
  assert {
    condition     = alltrue([for key, p in google_container_node_pool.this : p.node_config[0].tags == tolist([var.network_tags[key]]) && p.node_config[0].labels["tandem-role"] == key && p.node_config[0].labels["project"] == "crm" && p.node_config[0].disk_size_gb == 200 && p.node_config[0].disk_type == "pd-balanced" && p.node_config[0].image_type == "COS_CONTAINERD" && p.node_config[0].shielded_instance_config[0].enable_secure_boot && p.node_config[0].shielded_instance_config[0].enable_integrity_monitoring])
    error_message = "The firewall knows each pool by its tag."
  }
  assert {
    condition     = google_container_node_pool.this["application"].node_config[0].machine_type == "n2-standard-4" && google_container_node_pool.this["tandem"].node_config[0].machine_type == "n2-standard-2" && [for t in google_container_node_pool.this["tandem"].node_config[0].taint : [t.key, t.value, t.effect]] == [["tandem.dev/role", "tandem", "NO_SCHEDULE"]] && length(google_container_node_pool.this["application"].node_config[0].taint) == 0
    error_message = "Nothing else lands on Tandem's nodes."
  }
  assert {
    condition     = toset([for m in google_project_iam_member.node : m.role]) == toset(["roles/logging.logWriter", "roles/monitoring.metricWriter", "roles/monitoring.viewer", "roles/stackdriver.resourceMetadata.writer", "roles/artifactregistry.reader"]) && alltrue([for m in google_project_iam_member.node : m.member == "serviceAccount:${google_service_account.node.email}" && m.project == "example"])
    error_message = "Nodes write logs and metrics and pull images, no more."
  }
  assert {
    condition     = { for key, m in google_service_account_iam_member.pods : key => [m.role, m.member, m.service_account_id == google_service_account.pods[key].name] } == { application = ["roles/iam.workloadIdentityUser", "serviceAccount:example.svc.id.goog[crm/crm]", true], tandem = ["roles/iam.workloadIdentityUser", "serviceAccount:example.svc.id.goog[tandem/tandem]", true] }
    error_message = "Pods act as their own service account."
  }
  assert {
    condition     = [google_service_account.node.account_id, google_service_account.pods["application"].account_id, google_service_account.pods["tandem"].account_id] == ["crm-dr-gke-node", "crm-dr-gke-crm", "crm-dr-gke-tandem"] && google_service_account.node.display_name == "Nodes of crm-dr-gke" && google_service_account.pods["tandem"].display_name == "Pods tandem of crm-dr-gke"
    error_message = "Service accounts have readable names."
  }
  assert {
    condition     = alltrue([for r in [google_container_cluster.this.project, google_container_node_pool.this["tandem"].project, google_service_account.node.project, google_service_account.pods["tandem"].project] : r == "example"]) && output.cluster_name == "crm-dr-gke" && output.cluster_endpoint == google_container_cluster.this.endpoint && output.pod_service_accounts == { for k, a in google_service_account.pods : k => a.email }
    error_message = "Project and outputs."
  }
}

run "autoscaling_is_left_alone" {
  variables {
    node_pool_initial_count = 9
  }
  assert {
    condition     = google_container_node_pool.this["application"].initial_node_count == 2
    error_message = "The first count is for the first apply; a later one would replace the pool."
  }
}

run "reachable_to_some" {
  command = plan
  variables {
    authorized_networks = { office = "203.0.113.0/24" }
    deletion_protection = false
  }
  assert {
    condition     = !google_container_cluster.this.private_cluster_config[0].enable_private_endpoint && [for b in google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks : [b.display_name, b.cidr_block]] == [["office", "203.0.113.0/24"]] && !google_container_cluster.this.deletion_protection
    error_message = "Ranges that are named may reach the API."
  }
}

run "counts_out_of_order_are_refused" {
  command = plan
  variables {
    node_pool_initial_count = 2
  }
  expect_failures = [google_container_node_pool.this["application"]]
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    cluster_name        = "CRM"
    node_locations      = ["asia-northeast3-a"]
    release_channel     = "NIGHTLY"
    control_plane_cidr  = "10.24.0.0/24"
    authorized_networks = { all = "0.0.0.0/0" }
  }
  expect_failures = [var.cluster_name, var.node_locations, var.release_channel, var.control_plane_cidr, var.authorized_networks]
}
