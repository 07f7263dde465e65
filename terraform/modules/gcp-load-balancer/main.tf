# The entry of the GCP site: an external application load balancer with a reserved address, which Cloudflare takes as
# the GCP origin. The address exists before the application does, so that the global part can be planned at once.

resource "google_compute_global_address" "this" {
  project      = var.project_id
  name         = "${var.name}-lb"
  address_type = "EXTERNAL"
  ip_version   = "IPV4"
}

resource "google_compute_health_check" "this" {
  project             = var.project_id
  name                = "${var.name}-application"
  check_interval_sec  = 5
  timeout_sec         = 2
  healthy_threshold   = 2
  unhealthy_threshold = 2

  http_health_check {
    request_path = var.health_check_path
    port         = var.health_check_port
  }
}

# A rule takes at most ten ranges.
resource "google_compute_security_policy" "edge_only" {
  project = var.project_id
  name    = "${var.name}-edge-only"

  dynamic "rule" {
    for_each = { for i, ranges in chunklist(var.edge_cidrs, 10) : 1000 + i => ranges }
    content {
      action      = "allow"
      priority    = rule.key
      description = "Cloudflare"
      match {
        versioned_expr = "SRC_IPS_V1"
        config {
          src_ip_ranges = rule.value
        }
      }
    }
  }

  rule {
    action      = "deny(403)"
    priority    = 2147483647
    description = "nobody else"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_backend_service" "this" {
  project                         = var.project_id
  name                            = "${var.name}-application"
  protocol                        = "HTTP"
  load_balancing_scheme           = "EXTERNAL_MANAGED"
  health_checks                   = [google_compute_health_check.this.id]
  security_policy                 = google_compute_security_policy.edge_only.id
  timeout_sec                     = 30
  connection_draining_timeout_sec = 30

  dynamic "backend" {
    for_each = toset(var.neg_zones)
    content {
      group                 = "projects/${var.project_id}/zones/${backend.key}/networkEndpointGroups/${var.neg_name}"
      balancing_mode        = "RATE"
      max_rate_per_endpoint = 1000
    }
  }

  log_config {
    enable      = true
    sample_rate = 0.1
  }
}

resource "google_compute_url_map" "this" {
  project         = var.project_id
  name            = "${var.name}-lb"
  default_service = google_compute_backend_service.this.id
}

resource "google_compute_ssl_policy" "this" {
  project         = var.project_id
  name            = "${var.name}-lb"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "this" {
  project          = var.project_id
  name             = "${var.name}-lb"
  url_map          = google_compute_url_map.this.id
  ssl_policy       = google_compute_ssl_policy.this.id
  certificate_map  = var.certificate_map_id == null ? null : "//certificatemanager.googleapis.com/${var.certificate_map_id}"
  ssl_certificates = length(var.ssl_certificate_ids) == 0 ? null : var.ssl_certificate_ids

  lifecycle {
    precondition {
      condition     = (var.certificate_map_id != null) != (length(var.ssl_certificate_ids) > 0)
      error_message = "Give certificate_map_id (global/certificates makes one) or ssl_certificate_ids, and not both."
    }
  }
}

resource "google_compute_global_forwarding_rule" "https" {
  project               = var.project_id
  name                  = "${var.name}-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this.id
  ip_protocol           = "TCP"
  port_range            = "443"
  target                = google_compute_target_https_proxy.this.id
}
