variables {
  project_id                  = "example"
  region                      = "asia-northeast3"
  instance_id                 = "crm-dr-redis"
  display_name                = "CRM DR Redis"
  memory_size_gb              = 10
  network_id                  = "projects/example/global/networks/crm-dr"
  private_services_range_name = "crm-dr-private-services"
  private_services_connection = "connection"
  labels                      = { project = "crm" }
}

run "shape" {
  assert {
    condition     = google_redis_instance.this.replica_count == 2 && google_redis_instance.this.read_replicas_mode == "READ_REPLICAS_ENABLED" && google_redis_instance.this.tier == "STANDARD_HA" && google_redis_instance.this.memory_size_gb == 10 && google_redis_instance.this.redis_version == "REDIS_7_0"
    error_message = "Two replicas, with the mode that they need."
  }
  assert {
    condition     = google_redis_instance.this.connect_mode == "PRIVATE_SERVICE_ACCESS" && google_redis_instance.this.reserved_ip_range == "crm-dr-private-services" && google_redis_instance.this.authorized_network == "projects/example/global/networks/crm-dr"
    error_message = "The address comes from the shared private services range."
  }
  assert {
    condition     = google_redis_instance.this.auth_enabled && google_redis_instance.this.transit_encryption_mode == "SERVER_AUTHENTICATION"
    error_message = "TLS and a password."
  }
  assert {
    condition     = google_redis_instance.this.redis_configs["maxmemory-policy"] == "volatile-lru" && google_redis_instance.this.redis_configs["notify-keyspace-events"] == "Kgx$"
    error_message = "The same eviction policy and notifications as ElastiCache."
  }
  assert {
    condition     = google_redis_instance.this.persistence_config[0].persistence_mode == "RDB" && google_redis_instance.this.persistence_config[0].rdb_snapshot_period == "SIX_HOURS"
    error_message = "Snapshots every six hours."
  }
  assert {
    condition     = google_redis_instance.this.maintenance_policy[0].weekly_maintenance_window[0].day == "SUNDAY" && google_redis_instance.this.maintenance_policy[0].weekly_maintenance_window[0].start_time[0].hours == 18 && alltrue([for part in ["minutes", "seconds", "nanos"] : google_redis_instance.this.maintenance_policy[0].weekly_maintenance_window[0].start_time[0][part] == 0])
    error_message = "Maintenance in Seoul's night."
  }
  assert {
    condition     = google_redis_instance.this.project == "example" && google_redis_instance.this.region == "asia-northeast3" && google_redis_instance.this.name == "crm-dr-redis" && google_redis_instance.this.display_name == "CRM DR Redis" && google_redis_instance.this.labels["project"] == "crm"
    error_message = "Names, place and labels."
  }
  assert {
    condition     = output.host == google_redis_instance.this.host && output.port == google_redis_instance.this.port && output.read_endpoint == google_redis_instance.this.read_endpoint && (output.auth_string) == (google_redis_instance.this.auth_string)
    error_message = "Outputs of the instance."
  }
}

run "no_replicas_no_persistence" {
  command = plan
  variables {
    replica_count      = 0
    read_replicas_mode = "READ_REPLICAS_DISABLED"
    persistence_mode   = "DISABLED"
  }
  assert {
    condition     = google_redis_instance.this.persistence_config[0].rdb_snapshot_period == null && google_redis_instance.this.read_replicas_mode == "READ_REPLICAS_DISABLED"
    error_message = "A plain instance without snapshots is possible."
  }
}

run "guides_replicas_without_mode_are_refused" {
  command = plan
  variables {
    read_replicas_mode = "READ_REPLICAS_DISABLED"
  }
  expect_failures = [google_redis_instance.this]
}

run "replicas_in_the_basic_tier_are_refused" {
  command = plan
  variables {
    tier = "BASIC"
  }
  expect_failures = [google_redis_instance.this]
}

run "small_instance_with_replicas_is_refused" {
  command = plan
  variables {
    memory_size_gb = 4
  }
  expect_failures = [google_redis_instance.this]
}

run "mode_without_replicas_is_refused" {
  command = plan
  variables {
    replica_count = 0
  }
  expect_failures = [google_redis_instance.this]
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    instance_id                 = "CRM"
    tier                        = "HA"
    memory_size_gb              = 0
    redis_version               = "REDIS_6_X"
    replica_count               = 6
    read_replicas_mode          = "ON"
    transit_encryption_mode     = "TLS"
    persistence_mode            = "AOF"
    rdb_snapshot_period         = "DAILY"
    private_services_connection = ""
  }
  expect_failures = [var.instance_id, var.tier, var.memory_size_gb, var.redis_version, var.replica_count, var.read_replicas_mode, var.transit_encryption_mode, var.persistence_mode, var.rdb_snapshot_period, var.private_services_connection]
}
