variables {
  cloudflare_account_id = "fedcba9876543210fedcba9876543210"
  cloudflare_zone_id    = "0123456789abcdef0123456789abcdef"
  domain_name           = "crm.example.com"
  aws_origins           = [{ name = "aws-primary", address = "crm-dr.ap-northeast-2.elb.amazonaws.com" }]
  gcp_origins           = [{ name = "gcp-secondary", address = "198.51.100.7" }]
  notification_email    = "ops@example.com"
}

run "record_below_the_domain" {
  variables {
    domain_name     = "example.com"
    dns_record_name = "app"
    primary_cloud   = "gcp"
  }
  assert {
    condition     = cloudflare_load_balancer.this.name == "app.example.com" && one([for h in cloudflare_load_balancer_monitor.this.header : h.values]) == toset(["app.example.com"])
    error_message = "Else the balancer is called record.domain, and so is the probe's host."
  }
  assert {
    condition     = cloudflare_load_balancer.this.default_pool_ids == tolist([cloudflare_load_balancer_pool.this["gcp"].id, cloudflare_load_balancer_pool.this["aws"].id]) && cloudflare_load_balancer.this.fallback_pool_id == cloudflare_load_balancer_pool.this["gcp"].id
    error_message = "primary_cloud decides the order and the fallback."
  }
}
