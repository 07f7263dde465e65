# Node pools: the application's, which grows, and Tandem's. A firewall knows nodes by their tags, so Tandem has its own.

locals {
  zones = length(var.node_locations)

  pools = {
    application = { machine_type = var.node_pool_machine_type, min = var.node_pool_min_count, initial = var.node_pool_initial_count, max = var.node_pool_max_count, taints = [] }
    tandem      = { machine_type = var.tandem_machine_type, min = 2, initial = 2, max = 3, taints = ["tandem"] }
  }
}

resource "google_service_account" "node" {
  project      = var.project_id
  account_id   = "${var.cluster_name}-node"
  display_name = "Nodes of ${var.cluster_name}"
}

resource "google_project_iam_member" "node" {
  for_each = toset(["roles/logging.logWriter", "roles/monitoring.metricWriter", "roles/monitoring.viewer", "roles/stackdriver.resourceMetadata.writer", "roles/artifactregistry.reader"])

  project = var.project_id
  role    = each.key
  member  = "serviceAccount:${google_service_account.node.email}"
}

resource "google_container_node_pool" "this" {
  for_each = local.pools

  project            = var.project_id
  location           = var.region
  cluster            = google_container_cluster.this.name
  name               = each.key
  node_locations     = var.node_locations
  initial_node_count = ceil(each.value.initial / local.zones)

  autoscaling {
    total_min_node_count = each.value.min
    total_max_node_count = each.value.max
    location_policy      = "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type    = each.value.machine_type
    disk_size_gb    = var.node_pool_disk_size_gb
    disk_type       = "pd-balanced"
    image_type      = "COS_CONTAINERD"
    service_account = google_service_account.node.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    tags            = [var.network_tags[each.key]]
    labels          = merge(var.labels, { "tandem-role" = each.key })
    metadata        = { "disable-legacy-endpoints" = "true" }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    # A pod gets its own identity, never the node's.
    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    dynamic "taint" {
      for_each = toset(each.value.taints)
      content {
        key    = "tandem.dev/role"
        value  = taint.key
        effect = "NO_SCHEDULE"
      }
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]

    precondition {
      condition     = each.value.min >= 1 && each.value.min <= each.value.initial && each.value.initial <= each.value.max
      error_message = "Node counts must be in order: 1 <= min (${each.value.min}) <= initial (${each.value.initial}) <= max (${each.value.max}). They are totals over ${local.zones} zones."
    }
  }
}

# Identities of pods: the Kubernetes service account of the same namespace and name may act as the Google one.
resource "google_service_account" "pods" {
  for_each = { application = "crm", tandem = "tandem" }

  project      = var.project_id
  account_id   = "${var.cluster_name}-${each.value}"
  display_name = "Pods ${each.value} of ${var.cluster_name}"
}

resource "google_service_account_iam_member" "pods" {
  for_each = { application = "crm", tandem = "tandem" }

  service_account_id = google_service_account.pods[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project_id}.svc.id.goog[${each.value}/${each.value}]"

  # The pool of identities comes with the cluster.
  depends_on = [google_container_cluster.this]
}
