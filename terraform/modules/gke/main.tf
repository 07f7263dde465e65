# The cluster of the GCP site: regional and private, with the default node pool removed.
#
# Node counts are totals. In a regional cluster Google multiplies plain counts by the zones, so that "5" would start
# fifteen nodes; the pools therefore use total limits, and the first count is divided by the zones.

resource "google_container_cluster" "this" {
  project             = var.project_id
  location            = var.region
  name                = var.cluster_name
  node_locations      = var.node_locations
  deletion_protection = var.deletion_protection
  resource_labels     = var.labels

  network         = var.network_id
  subnetwork      = var.subnetwork_name
  networking_mode = "VPC_NATIVE"

  # Dataplane V2 enforces network policies.
  datapath_provider        = "ADVANCED_DATAPATH"
  remove_default_node_pool = true
  initial_node_count       = 1
  enable_shielded_nodes    = true

  ip_allocation_policy {
    cluster_secondary_range_name  = var.ip_range_pods_name
    services_secondary_range_name = var.ip_range_services_name
  }

  private_cluster_config {
    enable_private_nodes    = var.enable_private_nodes
    enable_private_endpoint = length(var.authorized_networks) == 0
    master_ipv4_cidr_block  = var.control_plane_cidr
    master_global_access_config {
      enabled = true
    }
  }

  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled = false

    dynamic "cidr_blocks" {
      for_each = var.authorized_networks
      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }

  # People and pods log in with their Google identity alone.
  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  release_channel {
    channel = var.release_channel
  }

  workload_identity_config {
    workload_pool = "${var.project_id}.svc.id.goog"
  }

  maintenance_policy {
    recurring_window {
      start_time = "2026-01-03T17:00:00Z"
      end_time   = "2026-01-03T21:00:00Z"
      recurrence = "FREQ=WEEKLY;BYDAY=SA,SU"
    }
  }

  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = true
    }
  }

  lifecycle {
    # The pool that makes the cluster is removed at once; its settings mean nothing later. The data path is chosen at
    # creation: a cluster that was taken over keeps its own, and its default pool, until a person drains it.
    ignore_changes = [node_config, initial_node_count, remove_default_node_pool, datapath_provider]
  }
}
