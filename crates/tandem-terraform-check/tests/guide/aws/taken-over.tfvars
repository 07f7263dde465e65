# What stands, told to environments/aws/dr; all else is as in terraform.tfvars.example.
rds_identifier                   = "crm-dr-postgres"
rds_kms_key_arn                  = "default"
elasticache_replication_group_id = "crm-dr-redis"
elasticache_kms_key_arn          = "default"
eks_kms_key_arn                  = "default"
cluster_version                  = "1.33"
alb_name                         = "crm-dr-alb"
