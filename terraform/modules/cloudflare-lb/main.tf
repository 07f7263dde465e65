# The global load balancer: a monitor, a pool for each cloud, and the balancer that carries the service's name.
#
# A load balancer's name wins over a DNS record of the same name, so there is no record here.
# Which pools are on, their weights and their order belong to Tandem at run time: Terraform sets them once and then
# ignores them, so that an apply in the middle of an outage cannot undo a failover.

locals {
  service = var.dns_record_name == "@" ? var.domain_name : "${var.dns_record_name}.${var.domain_name}"
  headers = coalesce(var.health_check_header, { Host = [local.service] })
  origins = { aws = var.aws_origins, gcp = var.gcp_origins }
  other   = { aws = "gcp", gcp = "aws" }
  order   = var.enable_failover ? [var.primary_cloud, local.other[var.primary_cloud]] : [var.primary_cloud]

  retried_seconds  = (var.health_check_retries + 1) * var.health_check_timeout
  detection_worst  = max(1, var.health_check_consecutive_down) * var.health_check_interval + local.retried_seconds
  default_port     = { http = 80, https = 443, tcp = 0 }[var.health_check_type]
  across_pools     = coalesce(var.failover_across_pools, var.enable_failover)
  notification_set = var.notification_email == null ? {} : { this = var.notification_email }
}

resource "cloudflare_load_balancer_monitor" "this" {
  account_id       = var.cloudflare_account_id
  description      = "${var.name_prefix}: is ${local.service} well?"
  type             = var.health_check_type
  method           = var.health_check_type == "tcp" ? "connection_established" : "GET"
  port             = var.health_check_port == local.default_port ? 0 : var.health_check_port
  path             = var.health_check_type == "tcp" ? null : var.health_check_path
  interval         = var.health_check_interval
  timeout          = var.health_check_timeout
  retries          = var.health_check_retries
  consecutive_down = var.health_check_consecutive_down
  consecutive_up   = var.health_check_consecutive_up
  expected_codes   = var.health_check_type == "tcp" ? null : var.health_check_expected_codes
  follow_redirects = false
  allow_insecure   = false

  dynamic "header" {
    for_each = var.health_check_type == "tcp" ? {} : local.headers
    content {
      header = header.key
      values = header.value
    }
  }

  lifecycle {
    precondition {
      condition     = var.health_check_interval >= var.plan_minimum_interval
      error_message = "health_check_interval = ${var.health_check_interval} is below the plan's minimum of ${var.plan_minimum_interval} s: Cloudflare answers \"interval is not in range\"."
    }
    precondition {
      condition     = var.health_check_interval > local.retried_seconds
      error_message = "A probe with its retries takes up to ${local.retried_seconds} s: health_check_interval must be longer."
    }
    precondition {
      condition     = var.detection_seconds_max == null || try(local.detection_worst <= var.detection_seconds_max, false)
      error_message = "A silent cloud is noticed after up to ${local.detection_worst} s (${max(1, var.health_check_consecutive_down)} x interval + retries), promised are ${coalesce(var.detection_seconds_max, 0)} s: shorten interval, timeout or retries."
    }
    precondition {
      condition     = var.health_check_type != "https" || contains(keys(local.headers), "Host")
      error_message = "health_check_header must keep a Host header: without it https probes send no SNI and fail."
    }
  }
}

resource "cloudflare_load_balancer_pool" "this" {
  for_each = local.origins

  account_id      = var.cloudflare_account_id
  name            = "${var.name_prefix}-${each.key}"
  description     = "Cloud ${each.key}"
  enabled         = true
  minimum_origins = 1
  monitor         = cloudflare_load_balancer_monitor.this.id
  check_regions   = var.check_regions

  origin_steering {
    policy = "random"
  }

  dynamic "origins" {
    for_each = each.value
    content {
      name    = origins.value.name
      address = origins.value.address
      enabled = origins.value.enabled
      weight  = origins.value.weight

      header {
        header = "Host"
        values = [local.service]
      }
    }
  }

  lifecycle {
    # Tandem turns pools off and on.
    ignore_changes = [enabled]
  }
}

resource "cloudflare_load_balancer" "this" {
  zone_id              = var.cloudflare_zone_id
  name                 = local.service
  description          = "${var.name_prefix}: both clouds"
  enabled              = true
  proxied              = var.proxied
  ttl                  = var.proxied ? null : 30
  default_pool_ids     = [for cloud in local.order : cloudflare_load_balancer_pool.this[cloud].id]
  fallback_pool_id     = cloudflare_load_balancer_pool.this[var.primary_cloud].id
  steering_policy      = var.steering_policy
  session_affinity     = var.session_affinity
  session_affinity_ttl = var.session_affinity == "none" ? null : var.session_affinity_ttl

  random_steering {
    default_weight = 0.5
    pool_weights   = { for cloud in local.order : cloudflare_load_balancer_pool.this[cloud].id => var.pool_weights[cloud] }
  }

  adaptive_routing {
    failover_across_pools = local.across_pools
  }

  session_affinity_attributes {
    samesite               = "Lax"
    secure                 = "Always"
    drain_duration         = 300
    zero_downtime_failover = "sticky"
  }

  lifecycle {
    ignore_changes = [default_pool_ids, fallback_pool_id, random_steering]

    precondition {
      condition     = var.proxied || var.session_affinity == "none"
      error_message = "session_affinity needs proxied = true: a DNS answer carries no cookie."
    }
    precondition {
      condition     = sum(values(var.pool_weights)) > 0
      error_message = "pool_weights are all 0: nobody would be served."
    }
  }
}

resource "cloudflare_notification_policy" "health" {
  for_each = local.notification_set

  account_id  = var.cloudflare_account_id
  name        = "${var.name_prefix}-health"
  description = "A pool or origin of ${local.service} changed its health"
  alert_type  = "load_balancing_health_alert"
  enabled     = true

  email_integration {
    id = each.value
  }

  filters {
    pool_id      = [for pool in cloudflare_load_balancer_pool.this : pool.id]
    new_health   = ["Unhealthy", "Healthy"]
    event_source = ["pool", "origin"]
  }
}
