# What a person has in GCP who followed the guide by hand: plain resources under addresses of their own, the guide's
# values (those that the API refuses put right), and Google's own keys, since the guide names none.

terraform {
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

locals {
  project = "example-project"
  region  = "asia-northeast3"
}

provider "google" {
  project = local.project
  region  = local.region
}

resource "google_compute_network" "main" {
  project                 = local.project
  name                    = "crm-dr"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "main" {
  project       = local.project
  region        = local.region
  name          = "crm-dr-subnet"
  network       = google_compute_network.main.id
  ip_cidr_range = "10.20.0.0/20"

  secondary_ip_range {
    range_name    = "crm-dr-pods"
    ip_cidr_range = "10.21.0.0/16"
  }

  secondary_ip_range {
    range_name    = "crm-dr-services"
    ip_cidr_range = "10.22.0.0/20"
  }
}

resource "google_compute_global_address" "private" {
  project       = local.project
  name          = "crm-dr-private-ip"
  network       = google_compute_network.main.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = "10.40.0.0"
  prefix_length = 16
}

resource "google_service_networking_connection" "private" {
  network                 = google_compute_network.main.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.private.name]
}

resource "google_container_cluster" "main" {
  project    = local.project
  location   = local.region
  name       = "crm-dr-gke"
  network    = google_compute_network.main.id
  subnetwork = google_compute_subnetwork.main.name

  remove_default_node_pool = true
  initial_node_count       = 1

  ip_allocation_policy {
    cluster_secondary_range_name  = "crm-dr-pods"
    services_secondary_range_name = "crm-dr-services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = false
    master_ipv4_cidr_block  = "172.16.0.0/28"
  }

  release_channel {
    channel = "REGULAR"
  }

  # Not written by the guide: what GKE answers when nothing is said.
  networking_mode     = "VPC_NATIVE"
  datapath_provider   = "LEGACY_DATAPATH"
  deletion_protection = true
}

resource "google_container_node_pool" "main" {
  project            = local.project
  location           = local.region
  name               = "crm-dr-pool"
  cluster            = google_container_cluster.main.name
  initial_node_count = 2

  autoscaling {
    total_min_node_count = 3
    total_max_node_count = 10
  }

  node_config {
    machine_type = "n2-standard-16"
    disk_size_gb = 200
  }
}

resource "google_sql_database_instance" "postgres" {
  project             = local.project
  region              = local.region
  name                = "crm-dr-postgres"
  database_version    = "POSTGRES_15"
  deletion_protection = true

  settings {
    edition           = "ENTERPRISE"
    tier              = "db-custom-4-15360"
    availability_type = "REGIONAL"
    disk_type         = "PD_SSD"
    disk_size         = 200

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.main.id
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }
  }

  depends_on = [google_service_networking_connection.private]
}

resource "google_sql_database" "crm" {
  project  = local.project
  instance = google_sql_database_instance.postgres.name
  name     = "crm"
}

resource "google_sql_user" "crmadmin" {
  project  = local.project
  instance = google_sql_database_instance.postgres.name
  name     = "crmadmin"
  password = "Correct-Horse-9"
}

resource "google_redis_instance" "redis" {
  project                 = local.project
  region                  = local.region
  name                    = "crm-dr-redis"
  display_name            = "CRM DR Redis"
  tier                    = "STANDARD_HA"
  memory_size_gb          = 10
  redis_version           = "REDIS_7_0"
  replica_count           = 2
  read_replicas_mode      = "READ_REPLICAS_ENABLED"
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"
  authorized_network      = google_compute_network.main.id

  persistence_config {
    persistence_mode    = "RDB"
    rdb_snapshot_period = "SIX_HOURS"
  }

  # Not written by the guide: what Memorystore answers when nothing is said.
  connect_mode      = "DIRECT_PEERING"
  reserved_ip_range = "10.41.0.0/29"
}
