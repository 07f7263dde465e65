# What is chosen at creation, on a cluster that does not stand yet.

variables {
  cluster_name                  = "crm-dr"
  private_subnet_ids            = ["subnet-a", "subnet-c"]
  application_security_group_id = "sg-application"
  tandem_security_group_id      = "sg-tandem"
  node_group_instance_types     = ["m7g.xlarge"]
  node_group_desired_capacity   = 5
  node_group_min_size           = 3
  node_group_max_size           = 10
}

run "a_key_of_yours" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:key/mine"
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == "arn:aws:kms:ap-northeast-2:123456789012:key/mine" && length(aws_kms_key.this) == 0 && aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "A key that is given is used, and none is made; without administrators the creator is one."
  }
}

run "the_clouds_own_key" {
  command = plan
  variables {
    kms_key_arn = "default"
  }
  assert {
    condition     = length(aws_eks_cluster.this.encryption_config) == 0 && length(aws_kms_key.this) == 0
    error_message = "No key here is EKS's own."
  }
}
