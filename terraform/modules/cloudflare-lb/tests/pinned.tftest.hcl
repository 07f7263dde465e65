variables {
  cloudflare_account_id = "fedcba9876543210fedcba9876543210"
  cloudflare_zone_id    = "0123456789abcdef0123456789abcdef"
  domain_name           = "crm.example.com"
  aws_origins           = [{ name = "aws-primary", address = "crm-dr.ap-northeast-2.elb.amazonaws.com" }]
  gcp_origins           = [{ name = "gcp-secondary", address = "198.51.100.7" }]
  notification_email    = "ops@example.com"
}

run "no_failover" {
  variables {
    enable_failover    = false
    notification_email = null
  }
  assert {
    condition     = cloudflare_load_balancer.this.default_pool_ids == tolist([cloudflare_load_balancer_pool.this["aws"].id]) && !one(cloudflare_load_balancer.this.adaptive_routing).failover_across_pools && length(cloudflare_notification_policy.health) == 0 && length(output.warnings) == 2
    error_message = "enable_failover = false pins everything to the primary cloud, and says so."
  }
}
