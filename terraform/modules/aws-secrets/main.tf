# The application's environment in Secrets Manager, with a key of its own and a policy that reads this one secret.

resource "aws_kms_key" "this" {
  description             = "Secret ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags
}

resource "aws_secretsmanager_secret" "this" {
  name                    = var.name
  description             = "Environment of the application"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.recovery_window_in_days
  tags                    = var.tags
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id     = aws_secretsmanager_secret.this.id
  secret_string = jsonencode(var.app_env)
}

resource "aws_iam_policy" "read" {
  name        = "${replace(var.name, "/", "-")}-read"
  description = "Read secret ${var.name}"
  tags        = var.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], Resource = aws_secretsmanager_secret.this.arn },
      { Effect = "Allow", Action = "kms:Decrypt", Resource = aws_kms_key.this.arn },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "read" {
  for_each = var.reader_role_names

  role       = each.value
  policy_arn = aws_iam_policy.read.arn
}
