# Everything made here.

variables {
  project_id                 = "example-project"
  certificate_map_id         = "projects/example-project/locations/global/certificateMaps/crm-dr-certificates"
  secret_manager_secret_data = { DATABASE_URL = "postgres://tandem-gate.tandem.svc:6432/crm" }
  enable_etcd                = true
  etcd_initial_cluster       = { aws = "198.51.100.1", gcp = "198.51.100.2", witness = "198.51.100.3" }
  witness_cidrs              = ["203.0.113.9/32"]
  neg_zones                  = ["asia-northeast3-a"]
}

run "the_site_fits_together" {
  assert {
    condition     = output.network_id == "projects/example-project/global/networks/crm-dr" && output.network_name == "crm-dr" && output.gcp_cidrs == ["10.20.0.0/20", "10.21.0.0/16", "10.22.0.0/20", "10.23.0.0/20"]
    error_message = "What aws/dr needs for the VPN."
  }
  assert {
    condition     = output.cloud_sql_connection_name != "" && output.cloud_sql_private_ip != "" && output.memorystore_host != "" && output.memorystore_port > 0 && output.lb_ip != "" && output.secret_id != null
    error_message = "The outputs that later phases need."
  }
  assert {
    condition     = output.node_counts["application"] == { at_start = 6, at_most = 10 } && output.pod_service_accounts["application"] != "" && output.cluster_name == "crm-dr-gke" && length(output.nat_public_ips) == 1
    error_message = "Nodes as Google will count them; identities; the address of NAT."
  }
  assert {
    condition     = output.etcd_private_ip == "10.20.0.20" && output.etcd_public_ip != null && output.cloud_sql_user_password != "" && output.memorystore_auth_string != ""
    error_message = "etcd and generated secrets."
  }
  assert {
    condition     = strcontains(output.firewall_requests, "| aws-tandem | gcp-tandem | 8400/tcp | mutual TLS |")
    error_message = "The table of firewall requests."
  }
}

run "vpn_off_again" {
  variables {
    enable_vpn                = false
    application_direct_access = false
    node_pool_total_max_count = 12
  }
  assert {
    condition     = output.node_counts["application"].at_most == 12 && !strcontains(output.firewall_requests, "not adopted yet")
    error_message = "Without the VPN nothing is opened to AWS, and totals may be given by their own names."
  }
}
