# A copy of the backups outside of this account or region: an account deleted by mistake takes its own backups along.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  copy_account = coalesce(var.backup_copy_account, data.aws_caller_identity.current.account_id)
  copy_region  = coalesce(var.backup_copy_region, data.aws_region.current.name)
}

resource "aws_backup_vault" "this" {
  for_each = local.copy_made

  name        = var.identifier
  kms_key_arn = local.kms_key_arn
  tags        = var.tags
}

resource "aws_backup_plan" "this" {
  for_each = local.copy_made

  name = "${var.identifier}-copy"
  tags = var.tags

  rule {
    rule_name         = "daily-copy"
    target_vault_name = aws_backup_vault.this[each.key].name
    schedule          = "cron(0 19 * * ? *)"

    lifecycle {
      delete_after                              = 7
      opt_in_to_archive_for_supported_resources = false
    }

    copy_action {
      destination_vault_arn = "arn:aws:backup:${local.copy_region}:${local.copy_account}:backup-vault:${var.backup_copy_vault}"

      lifecycle {
        delete_after                              = var.backup_retention_period
        opt_in_to_archive_for_supported_resources = false
      }
    }
  }
}

resource "aws_iam_role" "backup" {
  for_each = local.copy_made

  name = "${var.identifier}-backup"
  tags = var.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "backup.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "backup" {
  for_each = local.copy_made

  role       = aws_iam_role.backup[each.key].name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"
}

resource "aws_backup_selection" "this" {
  for_each = local.copy_made

  name         = var.identifier
  plan_id      = aws_backup_plan.this[each.key].id
  iam_role_arn = aws_iam_role.backup[each.key].arn
  resources    = [aws_db_instance.this.arn]
}
