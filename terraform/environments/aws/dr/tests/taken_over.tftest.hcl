# Names and keys of what stands already.

run "names_and_keys_that_stand" {
  variables {
    acm_certificate_arn              = "arn:aws:acm:ap-northeast-2:123456789012:certificate/1"
    rds_identifier                   = "crm-dr-postgres"
    rds_kms_key_arn                  = "arn:aws:kms:ap-northeast-2:123456789012:key/rds"
    elasticache_replication_group_id = "crm-dr-redis"
    elasticache_kms_key_arn          = "default"
    eks_kms_key_arn                  = "default"
    alb_name                         = "crm-dr-alb"
  }
  assert {
    condition     = startswith(output.rds_endpoint, "crm-dr-postgres.") && startswith(output.redis_primary_endpoint, "master.crm-dr-redis.") && startswith(output.alb_dns_name, "crm-dr-alb-")
    error_message = "What is taken over keeps its name."
  }
}
