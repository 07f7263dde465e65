# The cluster of the AWS site: a private control plane and two node groups.
#
# Tandem's gates, cache gateways and agents have nodes of their own, because a security group belongs to a node: only
# so can a database admit them and refuse the application, once it is adopted.

locals {
  # What the services call "no key" is the cloud's own.
  made_key_arn = one(aws_kms_key.this[*].arn)
  kms_key_arn  = var.kms_key_arn == null ? local.made_key_arn : var.kms_key_arn == "default" ? null : var.kms_key_arn
}

resource "aws_kms_key" "this" {
  count = var.kms_key_arn == null ? 1 : 0

  description             = "Kubernetes secrets of ${var.cluster_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags
}

# The count came later: a key that was made before it stays.
moved {
  from = aws_kms_key.this
  to   = aws_kms_key.this[0]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/eks/${var.cluster_name}/cluster"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_eks_cluster" "this" {
  name                          = var.cluster_name
  version                       = var.cluster_version
  role_arn                      = aws_iam_role.cluster.arn
  enabled_cluster_log_types     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  bootstrap_self_managed_addons = false
  tags                          = var.tags

  vpc_config {
    subnet_ids              = var.private_subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.endpoint_public_access_cidrs) > 0
    public_access_cidrs     = length(var.endpoint_public_access_cidrs) > 0 ? var.endpoint_public_access_cidrs : null
  }

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = length(var.admin_principal_arns) == 0
  }

  dynamic "encryption_config" {
    for_each = var.kms_key_arn == "default" ? {} : { this = true }
    content {
      resources = ["secrets"]
      provider {
        key_arn = local.kms_key_arn
      }
    }
  }

  # Never slip into extended support, which costs six times as much.
  upgrade_policy {
    support_type = "STANDARD"
  }

  depends_on = [aws_iam_role_policy_attachment.cluster, aws_cloudwatch_log_group.this]

  lifecycle {
    # Chosen at creation: another role, key or first administrator in the file would replace the cluster, and the way to
    # access entries has a step between that an apply cannot take. A cluster that was taken over keeps its own.
    ignore_changes = [role_arn, encryption_config, bootstrap_self_managed_addons, access_config]
  }
}

resource "aws_eks_access_entry" "admin" {
  for_each = var.admin_principal_arns

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.value
  type          = "STANDARD"
  tags          = var.tags
}

resource "aws_eks_access_policy_association" "admin" {
  for_each = var.admin_principal_arns

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.admin[each.key].principal_arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}
