variables {
  cloudflare_account_id = "fedcba9876543210fedcba9876543210"
  cloudflare_zone_id    = "0123456789abcdef0123456789abcdef"
  domain_name           = "crm.example.com"
  aws_origins           = [{ name = "aws-primary", address = "crm-dr.ap-northeast-2.elb.amazonaws.com" }]
  gcp_origins           = [{ name = "gcp-secondary", address = "198.51.100.7", weight = 1.0, enabled = true }]
  notification_email    = "ops@example.com"
}

run "shape" {
  assert {
    condition     = cloudflare_load_balancer.this.name == "crm.example.com" && cloudflare_load_balancer.this.zone_id == var.cloudflare_zone_id && cloudflare_load_balancer.this.proxied && cloudflare_load_balancer.this.enabled && cloudflare_load_balancer.this.description == "crm-dr: both clouds"
    error_message = "With @ the balancer is called as the domain."
  }
  assert {
    condition     = cloudflare_load_balancer.this.default_pool_ids == tolist([cloudflare_load_balancer_pool.this["aws"].id, cloudflare_load_balancer_pool.this["gcp"].id]) && cloudflare_load_balancer.this.fallback_pool_id == cloudflare_load_balancer_pool.this["aws"].id
    error_message = "The primary cloud comes first and is the last resort."
  }
  assert {
    condition     = cloudflare_load_balancer.this.steering_policy == "random" && one(cloudflare_load_balancer.this.random_steering).pool_weights == tomap({ (cloudflare_load_balancer_pool.this["aws"].id) = 0.5, (cloudflare_load_balancer_pool.this["gcp"].id) = 0.5 }) && one(cloudflare_load_balancer.this.random_steering).default_weight == 0.5
    error_message = "50:50 is random steering with equal weights."
  }
  assert {
    condition     = one(cloudflare_load_balancer.this.adaptive_routing).failover_across_pools
    error_message = "A failed request is repeated in the other cloud."
  }
  assert {
    condition     = cloudflare_load_balancer.this.session_affinity == "cookie" && cloudflare_load_balancer.this.session_affinity_ttl == 3600 && one(cloudflare_load_balancer.this.session_affinity_attributes).drain_duration == 300 && one(cloudflare_load_balancer.this.session_affinity_attributes).samesite == "Lax" && one(cloudflare_load_balancer.this.session_affinity_attributes).secure == "Always" && one(cloudflare_load_balancer.this.session_affinity_attributes).zero_downtime_failover == "sticky"
    error_message = "Cookies, with time to drain."
  }
  assert {
    condition     = [for h in cloudflare_load_balancer_monitor.this.header : [h.header, h.values]] == [["Host", toset(["crm.example.com"])]]
    error_message = "The probe names the service, or TLS to a bare address fails."
  }
  assert {
    condition     = cloudflare_load_balancer_monitor.this.type == "https" && cloudflare_load_balancer_monitor.this.path == "/health" && cloudflare_load_balancer_monitor.this.method == "GET" && cloudflare_load_balancer_monitor.this.expected_codes == "200" && cloudflare_load_balancer_monitor.this.port == 0 && !cloudflare_load_balancer_monitor.this.allow_insecure && !cloudflare_load_balancer_monitor.this.follow_redirects
    error_message = "A strict probe of /health; the standard port is left to the type."
  }
  assert {
    condition     = [cloudflare_load_balancer_monitor.this.interval, cloudflare_load_balancer_monitor.this.timeout, cloudflare_load_balancer_monitor.this.retries, cloudflare_load_balancer_monitor.this.consecutive_down, cloudflare_load_balancer_monitor.this.consecutive_up] == [15, 2, 1, 1, 2] && output.detection_worst_case_seconds == 19
    error_message = "15 s + 2 x 2 s: a silent cloud is noticed within 19 s."
  }
  assert {
    condition     = alltrue([for cloud, p in cloudflare_load_balancer_pool.this : p.monitor == cloudflare_load_balancer_monitor.this.id && toset(p.check_regions) == toset(["NEAS"]) && p.minimum_origins == 1 && p.enabled && p.name == "crm-dr-${cloud}" && p.description == "Cloud ${cloud}" && p.account_id == var.cloudflare_account_id && one(p.origin_steering).policy == "random"])
    error_message = "Both pools are probed from one region that every plan may use."
  }
  assert {
    condition     = [for o in cloudflare_load_balancer_pool.this["aws"].origins : [o.name, o.address, o.enabled, o.weight]] == [["aws-primary", "crm-dr.ap-northeast-2.elb.amazonaws.com", true, 1]] && [for o in cloudflare_load_balancer_pool.this["gcp"].origins : [o.name, o.address, o.enabled, o.weight]] == [["gcp-secondary", "198.51.100.7", true, 1]]
    error_message = "Each pool has its own cloud's origin."
  }
  assert {
    condition     = alltrue(flatten([for p in cloudflare_load_balancer_pool.this : [for o in p.origins : [for h in o.header : h.header == "Host" && h.values == toset(["crm.example.com"])]]]))
    error_message = "Origins hear the service's name."
  }
  assert {
    condition     = alltrue([for p in cloudflare_load_balancer_pool.this : p.notification_email == null || p.notification_email == ""])
    error_message = "notification_email of a pool is deprecated; a policy takes its place."
  }
  assert {
    condition     = cloudflare_notification_policy.health["this"].alert_type == "load_balancing_health_alert" && cloudflare_notification_policy.health["this"].enabled && one(cloudflare_notification_policy.health["this"].email_integration).id == "ops@example.com" && cloudflare_notification_policy.health["this"].name == "crm-dr-health" && cloudflare_notification_policy.health["this"].account_id == var.cloudflare_account_id && cloudflare_notification_policy.health["this"].description == "A pool or origin of crm.example.com changed its health"
    error_message = "A person hears of a changed health."
  }
  assert {
    condition     = toset(cloudflare_notification_policy.health["this"].filters[0].pool_id) == toset(values(output.pool_ids)) && toset(cloudflare_notification_policy.health["this"].filters[0].new_health) == toset(["Unhealthy", "Healthy"]) && toset(cloudflare_notification_policy.health["this"].filters[0].event_source) == toset(["pool", "origin"])
    error_message = "Both pools and their origins, in both directions."
  }
  assert {
    condition     = length(output.warnings) == 0 && output.hostname == "crm.example.com" && output.load_balancer_id == cloudflare_load_balancer.this.id && output.monitor_id == cloudflare_load_balancer_monitor.this.id && cloudflare_load_balancer_monitor.this.account_id == var.cloudflare_account_id && cloudflare_load_balancer_monitor.this.description == "crm-dr: is crm.example.com well?" && keys(output.pool_ids) == ["aws", "gcp"]
    error_message = "Nothing to warn of: ${jsonencode(output.warnings)}"
  }
}

run "an_apply_cannot_undo_a_failover" {
  variables {
    primary_cloud = "gcp"
    pool_weights  = { aws = 1, gcp = 0 }
  }
  assert {
    condition     = cloudflare_load_balancer.this.default_pool_ids[0] == output.pool_ids["aws"] && cloudflare_load_balancer.this.fallback_pool_id == output.pool_ids["aws"] && one(cloudflare_load_balancer.this.random_steering).pool_weights[output.pool_ids["gcp"]] == 0.5
    error_message = "Order, fallback and weights belong to Tandem once they exist: Terraform leaves them as they are."
  }
}

run "ttl_without_affinity" {
  command = plan
  variables {
    proxied           = false
    session_affinity  = "none"
    health_check_type = "tcp"
    health_check_port = 8443
  }
  assert {
    condition     = cloudflare_load_balancer.this.ttl == 30 && cloudflare_load_balancer.this.session_affinity_ttl == null && cloudflare_load_balancer_monitor.this.method == "connection_established" && cloudflare_load_balancer_monitor.this.port == 8443 && length(cloudflare_load_balancer_monitor.this.header) == 0 && cloudflare_load_balancer_monitor.this.expected_codes == null
    error_message = "A DNS-only balancer with a TCP probe."
  }
}

run "guides_policy_is_allowed_with_a_warning" {
  command = plan
  variables {
    steering_policy = "dynamic_latency"
  }
  assert {
    condition     = length(output.warnings) == 2 && strcontains(output.warnings[0], "all or nothing")
    error_message = "dynamic_latency is not 50:50, and the user hears of it."
  }
}

run "guides_settings_break_its_30_seconds" {
  command = plan
  variables {
    health_check_interval = 60
    health_check_timeout  = 5
    health_check_retries  = 2
    detection_seconds_max = 30
  }
  expect_failures = [cloudflare_load_balancer_monitor.this]
}

run "guides_settings_take_75_seconds" {
  command = plan
  variables {
    health_check_interval = 60
    health_check_timeout  = 5
    health_check_retries  = 2
  }
  assert {
    condition     = output.detection_worst_case_seconds == 75
    error_message = "The guide's own settings: 60 + 3 x 5 s."
  }
}

run "three_in_a_row_take_longer" {
  command = plan
  variables {
    health_check_consecutive_down = 3
    detection_seconds_max         = 49
  }
  assert {
    condition     = output.detection_worst_case_seconds == 49
    error_message = "3 x 15 + 2 x 2 s, and a promise of exactly that is kept."
  }
}

run "interval_below_the_plan_is_refused" {
  command = plan
  variables {
    health_check_interval = 15
    plan_minimum_interval = 60
  }
  expect_failures = [cloudflare_load_balancer_monitor.this]
}

run "interval_within_its_retries_is_refused" {
  command = plan
  variables {
    health_check_interval = 15
    health_check_timeout  = 5
    health_check_retries  = 2
  }
  expect_failures = [cloudflare_load_balancer_monitor.this]
}

run "header_without_host_is_refused" {
  command = plan
  variables {
    health_check_header = { X-Probe = ["tandem"] }
  }
  expect_failures = [cloudflare_load_balancer_monitor.this]
}

run "cookie_without_proxy_is_refused" {
  command = plan
  variables {
    proxied = false
  }
  expect_failures = [cloudflare_load_balancer.this]
}

run "weights_of_zero_are_refused" {
  command = plan
  variables {
    pool_weights = { aws = 0, gcp = 0 }
  }
  expect_failures = [cloudflare_load_balancer.this]
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    name_prefix           = "crm dr"
    cloudflare_account_id = "account"
    cloudflare_zone_id    = "example.com"
    domain_name           = "https://crm.example.com"
    dns_record_name       = "crm_app!"
    health_check_type     = "ping"
    health_check_port     = 0
    health_check_path     = "health"
    health_check_interval = 4
    health_check_timeout  = 60
    health_check_retries  = 9
    check_regions         = []
    aws_origins           = []
    gcp_origins           = [{ name = "gcp-secondary", address = "" }]
    steering_policy       = "fastest"
    pool_weights          = { aws = 1 }
    session_affinity      = "sticky"
    session_affinity_ttl  = 60
    primary_cloud         = "azure"
    notification_email    = "ops"
  }
  expect_failures = [
    var.name_prefix, var.cloudflare_account_id, var.cloudflare_zone_id, var.domain_name, var.dns_record_name, var.health_check_type, var.health_check_port, var.health_check_path,
    var.health_check_interval, var.health_check_timeout, var.health_check_retries, var.check_regions, var.aws_origins, var.gcp_origins, var.steering_policy, var.pool_weights,
    var.session_affinity, var.session_affinity_ttl, var.primary_cloud, var.notification_email,
  ]
}
