# Keys that are not made here.

variables {
  identifier          = "crm-dr"
  instance_class      = "db.m7g.large"
  allocated_storage   = 200
  database_name       = "crm"
  master_username     = "crmadmin"
  subnet_ids          = ["subnet-a", "subnet-c"]
  security_group_ids  = ["sg-db"]
  backup_copy_account = "210987654321"
}

run "a_key_of_yours" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:key/mine"
  }
  assert {
    condition     = [aws_db_instance.this.kms_key_id, aws_db_instance.this.performance_insights_kms_key_id, aws_db_instance.this.master_user_secret_kms_key_id, aws_backup_vault.this["this"].kms_key_arn] == [for n in range(4) : "arn:aws:kms:ap-northeast-2:123456789012:key/mine"] && length(aws_kms_key.this) == 0
    error_message = "A key that is given is used everywhere, and none is made."
  }
}

run "the_clouds_own_key" {
  variables {
    kms_key_arn = "default"
  }
  assert {
    condition     = length(aws_kms_key.this) == 0 && aws_db_instance.this.storage_encrypted && startswith(aws_db_instance.this.kms_key_id, "arn:")
    error_message = "AWS's own key still encrypts, and RDS says which it took."
  }
}
