variables {
  identifier         = "crm-dr"
  instance_class     = "db.m7g.large"
  allocated_storage  = 200
  database_name      = "crm"
  master_username    = "crmadmin"
  subnet_ids         = ["subnet-a", "subnet-c"]
  security_group_ids = ["sg-db"]
  tags               = { project = "crm" }
}

run "shape" {
  variables {
    parameters = { max_connections = "800" }
  }
  assert {
    condition = { for p in aws_db_parameter_group.this.parameter : p.name => [p.value, p.apply_method] } == {
      "rds.logical_replication"         = ["1", "pending-reboot"]
      "rds.force_ssl"                   = ["1", "pending-reboot"]
      "max_replication_slots"           = ["10", "pending-reboot"]
      "max_wal_senders"                 = ["15", "pending-reboot"]
      "max_logical_replication_workers" = ["8", "pending-reboot"]
      "max_worker_processes"            = ["16", "pending-reboot"]
      "max_prepared_transactions"       = ["0", "pending-reboot"]
      "track_commit_timestamp"          = ["1", "pending-reboot"]
      "max_connections"                 = ["800", "pending-reboot"]
      "max_slot_wal_keep_size"          = ["51200", "immediate"]
      "wal_receiver_timeout"            = ["5000", "immediate"]
    }
    error_message = "Logical decoding from the first day; static parameters wait for a reboot, or RDS refuses them."
  }
  assert {
    condition     = aws_db_parameter_group.this.family == "postgres15" && aws_db_parameter_group.this.name_prefix == "crm-dr-" && aws_db_instance.this.parameter_group_name == aws_db_parameter_group.this.name
    error_message = "The instance uses this group, whose family follows the major version."
  }
  assert {
    condition     = aws_db_instance.this.engine == "postgres" && aws_db_instance.this.engine_version == "15" && aws_db_instance.this.auto_minor_version_upgrade
    error_message = "A major alone does not drift when minors are upgraded."
  }
  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.password == null && aws_db_instance.this.master_user_secret_kms_key_id == aws_kms_key.this[0].arn && aws_db_instance.this.username == "crmadmin" && aws_db_instance.this.db_name == "crm"
    error_message = "Without a password RDS makes one and keeps it."
  }
  assert {
    condition     = startswith(aws_db_instance.this.final_snapshot_identifier, "crm-dr-final-") && endswith(aws_db_instance.this.final_snapshot_identifier, random_id.final_snapshot.hex) && !aws_db_instance.this.skip_final_snapshot && random_id.final_snapshot.byte_length == 4 && random_id.final_snapshot.keepers["identifier"] == "crm-dr"
    error_message = "A destroy needs a stable, unused snapshot name."
  }
  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.deletion_protection && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.backup_retention_period == 30 && !aws_db_instance.this.delete_automated_backups && aws_db_instance.this.copy_tags_to_snapshot
    error_message = "Multi-AZ, protected, private, with 30 days of backups that survive it."
  }
  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == aws_kms_key.this[0].arn && aws_kms_key.this[0].enable_key_rotation && aws_kms_key.this[0].deletion_window_in_days == 30 && aws_db_instance.this.storage_type == "gp3" && aws_db_instance.this.max_allocated_storage == 400 && aws_db_instance.this.allocated_storage == 200
    error_message = "Encrypted with its own rotating key; the disk may double."
  }
  assert {
    condition     = aws_db_instance.this.db_subnet_group_name == aws_db_subnet_group.this.name && toset(aws_db_subnet_group.this.subnet_ids) == toset(["subnet-a", "subnet-c"]) && toset(aws_db_instance.this.vpc_security_group_ids) == toset(["sg-db"]) && aws_db_instance.this.port == 5432 && aws_db_instance.this.instance_class == "db.m7g.large" && aws_db_subnet_group.this.description == "Private subnets of crm-dr"
    error_message = "Private subnets and the group given."
  }
  assert {
    condition     = aws_db_instance.this.ca_cert_identifier == "rds-ca-rsa2048-g1" && toset(aws_db_instance.this.enabled_cloudwatch_logs_exports) == toset(["postgresql", "upgrade"]) && aws_db_instance.this.backup_window == "17:00-18:00" && aws_db_instance.this.maintenance_window == "sun:18:30-sun:19:30"
    error_message = "A current certificate authority, logs, and windows in Seoul's night (UTC+9)."
  }
  assert {
    condition     = aws_db_instance.this.performance_insights_enabled && aws_db_instance.this.performance_insights_kms_key_id == aws_kms_key.this[0].arn && aws_db_instance.this.monitoring_interval == 60 && aws_db_instance.this.monitoring_role_arn == aws_iam_role.monitoring.arn && aws_iam_role_policy_attachment.monitoring.role == aws_iam_role.monitoring.name && jsondecode(aws_iam_role.monitoring.assume_role_policy).Statement[0].Principal.Service == "monitoring.rds.amazonaws.com"
    error_message = "Monitoring with a role that only RDS takes."
  }
  assert {
    condition     = endswith(aws_iam_role_policy_attachment.monitoring.policy_arn, "AmazonRDSEnhancedMonitoringRole") && length(aws_backup_vault.this) + length(aws_backup_plan.this) + length(aws_iam_role.backup) + length(aws_backup_selection.this) == 0
    error_message = "No copy of the backups unless asked for."
  }
  assert {
    condition     = alltrue([for tags in [aws_db_instance.this.tags, aws_db_parameter_group.this.tags, aws_db_subnet_group.this.tags, aws_kms_key.this[0].tags, aws_iam_role.monitoring.tags] : tags["project"] == "crm"]) && aws_db_instance.this.tags["Name"] == "crm-dr"
    error_message = "Every resource carries the tags."
  }
  assert {
    condition     = output.endpoint == aws_db_instance.this.address && output.identifier == "crm-dr" && output.port == 5432 && output.arn == aws_db_instance.this.arn && output.parameter_group_name == aws_db_parameter_group.this.name
    error_message = "The endpoint is the name, which moves with a failover."
  }
}

run "disk_growth_is_left_alone" {
  variables {
    allocated_storage = 250
  }
  assert {
    condition     = aws_db_instance.this.allocated_storage == 200 && aws_db_instance.this.max_allocated_storage == 500
    error_message = "The disk grows by itself; the file's size only counts at creation."
  }
}

run "another_key_never_replaces" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:key/mine"
  }
  assert {
    condition     = aws_db_instance.this.kms_key_id != "arn:aws:kms:ap-northeast-2:123456789012:key/mine" && aws_db_instance.this.performance_insights_kms_key_id != "arn:aws:kms:ap-northeast-2:123456789012:key/mine" && length(aws_kms_key.this) == 0
    error_message = "A key is chosen at creation; another one in the file must not cost the database."
  }
}

run "given_password_and_copy" {
  variables {
    master_password     = "Correct-Horse-9"
    skip_final_snapshot = true
    storage_encrypted   = false
    backup_copy_account = "210987654321"
    backup_copy_region  = "ap-northeast-1"
  }
  assert {
    condition     = (aws_db_instance.this.password) == "Correct-Horse-9" && aws_db_instance.this.manage_master_user_password == null && aws_db_instance.this.final_snapshot_identifier == null
    error_message = "A password given is used, and RDS makes none."
  }
  assert {
    condition     = aws_backup_selection.this["this"].resources == toset([aws_db_instance.this.arn]) && aws_backup_selection.this["this"].plan_id == aws_backup_plan.this["this"].id && aws_backup_selection.this["this"].iam_role_arn == aws_iam_role.backup["this"].arn && aws_iam_role_policy_attachment.backup["this"].role == aws_iam_role.backup["this"].name
    error_message = "AWS Backup takes this instance."
  }
  assert {
    condition     = one([for r in aws_backup_plan.this["this"].rule : one(r.copy_action[*].destination_vault_arn)]) == "arn:aws:backup:ap-northeast-1:210987654321:backup-vault:crm-dr-copy"
    error_message = "The copy goes to the other account and region."
  }
  assert {
    condition     = one([for r in aws_backup_plan.this["this"].rule : [r.target_vault_name, r.schedule, one(r.lifecycle[*].delete_after), one(one(r.copy_action[*].lifecycle)[*].delete_after), one(r.lifecycle[*].opt_in_to_archive_for_supported_resources), one(one(r.copy_action[*].lifecycle)[*].opt_in_to_archive_for_supported_resources)]]) == [aws_backup_vault.this["this"].name, "cron(0 19 * * ? *)", 7, 30, false, false] && aws_backup_vault.this["this"].kms_key_arn == aws_kms_key.this[0].arn
    error_message = "Daily; a week here, the full retention there."
  }
  assert {
    condition     = endswith(aws_iam_role_policy_attachment.backup["this"].policy_arn, "AWSBackupServiceRolePolicyForBackup") && jsondecode(aws_iam_role.backup["this"].assume_role_policy).Statement[0].Principal.Service == "backup.amazonaws.com" && aws_backup_plan.this["this"].tags["project"] == "crm" && aws_backup_vault.this["this"].tags["project"] == "crm" && aws_iam_role.backup["this"].tags["project"] == "crm"
    error_message = "Only AWS Backup takes the role."
  }
  assert {
    condition     = alltrue([for r in [aws_iam_role.backup["this"], aws_iam_role.monitoring] : jsondecode(r.assume_role_policy).Version == "2012-10-17" && jsondecode(r.assume_role_policy).Statement[0].Effect == "Allow" && jsondecode(r.assume_role_policy).Statement[0].Action == "sts:AssumeRole"]) && one([for r in aws_backup_plan.this["this"].rule : r.rule_name]) == "daily-copy" && aws_backup_plan.this["this"].name == "crm-dr-copy" && aws_backup_selection.this["this"].name == "crm-dr" && aws_backup_vault.this["this"].name == "crm-dr" && aws_iam_role.backup["this"].name == "crm-dr-backup"
    error_message = "Whole policies, readable names."
  }
}

run "a_key_is_an_arn" {
  command = plan
  variables {
    kms_key_arn = "alias/aws/rds"
  }
  expect_failures = [var.kms_key_arn]
}

run "guides_version_is_refused" {
  command = plan
  variables {
    engine_version = "15.4"
  }
  expect_failures = [var.engine_version]
}

run "other_engines_are_refused" {
  command = plan
  variables {
    engine_version = "8.0.35"
  }
  expect_failures = [var.engine_version]
}

run "guides_password_is_refused" {
  command = plan
  variables {
    master_password = "a/b@c d\"e"
  }
  expect_failures = [var.master_password]
}

run "short_password_is_refused" {
  command = plan
  variables {
    master_password = "short12"
  }
  expect_failures = [var.master_password]
}

run "decoding_cannot_be_turned_off" {
  command = plan
  variables {
    parameters = { "rds.logical_replication" = "0" }
  }
  expect_failures = [var.parameters]
}

run "guard_and_tls_cannot_be_turned_off" {
  command = plan
  variables {
    parameters = { "max_prepared_transactions" = "10", "rds.force_ssl" = "0" }
  }
  expect_failures = [var.parameters]
}

run "no_backups_are_refused" {
  command = plan
  variables {
    backup_retention_period = 0
  }
  expect_failures = [var.backup_retention_period]
}

run "growth_limit_below_the_disk_is_refused" {
  command = plan
  variables {
    max_allocated_storage = 100
  }
  expect_failures = [aws_db_instance.this]
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    identifier          = "CRM_DR"
    allocated_storage   = 5
    database_name       = "postgres"
    master_username     = "admin"
    subnet_ids          = ["subnet-a"]
    security_group_ids  = []
    port                = 80
    backup_copy_account = "me"
  }
  expect_failures = [var.identifier, var.allocated_storage, var.database_name, var.master_username, var.subnet_ids, var.security_group_ids, var.port, var.backup_copy_account]
}
