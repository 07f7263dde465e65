# Cloud SQL for PostgreSQL: the logical subscriber at the start, and able to publish from the first day.
#
# It is an ordinary read/write instance, not a "replica" of anything Google knows: a `master_instance_name` would
# make it a physical standby. That it takes no application writes is Tandem's work, inside the database.

locals {
  flags = merge({
    "cloudsql.logical_decoding"       = "on"
    "max_replication_slots"           = "10"
    "max_wal_senders"                 = "15"
    "max_logical_replication_workers" = "8"
    "max_worker_processes"            = "16"
    "max_prepared_transactions"       = "0"
    "track_commit_timestamp"          = "on"
    "max_slot_wal_keep_size"          = "51200"
  }, var.database_flags)

  password = coalesce(var.user_password, one(random_password.user[*].result))
}

resource "random_password" "user" {
  # Whether a password was given is no secret; the password is.
  count = nonsensitive(var.user_password == null) ? 1 : 0

  length  = 32
  special = false
}

resource "google_sql_database_instance" "this" {
  project             = var.project_id
  region              = var.region
  name                = var.instance_name
  database_version    = var.database_version
  deletion_protection = var.deletion_protection

  settings {
    edition                     = var.edition
    tier                        = var.tier
    availability_type           = var.availability_type
    disk_type                   = var.disk_type
    disk_size                   = var.disk_size
    disk_autoresize             = var.disk_autoresize
    disk_autoresize_limit       = coalesce(var.disk_autoresize_limit, 2 * var.disk_size)
    deletion_protection_enabled = var.deletion_protection
    user_labels                 = var.labels

    ip_configuration {
      ipv4_enabled                                  = false
      private_network                               = var.network_id
      allocated_ip_range                            = var.private_services_range_name
      ssl_mode                                      = "ENCRYPTED_ONLY"
      enable_private_path_for_google_cloud_services = false
    }

    backup_configuration {
      enabled                        = var.backup_enabled
      location                       = var.backup_location
      start_time                     = "17:00"
      point_in_time_recovery_enabled = var.point_in_time_recovery_enabled
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = var.retained_backups
        retention_unit   = "COUNT"
      }
    }

    maintenance_window {
      day          = 7
      hour         = 18
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled  = true
      record_application_tags = true
      record_client_address   = true
    }

    dynamic "database_flags" {
      for_each = local.flags
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  lifecycle {
    # The disk grows by itself; with the old size in the file the next plan would delete and recreate the database.
    ignore_changes = [settings[0].disk_size]

    precondition {
      condition     = startswith(var.tier, "db-custom-") == (var.edition == "ENTERPRISE")
      error_message = "Tier ${var.tier} does not exist in edition ${var.edition}: db-custom tiers are ENTERPRISE, db-perf-optimized tiers ENTERPRISE_PLUS."
    }
    precondition {
      condition     = !var.point_in_time_recovery_enabled || var.backup_enabled
      error_message = "Point-in-time recovery needs cloud_sql_backup_enabled = true."
    }
    # The reference is what tells Terraform the order.
    precondition {
      condition     = length(var.private_services_connection) > 0
      error_message = "The private services connection comes first."
    }
    precondition {
      condition     = coalesce(var.disk_autoresize_limit, 2 * var.disk_size) >= var.disk_size
      error_message = "disk_autoresize_limit must not be smaller than the disk (${var.disk_size} GB)."
    }
  }
}

resource "google_sql_database" "this" {
  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = var.database_name
}

resource "google_sql_user" "this" {
  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = var.user_name
  password = local.password

  # It owns the tables: PostgreSQL would refuse to drop it.
  deletion_policy = "ABANDON"
}
