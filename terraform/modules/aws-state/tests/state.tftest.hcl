variables {
  bucket     = "crm-dr-terraform-state"
  lock_table = "crm-dr-terraform-locks"
  tags       = { project = "crm" }
}

run "shape" {
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" && aws_s3_bucket.this.bucket == "crm-dr-terraform-state" && alltrue([for id in [aws_s3_bucket_versioning.this.bucket, aws_s3_bucket_server_side_encryption_configuration.this.bucket, aws_s3_bucket_public_access_block.this.bucket, aws_s3_bucket_policy.this.bucket, aws_s3_bucket_lifecycle_configuration.this.bucket] : id == aws_s3_bucket.this.id])
    error_message = "A lost state can be brought back."
  }
  assert {
    condition     = alltrue([for r in aws_s3_bucket_server_side_encryption_configuration.this.rule : r.bucket_key_enabled && r.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && r.apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.this.arn]) && aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "States hold passwords: encrypted with a key of their own."
  }
  assert {
    condition     = alltrue([aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy, aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets])
    error_message = "Nothing public."
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Version == "2012-10-17" && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Effect == "Deny" && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false" && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Resource == [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"] && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Action == "s3:*" && jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Principal == "*"
    error_message = "TLS only."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].status == "Enabled" && aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 365 && aws_s3_bucket_lifecycle_configuration.this.rule[0].id == "old-versions" && aws_s3_bucket_lifecycle_configuration.this.rule[0].filter[0].prefix == ""
    error_message = "Old versions, which hold old passwords, go after a year."
  }
  assert {
    condition     = aws_dynamodb_table.locks.hash_key == "LockID" && [for a in aws_dynamodb_table.locks.attribute : [a.name, a.type]] == [["LockID", "S"]] && aws_dynamodb_table.locks.billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.locks.deletion_protection_enabled && aws_dynamodb_table.locks.point_in_time_recovery[0].enabled && aws_dynamodb_table.locks.server_side_encryption[0].enabled && aws_dynamodb_table.locks.server_side_encryption[0].kms_key_arn == aws_kms_key.this.arn
    error_message = "Terraform locks by LockID."
  }
  assert {
    condition     = output.bucket == "crm-dr-terraform-state" && output.lock_table == "crm-dr-terraform-locks" && alltrue([for tags in [aws_kms_key.this.tags, aws_s3_bucket.this.tags, aws_dynamodb_table.locks.tags] : tags["project"] == "crm"])
    error_message = "Outputs and tags."
  }
}

run "upper_case_bucket_is_refused" {
  command = plan
  variables {
    bucket = "CRM_state"
  }
  expect_failures = [var.bucket]
}
