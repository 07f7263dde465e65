# Every module off, ids given instead.

variables {
  create_network                   = false
  existing_vpc_id                  = "vpc-1"
  existing_public_subnet_ids       = ["subnet-pa", "subnet-pc"]
  existing_private_subnet_ids      = ["subnet-a", "subnet-c"]
  existing_private_route_table_ids = { a = "rtb-a", c = "rtb-c" }
  create_access                    = false
  existing_security_group_ids      = { application = "sg-1", tandem = "sg-2", database = "sg-3", cache = "sg-4", etcd = "sg-5", alb = "sg-6" }
  create_eks                       = false
  existing_pod_role_names          = { application = "crm-pods" }
  enable_rds                       = false
  existing_rds_endpoint            = "crm.abc.ap-northeast-2.rds.amazonaws.com"
  enable_elasticache               = false
  existing_redis_primary_endpoint  = "master.crm.abc.apn2.cache.amazonaws.com"
  create_alb                       = false
  existing_alb_dns_name            = "crm.elb.amazonaws.com"
}

run "nothing_is_made" {
  assert {
    condition     = output.rds_endpoint == "crm.abc.ap-northeast-2.rds.amazonaws.com" && output.redis_primary_endpoint == "master.crm.abc.apn2.cache.amazonaws.com" && output.alb_dns_name == "crm.elb.amazonaws.com" && output.vpc_id == "vpc-1"
    error_message = "Outputs are the ids that were given."
  }
  assert {
    condition     = output.private_subnet_ids == tolist(["subnet-a", "subnet-c"]) && output.private_route_table_ids == tomap({ a = "rtb-a", c = "rtb-c" }) && length(output.nat_public_ips) == 0 && output.security_group_ids["tandem"] == "sg-2" && output.target_group_arn == null && output.rds_master_secret_arn == null && output.redis_auth_token == null && output.pod_role_names == tomap({ application = "crm-pods" })
    error_message = "Nothing else is invented."
  }
}

run "vpn_over_an_existing_network" {
  variables {
    enable_vpn     = true
    gcp_network_id = "projects/example/global/networks/crm-dr"
  }
  assert {
    condition     = length(output.vpn_tunnels) == 4
    error_message = "The VPN joins a network that is yours."
  }
}

run "missing_ids_are_all_named" {
  command = plan
  variables {
    existing_vpc_id                 = null
    existing_rds_endpoint           = null
    existing_redis_primary_endpoint = null
    existing_alb_dns_name           = null
    existing_security_group_ids     = { tandem = "sg-2" }
    enable_vpn                      = false
  }
  expect_failures = [output.vpc_id, output.rds_endpoint, output.redis_primary_endpoint, output.alb_dns_name, output.security_group_ids]
}
