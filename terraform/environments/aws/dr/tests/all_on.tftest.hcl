# Everything made here, the VPN included.

variables {
  enable_vpn                = true
  gcp_network_id            = "projects/example/global/networks/crm-dr"
  vpn_tunnel1_preshared_key = "kAAAAAAAA1"
  vpn_tunnel2_preshared_key = "kAAAAAAAA2"
  acm_certificate_arn       = "arn:aws:acm:ap-northeast-2:123456789012:certificate/1"
  app_env                   = { DATABASE_URL = "postgres://tandem-gate.tandem.svc:6432/crm" }
  enable_etcd               = true
  etcd_initial_cluster      = { aws = "198.51.100.1", gcp = "198.51.100.2", witness = "198.51.100.3" }
  witness_cidrs             = ["203.0.113.9/32"]
  backup_copy_account       = "210987654321"
  backup_copy_region        = "ap-northeast-1"
}

run "the_site_fits_together" {
  assert {
    condition     = output.alb_dns_name != "" && output.rds_endpoint != "" && output.redis_primary_endpoint != "" && output.rds_port == 5432 && output.redis_port == 6379 && output.target_group_arn != ""
    error_message = "The outputs that later phases need."
  }
  assert {
    condition     = length(output.vpn_tunnels) == 4 && length(output.vpn_connection_ids) == 2 && output.vpn_gcp_router == "crm-dr-vpn-router" && output.vpn_preshared_keys["0"] == "kAAAAAAAA1" && output.vpn_preshared_keys["1"] == "kAAAAAAAA2"
    error_message = "The VPN has four tunnels; the guide's two keys are the first connection's."
  }
  assert {
    condition     = output.private_route_table_ids == tomap(module.network[0].private_route_table_ids) && output.vpc_id == module.network[0].vpc_id && output.private_subnet_ids == tolist(module.network[0].private_subnet_ids) && length(output.nat_public_ips) == 2
    error_message = "The network's outputs are passed on."
  }
  assert {
    condition     = output.security_group_ids["database"] != output.security_group_ids["tandem"] && length(output.security_group_ids) == 6
    error_message = "Six places, six groups."
  }
  assert {
    condition     = output.etcd_private_ip == "10.30.0.20" && output.etcd_public_ip != null && output.app_secret_arn != null && output.pod_role_names == tomap({ application = "crm-dr-application", tandem = "crm-dr-tandem" }) && output.cluster_name == "crm-dr"
    error_message = "etcd, secret and identities."
  }
  assert {
    condition     = strcontains(output.firewall_requests, "| aws-tandem | witness | 8400/tcp | mutual TLS |") && output.redis_auth_token != ""
    error_message = "The table of firewall requests."
  }
}

run "vpn_off_again" {
  variables {
    enable_vpn = false
  }
  assert {
    condition     = length(module.vpn) == 0 && length(module.rds) == 1 && output.rds_endpoint != ""
    error_message = "The VPN can be taken away without touching the rest."
  }
}
