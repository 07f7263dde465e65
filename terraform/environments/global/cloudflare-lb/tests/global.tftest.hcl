variables {
  cloudflare_account_id = "fedcba9876543210fedcba9876543210"
  cloudflare_zone_id    = "0123456789abcdef0123456789abcdef"
  domain_name           = "crm.example.com"
  aws_alb_dns_name      = "crm-dr.ap-northeast-2.elb.amazonaws.com"
  gcp_lb_ip             = "203.0.113.10"
  notification_email    = "ops@example.com"
}

run "as_it_comes" {
  assert {
    condition     = output.hostname == "crm.example.com" && toset(keys(output.pool_ids)) == toset(["aws", "gcp"]) && output.detection_worst_case_seconds == 19 && length(output.warnings) == 0 && output.load_balancer_id != "" && output.monitor_id != ""
    error_message = "Both clouds behind one name, a lost one noticed within 19 s."
  }
}

run "everything_said" {
  command = plan
  variables {
    name_prefix                   = "crm"
    dns_record_name               = "app"
    domain_name                   = "example.com"
    health_check_type             = "http"
    health_check_port             = 8080
    health_check_path             = "/health?deep"
    health_check_interval         = 60
    health_check_timeout          = 5
    health_check_retries          = 2
    health_check_expected_codes   = "2xx"
    health_check_consecutive_down = 2
    health_check_header           = { Host = ["app.example.com"] }
    plan_minimum_interval         = 60
    detection_seconds_max         = null
    check_regions                 = ["NEAS", "SEAS"]
    steering_policy               = "dynamic_latency"
    pool_weights                  = { aws = 0.7, gcp = 0.3 }
    failover_across_pools         = false
    primary_cloud                 = "gcp"
    session_affinity              = "none"
    proxied                       = false
    notification_email            = null
  }
  assert {
    condition     = output.detection_worst_case_seconds == 135 && length(output.warnings) == 4 && output.hostname == "app.example.com"
    error_message = "Each setting reaches the module: ${jsonencode(output.warnings)}"
  }
}

run "origins_in_the_wrong_form_are_refused" {
  command = plan
  variables {
    aws_alb_dns_name = "https://crm-dr.ap-northeast-2.elb.amazonaws.com"
    gcp_lb_ip        = "lb.example.com"
  }
  expect_failures = [var.aws_alb_dns_name, var.gcp_lb_ip]
}
