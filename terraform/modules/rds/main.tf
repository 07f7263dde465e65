# RDS for PostgreSQL: the primary at the start, and a publisher or a subscriber for ever after.
#
# Logical decoding is on from the first day, because turning it on needs a reboot. `apply_immediately` does not
# reboot either: a parameter that waits stays waiting, so Tandem's doctor reads pg_settings, never this file.

locals {
  major     = split(".", var.engine_version)[0]
  copy_made = var.backup_copy_account != null || var.backup_copy_region != null ? { this = true } : {}

  # Room for a subscription in each direction, their table copies, a spare, and an operator's own slot.
  parameters = merge({
    "rds.logical_replication"         = "1"
    "rds.force_ssl"                   = "1"
    "max_replication_slots"           = "10"
    "max_wal_senders"                 = "15"
    "max_logical_replication_workers" = "8"
    "max_worker_processes"            = "16"
    "max_prepared_transactions"       = "0"
    "track_commit_timestamp"          = "1"
    "max_slot_wal_keep_size"          = "51200"
    "wal_receiver_timeout"            = "5000"
  }, var.parameters)

  # What the services call "no key" is the cloud's own.
  made_key_arn = one(aws_kms_key.this[*].arn)
  kms_key_arn  = var.kms_key_arn == null ? local.made_key_arn : var.kms_key_arn == "default" ? null : var.kms_key_arn

  # These take effect at once; everything else is static, or harmless to wait for the next reboot.
  immediate = ["max_slot_wal_keep_size", "wal_receiver_timeout", "wal_sender_timeout", "idle_in_transaction_session_timeout", "log_min_duration_statement", "logical_decoding_work_mem"]
}

resource "aws_db_subnet_group" "this" {
  name        = var.identifier
  description = "Private subnets of ${var.identifier}"
  subnet_ids  = var.subnet_ids
  tags        = var.tags
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.identifier}-"
  family      = "postgres${local.major}"
  description = "Logical replication for ${var.identifier}"
  tags        = var.tags

  dynamic "parameter" {
    for_each = local.parameters
    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = contains(local.immediate, parameter.key) ? "immediate" : "pending-reboot"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Kept for the life of the instance, so that the final snapshot has one stable and unused name.
resource "random_id" "final_snapshot" {
  byte_length = 4
  keepers     = { identifier = var.identifier }
}

resource "aws_kms_key" "this" {
  count = var.kms_key_arn == null ? 1 : 0

  description             = "Disk, backups and master secret of ${var.identifier}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags
}

# The count came later: a key that was made before it stays.
moved {
  from = aws_kms_key.this
  to   = aws_kms_key.this[0]
}

resource "aws_db_instance" "this" {
  identifier     = var.identifier
  engine         = "postgres"
  engine_version = var.engine_version
  instance_class = var.instance_class

  allocated_storage     = var.allocated_storage
  max_allocated_storage = coalesce(var.max_allocated_storage, 2 * var.allocated_storage)
  storage_type          = "gp3"
  storage_encrypted     = var.storage_encrypted
  kms_key_id            = var.storage_encrypted ? local.kms_key_arn : null

  db_name                       = var.database_name
  username                      = var.master_username
  password                      = var.master_password
  manage_master_user_password   = var.master_password == null ? true : null
  master_user_secret_kms_key_id = var.master_password == null ? local.kms_key_arn : null

  multi_az               = var.multi_az
  port                   = var.port
  publicly_accessible    = false
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = var.security_group_ids
  parameter_group_name   = aws_db_parameter_group.this.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  backup_retention_period    = var.backup_retention_period
  backup_window              = "17:00-18:00"
  maintenance_window         = "sun:18:30-sun:19:30"
  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true
  deletion_protection        = var.deletion_protection
  delete_automated_backups   = false
  skip_final_snapshot        = var.skip_final_snapshot
  final_snapshot_identifier  = var.skip_final_snapshot ? null : "${var.identifier}-final-${random_id.final_snapshot.hex}"

  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  performance_insights_enabled    = true
  performance_insights_kms_key_id = local.kms_key_arn
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn

  tags = merge(var.tags, { Name = var.identifier })

  lifecycle {
    # Storage grows by itself up to the limit above. Keys and the subnet group are chosen at creation: another one in
    # the file would replace the database (the subnet group: be refused), so one that was taken over keeps its own.
    ignore_changes = [allocated_storage, kms_key_id, performance_insights_kms_key_id, db_subnet_group_name]

    precondition {
      condition     = coalesce(var.max_allocated_storage, 2 * var.allocated_storage) > var.allocated_storage
      error_message = "max_allocated_storage must exceed allocated_storage (${var.allocated_storage} GB), or a stuck slot stops the database."
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name = "${var.identifier}-rds-monitoring"
  tags = var.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "monitoring.rds.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
