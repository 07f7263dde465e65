variables {
  project_id                  = "example"
  region                      = "asia-northeast3"
  instance_name               = "crm-dr-postgres"
  tier                        = "db-custom-4-15360"
  disk_size                   = 200
  database_name               = "crm"
  user_name                   = "crmadmin"
  network_id                  = "projects/example/global/networks/crm-dr"
  private_services_range_name = "crm-dr-private-services"
  private_services_connection = "connection"
  labels                      = { project = "crm" }
}

run "shape" {
  variables {
    database_flags  = { max_connections = "800" }
    backup_location = "asia-northeast1"
  }
  assert {
    condition = { for f in google_sql_database_instance.this.settings[0].database_flags : f.name => f.value } == {
      "cloudsql.logical_decoding"       = "on"
      "max_replication_slots"           = "10"
      "max_wal_senders"                 = "15"
      "max_logical_replication_workers" = "8"
      "max_worker_processes"            = "16"
      "max_prepared_transactions"       = "0"
      "track_commit_timestamp"          = "on"
      "max_slot_wal_keep_size"          = "51200"
      "max_connections"                 = "800"
    }
    error_message = "It can publish from the first day, since turning decoding on restarts it."
  }
  assert {
    condition     = google_sql_database_instance.this.master_instance_name == null || google_sql_database_instance.this.master_instance_name != var.instance_name
    error_message = "A logical subscriber is no physical replica."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].edition == "ENTERPRISE" && google_sql_database_instance.this.settings[0].tier == "db-custom-4-15360" && google_sql_database_instance.this.database_version == "POSTGRES_15" && google_sql_database_instance.this.settings[0].availability_type == "REGIONAL"
    error_message = "db-custom tiers exist in ENTERPRISE only."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].disk_size == 200 && google_sql_database_instance.this.settings[0].disk_autoresize && google_sql_database_instance.this.settings[0].disk_autoresize_limit == 400 && google_sql_database_instance.this.settings[0].disk_type == "PD_SSD"
    error_message = "The disk may double, not more."
  }
  assert {
    condition     = google_sql_database_instance.this.deletion_protection && google_sql_database_instance.this.settings[0].deletion_protection_enabled
    error_message = "Protected in Terraform and in the API."
  }
  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].private_network == "projects/example/global/networks/crm-dr" && google_sql_database_instance.this.settings[0].ip_configuration[0].allocated_ip_range == "crm-dr-private-services" && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY" && !google_sql_database_instance.this.settings[0].ip_configuration[0].enable_private_path_for_google_cloud_services
    error_message = "A private address in our range, TLS only."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].enabled && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled && google_sql_database_instance.this.settings[0].backup_configuration[0].transaction_log_retention_days == 7 && google_sql_database_instance.this.settings[0].backup_configuration[0].location == "asia-northeast1" && google_sql_database_instance.this.settings[0].backup_configuration[0].start_time == "17:00" && google_sql_database_instance.this.settings[0].backup_configuration[0].backup_retention_settings[0].retained_backups == 30 && google_sql_database_instance.this.settings[0].backup_configuration[0].backup_retention_settings[0].retention_unit == "COUNT"
    error_message = "Thirty daily backups and seven days of log, in another region if asked."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].maintenance_window[0].day == 7 && google_sql_database_instance.this.settings[0].maintenance_window[0].hour == 18 && google_sql_database_instance.this.settings[0].maintenance_window[0].update_track == "stable" && google_sql_database_instance.this.settings[0].insights_config[0].query_insights_enabled && google_sql_database_instance.this.settings[0].insights_config[0].record_client_address && google_sql_database_instance.this.settings[0].insights_config[0].record_application_tags
    error_message = "Maintenance in Seoul's night; insights on."
  }
  assert {
    condition     = google_sql_database.this.instance == google_sql_database_instance.this.name && google_sql_database.this.name == "crm" && google_sql_user.this.instance == google_sql_database_instance.this.name && google_sql_user.this.name == "crmadmin" && google_sql_user.this.deletion_policy == "ABANDON"
    error_message = "The database and its master user."
  }
  assert {
    condition     = (google_sql_user.this.password == random_password.user[0].result) && random_password.user[0].length == 32 && !random_password.user[0].special && (output.user_password == random_password.user[0].result)
    error_message = "Without a password one is generated."
  }
  assert {
    condition     = alltrue([for project in [google_sql_database_instance.this.project, google_sql_database.this.project, google_sql_user.this.project] : project == "example"]) && google_sql_database_instance.this.region == "asia-northeast3" && google_sql_database_instance.this.settings[0].user_labels["project"] == "crm"
    error_message = "Project, region and labels."
  }
  assert {
    condition     = output.connection_name == google_sql_database_instance.this.connection_name && output.private_ip == google_sql_database_instance.this.private_ip_address && output.instance_name == "crm-dr-postgres"
    error_message = "Outputs of the instance."
  }
}

run "disk_growth_is_left_alone" {
  variables {
    disk_size = 300
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].disk_size == 200 && google_sql_database_instance.this.settings[0].disk_autoresize_limit == 600
    error_message = "Another size in the file, or on the disk, must never delete and recreate the database."
  }
}

run "given_password" {
  command = plan
  variables {
    user_password         = "Correct-Horse-9"
    disk_autoresize_limit = 1000
    deletion_protection   = false
  }
  assert {
    condition     = (google_sql_user.this.password) == "Correct-Horse-9" && length(random_password.user) == 0 && google_sql_database_instance.this.settings[0].disk_autoresize_limit == 1000 && !google_sql_database_instance.this.settings[0].deletion_protection_enabled
    error_message = "What is given wins."
  }
}

run "decoding_cannot_be_turned_off" {
  command = plan
  variables {
    database_flags = { "cloudsql.logical_decoding" = "off" }
  }
  expect_failures = [var.database_flags]
}

run "prepared_transactions_are_refused" {
  command = plan
  variables {
    database_flags = { max_prepared_transactions = "5" }
  }
  expect_failures = [var.database_flags]
}

run "unknown_flag_is_refused" {
  command = plan
  variables {
    database_flags = { "no.such_flag" = "on" }
  }
  expect_failures = [var.database_flags]
}

run "tier_of_the_other_edition_is_refused" {
  command = plan
  variables {
    edition = "ENTERPRISE_PLUS"
  }
  expect_failures = [google_sql_database_instance.this]
}

run "recovery_without_backups_is_refused" {
  command = plan
  variables {
    backup_enabled = false
  }
  expect_failures = [google_sql_database_instance.this]
}

run "limit_below_the_disk_is_refused" {
  command = plan
  variables {
    disk_autoresize_limit = 100
  }
  expect_failures = [google_sql_database_instance.this]
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    instance_name               = "CRM_DR"
    database_version            = "MYSQL_8_0"
    edition                     = "BASIC"
    tier                        = "db-f1-micro"
    disk_size                   = 5
    disk_type                   = "SSD"
    availability_type           = "MULTI"
    user_password               = "short"
    network_id                  = "crm-dr"
    private_services_connection = ""
  }
  expect_failures = [var.instance_name, var.database_version, var.edition, var.tier, var.disk_size, var.disk_type, var.availability_type, var.user_password, var.network_id, var.private_services_connection]
}
