# Node groups: the application's, which grows, and Tandem's two nodes, one a zone.

locals {
  cluster_security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id

  groups = {
    application = {
      security_group_id = var.application_security_group_id
      instance_types    = var.node_group_instance_types
      min               = var.node_group_min_size
      desired           = var.node_group_desired_capacity
      max               = var.node_group_max_size
      taints            = []
    }
    tandem = {
      security_group_id = var.tandem_security_group_id
      instance_types    = var.tandem_instance_types
      min               = 2
      desired           = 2
      max               = 3
      taints            = ["tandem"]
    }
  }
}

resource "aws_launch_template" "this" {
  for_each = local.groups

  name_prefix            = "${var.cluster_name}-${each.key}-"
  update_default_version = true
  vpc_security_group_ids = [local.cluster_security_group_id, each.value.security_group_id]
  tags                   = var.tags

  # A pod must not take the node's credentials: one hop, and only with a token.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = var.node_disk_size_gb
      volume_type           = "gp3"
      encrypted             = "true"
      delete_on_termination = "true"
    }
  }

  monitoring {
    enabled = true
  }
}

resource "aws_eks_node_group" "this" {
  for_each = local.groups

  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = var.private_subnet_ids
  instance_types  = each.value.instance_types
  ami_type        = var.ami_type
  capacity_type   = "ON_DEMAND"
  labels          = { "tandem.dev/role" = each.key }
  tags            = var.tags

  launch_template {
    name    = aws_launch_template.this[each.key].name
    version = aws_launch_template.this[each.key].latest_version
  }

  scaling_config {
    min_size     = each.value.min
    desired_size = each.value.desired
    max_size     = each.value.max
  }

  update_config {
    max_unavailable = 1
  }

  node_repair_config {
    enabled = true
  }

  dynamic "taint" {
    for_each = toset(each.value.taints)
    content {
      key    = "tandem.dev/role"
      value  = taint.key
      effect = "NO_SCHEDULE"
    }
  }

  depends_on = [aws_iam_role_policy_attachment.node, aws_eks_addon.before_nodes]

  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]

    precondition {
      condition     = each.value.min >= 1 && each.value.min <= each.value.desired && each.value.desired <= each.value.max
      error_message = "Node counts must be in order: 1 <= min (${each.value.min}) <= desired (${each.value.desired}) <= max (${each.value.max})."
    }
    precondition {
      condition     = alltrue([for type in each.value.instance_types : can(regex("^[a-z]+[0-9]+[a-z]*g[a-z]*\\.", type)) == can(regex("ARM_64", var.ami_type))])
      error_message = "Instance types ${join(", ", each.value.instance_types)} do not fit the image ${var.ami_type}: Graviton types (m7g, r7g, t4g ...) need an ARM_64 image, the others an x86_64 one."
    }
  }
}
