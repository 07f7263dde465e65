variables {
  name              = "crm-dr/app-env"
  app_env           = { DATABASE_URL = "postgres://gate:6432/crm", DATABASE_PASSWORD = "s3cret" }
  reader_role_names = { application = "crm-dr-application" }
  tags              = { project = "crm" }
}

run "shape" {
  assert {
    condition     = jsondecode(aws_secretsmanager_secret_version.this.secret_string) == { DATABASE_URL = "postgres://gate:6432/crm", DATABASE_PASSWORD = "s3cret" } && aws_secretsmanager_secret_version.this.secret_id == aws_secretsmanager_secret.this.id
    error_message = "The map is encoded as JSON by the module, not by the user."
  }
  assert {
    condition     = aws_secretsmanager_secret.this.kms_key_id == aws_kms_key.this.arn && aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30 && aws_secretsmanager_secret.this.recovery_window_in_days == 30 && aws_secretsmanager_secret.this.name == "crm-dr/app-env" && aws_secretsmanager_secret.this.description == "Environment of the application"
    error_message = "Encrypted with its own rotating key, recoverable for a month."
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_policy.read.policy).Statement : s.Resource] == [aws_secretsmanager_secret.this.arn, aws_kms_key.this.arn] && alltrue([for s in jsondecode(aws_iam_policy.read.policy).Statement : s.Effect == "Allow"]) && jsondecode(aws_iam_policy.read.policy).Version == "2012-10-17"
    error_message = "The policy reaches this secret and this key only."
  }
  assert {
    condition     = jsondecode(aws_iam_policy.read.policy).Statement[0].Action == ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"] && jsondecode(aws_iam_policy.read.policy).Statement[1].Action == "kms:Decrypt"
    error_message = "The policy reads and does nothing else."
  }
  assert {
    condition     = aws_iam_role_policy_attachment.read["application"].role == "crm-dr-application" && aws_iam_role_policy_attachment.read["application"].policy_arn == aws_iam_policy.read.arn && aws_iam_policy.read.name == "crm-dr-app-env-read" && aws_iam_policy.read.description == "Read secret crm-dr/app-env"
    error_message = "The application's role gets the policy."
  }
  assert {
    condition     = alltrue([for tags in [aws_kms_key.this.tags, aws_secretsmanager_secret.this.tags, aws_iam_policy.read.tags] : tags["project"] == "crm"]) && output.secret_arn == aws_secretsmanager_secret.this.arn && output.read_policy_arn == aws_iam_policy.read.arn
    error_message = "Tags and outputs."
  }
}

run "odd_names_are_refused" {
  command = plan
  variables {
    app_env                 = { "DATABASE-URL" = "x" }
    recovery_window_in_days = 3
  }
  expect_failures = [var.app_env, var.recovery_window_in_days]
}
