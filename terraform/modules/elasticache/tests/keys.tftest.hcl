# Keys that are not made here.

variables {
  replication_group_id = "crm-dr"
  node_type            = "cache.r7g.large"
  subnet_ids           = ["subnet-a", "subnet-c"]
  security_group_ids   = ["sg-cache"]
}

run "a_key_of_yours" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:key/mine"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.kms_key_id == "arn:aws:kms:ap-northeast-2:123456789012:key/mine" && length(aws_kms_key.this) == 0
    error_message = "A key that is given is used, and none is made."
  }
}

run "the_clouds_own_key" {
  command = plan
  variables {
    kms_key_arn = "default"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.kms_key_id == null && tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled) && length(aws_kms_key.this) == 0
    error_message = "No key here is the service's own: it still encrypts."
  }
}
