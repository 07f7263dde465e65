variables {
  replication_group_id = "crm-dr"
  node_type            = "cache.r7g.large"
  subnet_ids           = ["subnet-a", "subnet-c"]
  security_group_ids   = ["sg-cache"]
  tags                 = { project = "crm" }
}

run "shape" {
  assert {
    condition     = aws_elasticache_replication_group.this.engine == "redis" && aws_elasticache_replication_group.this.engine_version == "7.0" && aws_elasticache_replication_group.this.num_cache_clusters == 3 && aws_elasticache_replication_group.this.node_type == "cache.r7g.large" && aws_elasticache_replication_group.this.port == 6379 && aws_elasticache_replication_group.this.description == "Cache of the AWS site"
    error_message = "One shard of Redis 7.0 with three nodes."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.multi_az_enabled
    error_message = "The loss of a node or zone is ElastiCache's own failover."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled) && aws_elasticache_replication_group.this.kms_key_id == aws_kms_key.this[0].arn && aws_kms_key.this[0].enable_key_rotation && aws_kms_key.this[0].deletion_window_in_days == 30
    error_message = "Encrypted on the way and on disk."
  }
  assert {
    condition     = (aws_elasticache_replication_group.this.auth_token == random_password.token[0].result) && aws_elasticache_replication_group.this.auth_token_update_strategy == "ROTATE" && random_password.token[0].length == 48 && !random_password.token[0].special
    error_message = "Without a token one of letters and digits is generated."
  }
  assert {
    condition     = { for p in aws_elasticache_parameter_group.this.parameter : p.name => p.value } == { "maxmemory-policy" = "volatile-lru", "notify-keyspace-events" = "Kgx$" } && aws_elasticache_parameter_group.this.family == "redis7" && aws_elasticache_parameter_group.this.name == "crm-dr-redis7" && aws_elasticache_replication_group.this.parameter_group_name == aws_elasticache_parameter_group.this.name
    error_message = "Evict only keys with a time to live, and notify of changes."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.subnet_group_name == aws_elasticache_subnet_group.this.name && toset(aws_elasticache_subnet_group.this.subnet_ids) == toset(["subnet-a", "subnet-c"]) && toset(aws_elasticache_replication_group.this.security_group_ids) == toset(["sg-cache"])
    error_message = "Private subnets and the group given."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.snapshot_retention_limit == 30 && aws_elasticache_replication_group.this.snapshot_window == "17:00-18:00" && aws_elasticache_replication_group.this.maintenance_window == "sun:18:30-sun:19:30"
    error_message = "Snapshots and maintenance in Seoul's night."
  }
  assert {
    condition     = alltrue([for tags in [aws_elasticache_replication_group.this.tags, aws_elasticache_parameter_group.this.tags, aws_elasticache_subnet_group.this.tags, aws_kms_key.this[0].tags] : tags["project"] == "crm"]) && aws_elasticache_replication_group.this.tags["Name"] == "crm-dr"
    error_message = "Every resource carries the tags."
  }
  assert {
    condition     = output.primary_endpoint == aws_elasticache_replication_group.this.primary_endpoint_address && output.reader_endpoint == aws_elasticache_replication_group.this.reader_endpoint_address && output.port == 6379 && (output.auth_token) == (random_password.token[0].result)
    error_message = "Outputs are the names that follow a failover."
  }
}

run "another_key_never_replaces" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:key/mine"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.kms_key_id != "arn:aws:kms:ap-northeast-2:123456789012:key/mine" && length(aws_kms_key.this) == 0
    error_message = "A key is chosen at creation; another one in the file must not cost the cache."
  }
}

run "a_key_is_an_arn" {
  command = plan
  variables {
    kms_key_arn = "alias/aws/elasticache"
  }
  expect_failures = [var.kms_key_arn]
}

run "given_token" {
  command = plan
  variables {
    auth_token = "Aa0!&#$^<>-bcdef"
    parameters = { "maxmemory-policy" = "allkeys-lru" }
  }
  assert {
    condition     = (aws_elasticache_replication_group.this.auth_token) == "Aa0!&#$^<>-bcdef" && length(random_password.token) == 0 && contains([for p in aws_elasticache_parameter_group.this.parameter : p.value], "allkeys-lru")
    error_message = "A token and a parameter that are given win."
  }
}

run "no_token" {
  command = plan
  variables {
    auth_token_enabled         = false
    transit_encryption_enabled = false
    at_rest_encryption_enabled = false
  }
  assert {
    condition     = aws_elasticache_replication_group.this.auth_token == null && aws_elasticache_replication_group.this.auth_token_update_strategy == null && aws_elasticache_replication_group.this.kms_key_id == null && length(random_password.token) == 0
    error_message = "Nothing is generated for a cache without a token."
  }
}

run "guides_token_is_refused" {
  command = plan
  variables {
    auth_token = "your_secure_auth_token_here"
  }
  expect_failures = [var.auth_token]
}

run "short_token_is_refused" {
  command = plan
  variables {
    auth_token = "abcdefgh"
  }
  expect_failures = [var.auth_token]
}

run "token_without_tls_is_refused" {
  command = plan
  variables {
    transit_encryption_enabled = false
  }
  expect_failures = [aws_elasticache_replication_group.this]
}

run "failover_with_one_node_is_refused" {
  command = plan
  variables {
    num_cache_clusters = 1
  }
  expect_failures = [aws_elasticache_replication_group.this]
}

run "zones_without_failover_are_refused" {
  command = plan
  variables {
    automatic_failover_enabled = false
  }
  expect_failures = [aws_elasticache_replication_group.this]
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    replication_group_id       = "CRM_DR"
    engine_version             = "6.2"
    num_cache_clusters         = 9
    auth_token_update_strategy = "DELETE"
    snapshot_retention_limit   = 90
    security_group_ids         = []
  }
  expect_failures = [var.replication_group_id, var.engine_version, var.num_cache_clusters, var.auth_token_update_strategy, var.snapshot_retention_limit, var.security_group_ids]
}
