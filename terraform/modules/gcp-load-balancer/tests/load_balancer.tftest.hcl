variables {
  project_id         = "example"
  name               = "crm-dr"
  certificate_map_id = "projects/example/locations/global/certificateMaps/crm-dr-certificates"
  neg_name           = "crm-dr-application"
  neg_zones          = ["asia-northeast3-a", "asia-northeast3-b"]
}

run "shape" {
  assert {
    condition     = google_compute_global_forwarding_rule.https.ip_address == google_compute_global_address.this.id && google_compute_global_forwarding_rule.https.port_range == "443" && google_compute_global_forwarding_rule.https.target == google_compute_target_https_proxy.this.id && google_compute_global_forwarding_rule.https.load_balancing_scheme == "EXTERNAL_MANAGED" && google_compute_global_forwarding_rule.https.ip_protocol == "TCP"
    error_message = "HTTPS on the reserved address."
  }
  assert {
    condition     = google_compute_global_address.this.address_type == "EXTERNAL" && google_compute_global_address.this.ip_version == "IPV4" && output.ip == google_compute_global_address.this.address
    error_message = "lb_ip is a reserved IPv4 address."
  }
  assert {
    condition     = google_compute_target_https_proxy.this.certificate_map == "//certificatemanager.googleapis.com/projects/example/locations/global/certificateMaps/crm-dr-certificates" && google_compute_target_https_proxy.this.url_map == google_compute_url_map.this.id && google_compute_target_https_proxy.this.ssl_policy == google_compute_ssl_policy.this.id && google_compute_ssl_policy.this.min_tls_version == "TLS_1_2" && google_compute_ssl_policy.this.profile == "MODERN"
    error_message = "The certificate map in the form the proxy takes, TLS 1.2 or newer."
  }
  assert {
    condition     = google_compute_url_map.this.default_service == google_compute_backend_service.this.id && output.backend_service_id == google_compute_backend_service.this.id
    error_message = "Everything goes to the application."
  }
  assert {
    condition     = toset([for b in google_compute_backend_service.this.backend : b.group]) == toset([for z in ["a", "b"] : "projects/example/zones/asia-northeast3-${z}/networkEndpointGroups/crm-dr-application"]) && alltrue([for b in google_compute_backend_service.this.backend : b.balancing_mode == "RATE" && b.max_rate_per_endpoint == 1000])
    error_message = "The groups that GKE makes, one a zone."
  }
  assert {
    condition     = google_compute_backend_service.this.protocol == "HTTP" && google_compute_backend_service.this.load_balancing_scheme == "EXTERNAL_MANAGED" && toset(google_compute_backend_service.this.health_checks) == toset([google_compute_health_check.this.id]) && google_compute_backend_service.this.security_policy == google_compute_security_policy.edge_only.id && google_compute_backend_service.this.timeout_sec == 30 && google_compute_backend_service.this.connection_draining_timeout_sec == 30
    error_message = "Probed, guarded, drained."
  }
  assert {
    condition     = google_compute_health_check.this.http_health_check[0].request_path == "/readyz" && google_compute_health_check.this.http_health_check[0].port == 8080 && [google_compute_health_check.this.check_interval_sec, google_compute_health_check.this.timeout_sec, google_compute_health_check.this.healthy_threshold, google_compute_health_check.this.unhealthy_threshold] == [5, 2, 2, 2] && google_compute_backend_service.this.log_config[0].enable && google_compute_backend_service.this.log_config[0].sample_rate == 0.1
    error_message = "A dead pod leaves within about ten seconds."
  }
  assert {
    condition     = { for r in google_compute_security_policy.edge_only.rule : r.priority => [r.action, r.description, r.match[0].versioned_expr, length(r.match[0].config[0].src_ip_ranges)] } == { 1000 = ["allow", "Cloudflare", "SRC_IPS_V1", 10], 1001 = ["allow", "Cloudflare", "SRC_IPS_V1", 5], 2147483647 = ["deny(403)", "nobody else", "SRC_IPS_V1", 1] }
    error_message = "Cloudflare's ranges, at most ten a rule, and nobody else."
  }
  assert {
    condition     = alltrue([for r in [google_compute_global_address.this, google_compute_health_check.this, google_compute_security_policy.edge_only, google_compute_backend_service.this, google_compute_url_map.this, google_compute_ssl_policy.this, google_compute_target_https_proxy.this, google_compute_global_forwarding_rule.https] : r.project == "example" && startswith(r.name, "crm-dr-")])
    error_message = "Project and names."
  }
}

run "before_the_application" {
  command = plan
  variables {
    neg_zones           = []
    certificate_map_id  = null
    ssl_certificate_ids = ["projects/example/global/sslCertificates/origin"]
  }
  assert {
    condition     = length(google_compute_backend_service.this.backend) == 0 && google_compute_target_https_proxy.this.certificate_map == null && google_compute_target_https_proxy.this.ssl_certificates == tolist(["projects/example/global/sslCertificates/origin"])
    error_message = "The balancer can exist before the application; a certificate of our own will do."
  }
}

run "no_certificate_is_refused" {
  command = plan
  variables {
    certificate_map_id = null
  }
  expect_failures = [google_compute_target_https_proxy.this]
}

run "two_certificates_are_refused" {
  command = plan
  variables {
    ssl_certificate_ids = ["projects/example/global/sslCertificates/origin"]
  }
  expect_failures = [google_compute_target_https_proxy.this]
}
