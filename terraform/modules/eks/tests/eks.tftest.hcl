variables {
  cluster_name                  = "crm-dr"
  private_subnet_ids            = ["subnet-a", "subnet-c"]
  application_security_group_id = "sg-application"
  tandem_security_group_id      = "sg-tandem"
  node_group_instance_types     = ["m7g.xlarge"]
  node_group_desired_capacity   = 5
  node_group_min_size           = 3
  node_group_max_size           = 10
  tags                          = { project = "crm" }
}

run "shape" {
  variables {
    admin_principal_arns = { ops = "arn:aws:iam::123456789012:role/ops" }
    addon_versions       = { coredns = "v1.12.4-eksbuild.1", vpc-cni = "v1.20.1-eksbuild.1" }
  }
  assert {
    condition     = aws_eks_cluster.this.version == "1.35" && aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD" && aws_eks_cluster.this.name == "crm-dr" && aws_eks_cluster.this.role_arn == aws_iam_role.cluster.arn && !aws_eks_cluster.this.bootstrap_self_managed_addons
    error_message = "A version in standard support, and never extended support by surprise."
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && toset(aws_eks_cluster.this.vpc_config[0].subnet_ids) == toset(["subnet-a", "subnet-c"])
    error_message = "The API is private unless ranges are named."
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions && aws_eks_access_entry.admin["ops"].principal_arn == "arn:aws:iam::123456789012:role/ops" && aws_eks_access_entry.admin["ops"].type == "STANDARD" && aws_eks_access_entry.admin["ops"].cluster_name == "crm-dr"
    error_message = "Access entries instead of the aws-auth map."
  }
  assert {
    condition     = endswith(aws_eks_access_policy_association.admin["ops"].policy_arn, "AmazonEKSClusterAdminPolicy") && aws_eks_access_policy_association.admin["ops"].principal_arn == aws_eks_access_entry.admin["ops"].principal_arn && aws_eks_access_policy_association.admin["ops"].access_scope[0].type == "cluster" && aws_eks_access_policy_association.admin["ops"].cluster_name == "crm-dr"
    error_message = "Those named administer the cluster."
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == aws_kms_key.this[0].arn && toset(aws_eks_cluster.this.encryption_config[0].resources) == toset(["secrets"]) && aws_kms_key.this[0].enable_key_rotation && aws_kms_key.this[0].deletion_window_in_days == 30
    error_message = "Kubernetes secrets are encrypted with a rotating key."
  }
  assert {
    condition     = toset(aws_eks_cluster.this.enabled_cluster_log_types) == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"]) && aws_cloudwatch_log_group.this.name == "/aws/eks/crm-dr/cluster" && aws_cloudwatch_log_group.this.retention_in_days == 90
    error_message = "All logs, kept for 90 days."
  }
  assert {
    condition     = [for s in aws_eks_node_group.this["application"].scaling_config : [s.min_size, s.desired_size, s.max_size]] == [[3, 5, 10]] && [for s in aws_eks_node_group.this["tandem"].scaling_config : [s.min_size, s.desired_size, s.max_size]] == [[2, 2, 3]]
    error_message = "The application's counts are the guide's; Tandem has two nodes."
  }
  assert {
    condition     = toset(aws_launch_template.this["tandem"].vpc_security_group_ids) == toset([output.cluster_security_group_id, "sg-tandem"]) && toset(aws_launch_template.this["application"].vpc_security_group_ids) == toset([output.cluster_security_group_id, "sg-application"])
    error_message = "A node belongs to the cluster and to its own place."
  }
  assert {
    condition     = [for t in aws_eks_node_group.this["tandem"].taint : [t.key, t.value, t.effect]] == [["tandem.dev/role", "tandem", "NO_SCHEDULE"]] && length(aws_eks_node_group.this["application"].taint) == 0 && alltrue([for key, g in aws_eks_node_group.this : g.labels["tandem.dev/role"] == key])
    error_message = "Nothing else lands on Tandem's nodes."
  }
  assert {
    condition     = alltrue([for key, t in aws_launch_template.this : t.metadata_options[0].http_tokens == "required" && t.metadata_options[0].http_put_response_hop_limit == 1 && t.metadata_options[0].http_endpoint == "enabled" && t.monitoring[0].enabled && t.update_default_version && t.name_prefix == "crm-dr-${key}-"])
    error_message = "Pods cannot take the node's credentials."
  }
  assert {
    condition     = alltrue([for t in aws_launch_template.this : t.block_device_mappings[0].device_name == "/dev/xvda" && t.block_device_mappings[0].ebs[0].encrypted == "true" && t.block_device_mappings[0].ebs[0].volume_type == "gp3" && t.block_device_mappings[0].ebs[0].volume_size == 50 && t.block_device_mappings[0].ebs[0].delete_on_termination == "true"])
    error_message = "Encrypted disks."
  }
  assert {
    condition     = alltrue([for key, g in aws_eks_node_group.this : g.cluster_name == "crm-dr" && g.node_group_name == key && g.node_role_arn == aws_iam_role.node.arn && toset(g.subnet_ids) == toset(["subnet-a", "subnet-c"]) && g.ami_type == "AL2023_ARM_64_STANDARD" && g.capacity_type == "ON_DEMAND" && g.launch_template[0].name == aws_launch_template.this[key].name && tonumber(g.launch_template[0].version) == aws_launch_template.this[key].latest_version && g.update_config[0].max_unavailable == 1 && g.node_repair_config[0].enabled])
    error_message = "Nodes from their template, repaired and replaced one by one."
  }
  assert {
    condition     = aws_eks_node_group.this["application"].instance_types == tolist(["m7g.xlarge"]) && aws_eks_node_group.this["tandem"].instance_types == tolist(["m7g.large"])
    error_message = "Instance types as given."
  }
  assert {
    condition     = toset(concat(keys(aws_eks_addon.before_nodes), keys(aws_eks_addon.after_nodes))) == toset(["vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns", "aws-ebs-csi-driver"]) && aws_eks_addon.after_nodes["coredns"].addon_version == "v1.12.4-eksbuild.1" && aws_eks_addon.before_nodes["vpc-cni"].addon_version == "v1.20.1-eksbuild.1"
    error_message = "Five add-ons, pinned where a version is given."
  }
  assert {
    condition     = alltrue([for key, a in merge(aws_eks_addon.before_nodes, aws_eks_addon.after_nodes) : a.addon_name == key && a.cluster_name == "crm-dr" && a.resolve_conflicts_on_create == "OVERWRITE" && a.resolve_conflicts_on_update == "PRESERVE"])
    error_message = "Settings made in the cluster survive an update."
  }
  assert {
    condition     = one(aws_eks_addon.before_nodes["vpc-cni"].pod_identity_association).role_arn == aws_iam_role.addon["vpc-cni"].arn && one(aws_eks_addon.before_nodes["vpc-cni"].pod_identity_association).service_account == "aws-node" && one(aws_eks_addon.after_nodes["aws-ebs-csi-driver"].pod_identity_association).role_arn == aws_iam_role.addon["aws-ebs-csi-driver"].arn && one(aws_eks_addon.after_nodes["aws-ebs-csi-driver"].pod_identity_association).service_account == "ebs-csi-controller-sa"
    error_message = "Network and disk add-ons have roles of their own."
  }
  assert {
    condition     = { for key, a in aws_iam_role_policy_attachment.addon : key => [a.role, a.policy_arn] } == { "vpc-cni" = [aws_iam_role.addon["vpc-cni"].name, "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"], "aws-ebs-csi-driver" = [aws_iam_role.addon["aws-ebs-csi-driver"].name, "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"] }
    error_message = "Each with the one policy it needs."
  }
  assert {
    condition     = toset([for a in aws_iam_role_policy_attachment.node : a.policy_arn]) == toset(["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"]) && alltrue([for a in aws_iam_role_policy_attachment.node : a.role == aws_iam_role.node.name]) && endswith(aws_iam_role_policy_attachment.cluster.policy_arn, "AmazonEKSClusterPolicy") && aws_iam_role_policy_attachment.cluster.role == aws_iam_role.cluster.name
    error_message = "Nodes join and pull images, no more."
  }
  assert {
    condition     = [for r in [aws_iam_role.cluster, aws_iam_role.node, aws_iam_role.pods["application"], aws_iam_role.pods["tandem"], aws_iam_role.addon["vpc-cni"]] : jsondecode(r.assume_role_policy).Statement[0].Principal.Service] == ["eks.amazonaws.com", "ec2.amazonaws.com", "pods.eks.amazonaws.com", "pods.eks.amazonaws.com", "pods.eks.amazonaws.com"]
    error_message = "Each role is taken by its own service only."
  }
  assert {
    condition     = alltrue([for r in [aws_iam_role.cluster, aws_iam_role.node, aws_iam_role.pods["tandem"], aws_iam_role.addon["vpc-cni"]] : jsondecode(r.assume_role_policy).Version == "2012-10-17" && jsondecode(r.assume_role_policy).Statement[0].Effect == "Allow"]) && [for r in [aws_iam_role.cluster, aws_iam_role.node] : jsondecode(r.assume_role_policy).Statement[0].Action] == ["sts:AssumeRole", "sts:AssumeRole"] && [for r in [aws_iam_role.pods["tandem"], aws_iam_role.addon["vpc-cni"]] : jsondecode(r.assume_role_policy).Statement[0].Action] == [["sts:AssumeRole", "sts:TagSession"], ["sts:AssumeRole", "sts:TagSession"]]
    error_message = "Pod identity also tags its session."
  }
  assert {
    condition     = [aws_iam_role.cluster.name, aws_iam_role.node.name, aws_iam_role.addon["vpc-cni"].name] == ["crm-dr-eks", "crm-dr-node", "crm-dr-vpc-cni"] && aws_kms_key.this[0].description == "Kubernetes secrets of crm-dr"
    error_message = "Readable names."
  }
  assert {
    condition     = { for key, a in aws_eks_pod_identity_association.pods : key => [a.namespace, a.service_account, a.role_arn == aws_iam_role.pods[key].arn, a.cluster_name] } == { application = ["crm", "crm", true, "crm-dr"], tandem = ["tandem", "tandem", true, "crm-dr"] }
    error_message = "Pods take their role by their service account."
  }
  assert {
    condition     = alltrue([for tags in [aws_eks_cluster.this.tags, aws_kms_key.this[0].tags, aws_cloudwatch_log_group.this.tags, aws_launch_template.this["tandem"].tags, aws_eks_node_group.this["tandem"].tags, aws_iam_role.cluster.tags, aws_iam_role.node.tags, aws_iam_role.pods["tandem"].tags, aws_iam_role.addon["vpc-cni"].tags, aws_eks_access_entry.admin["ops"].tags, aws_eks_addon.before_nodes["vpc-cni"].tags, aws_eks_addon.after_nodes["coredns"].tags, aws_eks_pod_identity_association.pods["tandem"].tags] : tags["project"] == "crm"])
    error_message = "Every resource carries the tags."
  }
  assert {
    condition     = output.cluster_name == "crm-dr" && output.cluster_endpoint == aws_eks_cluster.this.endpoint && output.pod_role_names == { application = aws_iam_role.pods["application"].name, tandem = aws_iam_role.pods["tandem"].name }
    error_message = "Outputs of the cluster."
  }
}

run "autoscaling_is_left_alone" {
  variables {
    node_group_desired_capacity = 7
  }
  assert {
    condition     = aws_eks_node_group.this["application"].scaling_config[0].desired_size == 5
    error_message = "An apply must not undo what the autoscaler decided."
  }
}

run "public_to_some" {
  command = plan
  variables {
    endpoint_public_access_cidrs = ["203.0.113.0/24"]
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && toset(aws_eks_cluster.this.vpc_config[0].public_access_cidrs) == toset(["203.0.113.0/24"])
    error_message = "Ranges that are named may reach the API."
  }
}

run "what_was_chosen_at_creation_never_replaces" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:key/mine"
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn != "arn:aws:kms:ap-northeast-2:123456789012:key/mine" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions && length(aws_kms_key.this) == 0
    error_message = "Another key or administrator in the file must not cost the cluster."
  }
}

run "a_key_is_an_arn" {
  command = plan
  variables {
    kms_key_arn = "alias/aws/eks"
  }
  expect_failures = [var.kms_key_arn]
}

run "guides_version_is_refused" {
  command = plan
  variables {
    cluster_version = "1.29"
  }
  expect_failures = [var.cluster_version]
}

run "counts_out_of_order_are_refused" {
  command = plan
  variables {
    node_group_desired_capacity = 12
  }
  expect_failures = [aws_eks_node_group.this["application"]]
}

run "guides_instance_type_needs_another_image" {
  command = plan
  variables {
    node_group_instance_types = ["t3.xlarge"]
  }
  expect_failures = [aws_eks_node_group.this["application"]]
}

run "small_mistakes_are_refused_together" {
  command = plan
  variables {
    cluster_name                 = "crm dr"
    cluster_version              = "latest"
    private_subnet_ids           = ["subnet-a"]
    endpoint_public_access_cidrs = ["0.0.0.0/0"]
    ami_type                     = "AL2_x86_64"
    addon_versions               = { istio = "1" }
  }
  expect_failures = [var.cluster_name, var.cluster_version, var.private_subnet_ids, var.endpoint_public_access_cidrs, var.ami_type, var.addon_versions]
}
