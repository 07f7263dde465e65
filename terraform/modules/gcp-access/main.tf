# GCP's half of the table of permitted connections.
#
# Into machines, each flow is an ingress rule on the place's network tag. Cloud SQL and Memorystore live in Google's own
# network, where our ingress rules do not apply: what may reach them is decided where it leaves, by an egress rule that
# stops the application's nodes once the table no longer lists them.

locals {
  sources = {
    gcp-database  = [var.private_services_cidr]
    gcp-cache     = [var.private_services_cidr]
    google-probes = ["130.211.0.0/22", "35.191.0.0/16"]
    witness       = var.witness_cidrs
    aws-etcd      = concat([var.aws_cidr], var.aws_etcd_cidrs)
  }

  tagged = ["gcp-application", "gcp-tandem", "gcp-etcd"]
  ingress = {
    for key, flow in var.flows : key => merge(flow, {
      ranges = lookup(local.sources, flow.from, startswith(flow.from, "aws-") ? [var.aws_cidr] : var.node_cidrs)
    }) if contains(local.tagged, flow.to)
  }

  # The longest names (62 characters) are those of the rules between clouds.
  opened = { for key, flow in local.ingress : key => flow if length(flow.ranges) > 0 }

  data_places  = ["gcp-database", "gcp-cache"]
  direct_ports = [for flow in var.flows : flow.port if flow.from == "gcp-application" && contains(local.data_places, flow.to)]
  data_ports   = distinct([for flow in var.flows : tostring(flow.port) if flow.from == "gcp-tandem" && (contains(local.data_places, flow.to) || flow.to == "aws-database")])
  closed       = length(local.direct_ports) == 0 ? { this = true } : {}
}

resource "google_compute_firewall" "ingress" {
  for_each = local.opened

  project       = var.project_id
  name          = "${var.network_name}-${replace(each.key, "_", "-")}"
  network       = var.network_name
  description   = "${each.value.from}: ${each.value.why} (${each.value.tls})"
  direction     = "INGRESS"
  priority      = 1000
  source_ranges = each.value.ranges
  target_tags   = ["${var.network_name}-${trimprefix(each.value.to, "gcp-")}"]

  allow {
    protocol = "tcp"
    ports    = [tostring(each.value.port)]
  }
}

# Once the application is adopted, its nodes reach no database and no cache, neither here nor through the VPN.
resource "google_compute_firewall" "application_to_data" {
  for_each = local.closed

  project            = var.project_id
  name               = "${var.network_name}-application-not-to-data"
  network            = var.network_name
  description        = "Applications go through gate and cache gateway"
  direction          = "EGRESS"
  priority           = 900
  destination_ranges = [var.private_services_cidr, var.aws_cidr]
  target_tags        = ["${var.network_name}-application"]

  deny {
    protocol = "tcp"
    ports    = local.data_ports
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}
