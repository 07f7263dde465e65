# ElastiCache for Redis: one shard with replicas. No cluster mode, because Memorystore has none to pair it with.
#
# Evictions must stay local (the smaller side would empty the larger one), so only keys with a time to live go, as
# in Memorystore; the cache gateway hears of changes through keyspace notifications.

locals {
  parameters = merge({
    "maxmemory-policy"       = "volatile-lru"
    "notify-keyspace-events" = "Kgx$"
  }, var.parameters)

  # What the services call "no key" is the cloud's own.
  made_key_arn = one(aws_kms_key.this[*].arn)
  kms_key_arn  = var.kms_key_arn == null ? local.made_key_arn : var.kms_key_arn == "default" ? null : var.kms_key_arn

  token = var.auth_token_enabled ? coalesce(var.auth_token, one(random_password.token[*].result)) : null
}

resource "random_password" "token" {
  # Whether a token was given is no secret; the token is.
  count = var.auth_token_enabled && nonsensitive(var.auth_token == null) ? 1 : 0

  length  = 48
  special = false
}

resource "aws_elasticache_subnet_group" "this" {
  name        = var.replication_group_id
  description = "Private subnets of ${var.replication_group_id}"
  subnet_ids  = var.subnet_ids
  tags        = var.tags
}

resource "aws_elasticache_parameter_group" "this" {
  name        = "${var.replication_group_id}-redis7"
  family      = "redis7"
  description = "Single shard, paired with Memorystore"
  tags        = var.tags

  dynamic "parameter" {
    for_each = local.parameters
    content {
      name  = parameter.key
      value = parameter.value
    }
  }
}

resource "aws_kms_key" "this" {
  count = var.kms_key_arn == null ? 1 : 0

  description             = "Disk and snapshots of ${var.replication_group_id}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags
}

# The count came later: a key that was made before it stays.
moved {
  from = aws_kms_key.this
  to   = aws_kms_key.this[0]
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = var.replication_group_id
  description          = "Cache of the AWS site"
  engine               = "redis"
  engine_version       = var.engine_version
  node_type            = var.node_type
  num_cache_clusters   = var.num_cache_clusters
  port                 = var.port

  parameter_group_name = aws_elasticache_parameter_group.this.name
  subnet_group_name    = aws_elasticache_subnet_group.this.name
  security_group_ids   = var.security_group_ids

  automatic_failover_enabled = var.automatic_failover_enabled
  multi_az_enabled           = var.multi_az_enabled

  transit_encryption_enabled = var.transit_encryption_enabled
  at_rest_encryption_enabled = var.at_rest_encryption_enabled
  kms_key_id                 = var.at_rest_encryption_enabled ? local.kms_key_arn : null
  auth_token                 = local.token
  auth_token_update_strategy = var.auth_token_enabled ? var.auth_token_update_strategy : null

  snapshot_retention_limit = var.snapshot_retention_limit
  snapshot_window          = "17:00-18:00"
  maintenance_window       = "sun:18:30-sun:19:30"

  tags = merge(var.tags, { Name = var.replication_group_id })

  lifecycle {
    # Key and subnet group are chosen at creation: another one in the file would replace the cache. An import does not
    # read security_group_names, and what is not known replaces it too.
    ignore_changes = [kms_key_id, subnet_group_name, security_group_names]

    precondition {
      condition     = !var.auth_token_enabled || var.transit_encryption_enabled
      error_message = "A token needs elasticache_transit_encryption_enabled = true: without TLS ElastiCache refuses it."
    }
    precondition {
      condition     = !var.automatic_failover_enabled || var.num_cache_clusters >= 2
      error_message = "Automatic failover needs at least two nodes: elasticache_num_cache_clusters = 2."
    }
    precondition {
      condition     = !var.multi_az_enabled || var.automatic_failover_enabled
      error_message = "elasticache_multi_az_enabled needs elasticache_automatic_failover_enabled."
    }
  }
}
