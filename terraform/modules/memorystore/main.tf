# Memorystore for Redis, the cache of the GCP site. Its address comes from the same reserved range as Cloud SQL's,
# not from a second peering of its own, so that one route export and one firewall rule cover both.

resource "google_redis_instance" "this" {
  project        = var.project_id
  region         = var.region
  name           = var.instance_id
  display_name   = var.display_name
  tier           = var.tier
  memory_size_gb = var.memory_size_gb
  redis_version  = var.redis_version
  labels         = var.labels

  replica_count      = var.replica_count
  read_replicas_mode = var.read_replicas_mode

  auth_enabled            = var.auth_enabled
  transit_encryption_mode = var.transit_encryption_mode

  connect_mode       = "PRIVATE_SERVICE_ACCESS"
  authorized_network = var.network_id
  reserved_ip_range  = var.private_services_range_name

  redis_configs = merge({
    "maxmemory-policy"       = "volatile-lru"
    "notify-keyspace-events" = "Kgx$"
  }, var.redis_configs)

  persistence_config {
    persistence_mode    = var.persistence_mode
    rdb_snapshot_period = var.persistence_mode == "RDB" ? var.rdb_snapshot_period : null
  }

  maintenance_policy {
    weekly_maintenance_window {
      day = "SUNDAY"
      start_time {
        hours   = 18
        minutes = 0
        seconds = 0
        nanos   = 0
      }
    }
  }

  lifecycle {
    # Chosen at creation: a cache that was taken over keeps its peering and its range.
    ignore_changes = [connect_mode, reserved_ip_range]

    precondition {
      condition     = var.replica_count == 0 || var.read_replicas_mode == "READ_REPLICAS_ENABLED"
      error_message = "memorystore_replica_count = ${var.replica_count} needs memorystore_read_replicas_mode = \"READ_REPLICAS_ENABLED\" at creation."
    }
    # The reference is what tells Terraform the order.
    precondition {
      condition     = length(var.private_services_connection) > 0
      error_message = "The private services connection comes first."
    }
    precondition {
      condition     = var.read_replicas_mode == "READ_REPLICAS_DISABLED" || (var.tier == "STANDARD_HA" && var.memory_size_gb >= 5 && var.replica_count >= 1)
      error_message = "Read replicas need memorystore_tier = STANDARD_HA, at least 5 GB and a memorystore_replica_count of 1 to 5."
    }
  }
}
