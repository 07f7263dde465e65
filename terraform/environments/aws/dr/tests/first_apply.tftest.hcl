# Phase 2 as the guide does it: no VPN, nothing but the certificate given.

variables {
  acm_certificate_arn = "arn:aws:acm:ap-northeast-2:123456789012:certificate/1"
}

run "without_vpn" {
  assert {
    condition     = output.vpn_tunnels == null && output.alb_dns_name != "" && output.app_secret_arn == null && output.etcd_private_ip == null && output.etcd_public_ip == null
    error_message = "The first apply needs neither GCP nor a secret."
  }
}

run "ports_are_variables" {
  command = plan
  variables {
    ports                     = { postgres = 6543, aws_redis = 7379 }
    application_direct_access = false
    direct_replication        = false
  }
  assert {
    condition     = output.rds_port == 6543 && output.redis_port == 7379 && !strcontains(output.firewall_requests, "not adopted yet") && !strcontains(output.firewall_requests, "subscription without relay")
    error_message = "Ports reach database and table; once adopted nothing goes around Tandem."
  }
}

run "network_name_instead_of_its_id_is_refused" {
  command = plan
  variables {
    gcp_network_id = "crm-dr"
  }
  expect_failures = [var.gcp_network_id]
}

run "upper_case_cluster_is_refused" {
  command = plan
  variables {
    cluster_name = "CRM_DR"
  }
  expect_failures = [var.cluster_name]
}
