variables {
  name               = "crm-dr"
  vpc_id             = "vpc-1"
  public_subnet_ids  = ["subnet-a", "subnet-c"]
  security_group_ids = ["sg-alb"]
  certificate_arn    = "arn:aws:acm:ap-northeast-2:123456789012:certificate/1"
  tags               = { project = "crm" }
}

run "shape" {
  variables {
    access_log_bucket = "crm-dr-logs"
    web_acl_arn       = "arn:aws:wafv2:ap-northeast-2:123456789012:regional/webacl/x/1"
  }
  assert {
    condition     = aws_lb.this.load_balancer_type == "application" && !aws_lb.this.internal && aws_lb.this.enable_deletion_protection && aws_lb.this.drop_invalid_header_fields && aws_lb.this.desync_mitigation_mode == "strictest" && aws_lb.this.idle_timeout == 60 && aws_lb.this.name == "crm-dr"
    error_message = "A protected public balancer that drops odd headers."
  }
  assert {
    condition     = toset(aws_lb.this.subnets) == toset(["subnet-a", "subnet-c"]) && toset(aws_lb.this.security_groups) == toset(["sg-alb"]) && aws_lb.this.access_logs[0].bucket == "crm-dr-logs" && aws_lb.this.access_logs[0].enabled && aws_lb.this.access_logs[0].prefix == "crm-dr"
    error_message = "Public subnets, the group given, logs to the bucket."
  }
  assert {
    condition     = aws_lb_listener.https.port == 443 && aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.certificate_arn == var.certificate_arn && aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06" && aws_lb_listener.https.load_balancer_arn == aws_lb.this.arn && aws_lb_listener.https.default_action[0].type == "forward" && aws_lb_listener.https.default_action[0].target_group_arn == aws_lb_target_group.application.arn
    error_message = "TLS 1.2 or newer with the certificate, to the application."
  }
  assert {
    condition     = aws_lb_target_group.application.target_type == "ip" && aws_lb_target_group.application.port == 8080 && aws_lb_target_group.application.protocol == "HTTP" && aws_lb_target_group.application.vpc_id == "vpc-1" && aws_lb_target_group.application.name == "crm-dr-8080" && aws_lb_target_group.application.deregistration_delay == "30"
    error_message = "Pods are targets by their addresses."
  }
  assert {
    condition     = aws_lb_target_group.application.health_check[0].path == "/readyz" && aws_lb_target_group.application.health_check[0].matcher == "200" && [aws_lb_target_group.application.health_check[0].interval, aws_lb_target_group.application.health_check[0].timeout, aws_lb_target_group.application.health_check[0].healthy_threshold, aws_lb_target_group.application.health_check[0].unhealthy_threshold] == [5, 2, 2, 2]
    error_message = "A dead pod leaves within about ten seconds."
  }
  assert {
    condition     = aws_wafv2_web_acl_association.this["this"].resource_arn == aws_lb.this.arn && aws_wafv2_web_acl_association.this["this"].web_acl_arn == var.web_acl_arn
    error_message = "A firewall that is given stands in front."
  }
  assert {
    condition     = output.dns_name == aws_lb.this.dns_name && output.arn == aws_lb.this.arn && output.target_group_arn == aws_lb_target_group.application.arn && alltrue([for tags in [aws_lb.this.tags, aws_lb_target_group.application.tags, aws_lb_listener.https.tags] : tags["project"] == "crm"]) && aws_lb.this.tags["Name"] == "crm-dr"
    error_message = "Outputs and tags."
  }
}

run "plain" {
  command = plan
  assert {
    condition     = length(aws_lb.this.access_logs) == 0 && length(aws_wafv2_web_acl_association.this) == 0
    error_message = "Logs and firewall are optional."
  }
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    name              = "crm_dr"
    public_subnet_ids = ["subnet-a"]
    certificate_arn   = "crm.example.com"
  }
  expect_failures = [var.name, var.public_subnet_ids, var.certificate_arn]
}
