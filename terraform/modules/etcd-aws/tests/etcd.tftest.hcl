variables {
  name               = "crm-dr-etcd"
  member             = "aws"
  initial_cluster    = { aws = "198.51.100.1", gcp = "198.51.100.2", witness = "198.51.100.3" }
  availability_zone  = "ap-northeast-2a"
  subnet_id          = "subnet-a"
  private_ip         = "10.30.0.20"
  security_group_ids = ["sg-etcd"]
  client_port        = 12379
  peer_port          = 12380
  tags               = { project = "crm" }
}

run "shape" {
  assert {
    condition     = aws_instance.this.subnet_id == "subnet-a" && aws_instance.this.private_ip == "10.30.0.20" && toset(aws_instance.this.vpc_security_group_ids) == toset(["sg-etcd"]) && aws_instance.this.instance_type == "t4g.small" && aws_instance.this.availability_zone == "ap-northeast-2a" && aws_instance.this.ami == data.aws_ssm_parameter.debian.insecure_value && data.aws_ssm_parameter.debian.name == "/aws/service/debian/release/12/latest/arm64"
    error_message = "A small machine at a known address."
  }
  assert {
    condition     = strcontains(aws_instance.this.user_data, "aws=https://198.51.100.1:12380,gcp=https://198.51.100.2:12380") && strcontains(aws_instance.this.user_data, "https://0.0.0.0:12379") && strcontains(aws_instance.this.user_data, "/dev/nvme1n1") && strcontains(aws_instance.this.user_data, "ETCD_NAME=\\\"aws\\\"")
    error_message = "It boots as its own member."
  }
  assert {
    condition     = aws_instance.this.metadata_options[0].http_tokens == "required" && aws_instance.this.metadata_options[0].http_put_response_hop_limit == 1 && aws_instance.this.metadata_options[0].http_endpoint == "enabled" && aws_instance.this.root_block_device[0].encrypted && aws_instance.this.root_block_device[0].volume_type == "gp3" && aws_instance.this.root_block_device[0].volume_size == 10 && aws_instance.this.credit_specification[0].cpu_credits == "unlimited" && aws_instance.this.monitoring && aws_instance.this.ebs_optimized
    error_message = "Metadata by token only, encrypted disk, no stop when credits end."
  }
  assert {
    condition     = aws_ebs_volume.data.encrypted && aws_ebs_volume.data.final_snapshot && aws_ebs_volume.data.availability_zone == "ap-northeast-2a" && aws_ebs_volume.data.type == "gp3" && aws_ebs_volume.data.size == 10 && aws_volume_attachment.data.volume_id == aws_ebs_volume.data.id && aws_volume_attachment.data.instance_id == aws_instance.this.id && aws_volume_attachment.data.device_name == "/dev/sdf"
    error_message = "Data outlives the machine."
  }
  assert {
    condition     = aws_eip.this.instance == aws_instance.this.id && aws_eip.this.domain == "vpc" && output.public_ip == aws_eip.this.public_ip && output.private_ip == "10.30.0.20" && output.instance_id == aws_instance.this.id
    error_message = "So does its public address."
  }
  assert {
    condition     = aws_instance.this.iam_instance_profile == aws_iam_instance_profile.this.name && aws_iam_instance_profile.this.role == aws_iam_role.this.name && aws_iam_role_policy_attachment.session_manager.role == aws_iam_role.this.name && endswith(aws_iam_role_policy_attachment.session_manager.policy_arn, "AmazonSSMManagedInstanceCore") && jsondecode(aws_iam_role.this.assume_role_policy) == { Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }] } && aws_iam_role.this.name == "crm-dr-etcd" && aws_iam_instance_profile.this.name == "crm-dr-etcd"
    error_message = "Session Manager is its only right."
  }
  assert {
    condition     = alltrue([for tags in [aws_instance.this.tags, aws_ebs_volume.data.tags, aws_eip.this.tags, aws_iam_role.this.tags, aws_iam_instance_profile.this.tags] : tags["project"] == "crm"]) && aws_instance.this.tags["Name"] == "crm-dr-etcd" && aws_ebs_volume.data.tags["Name"] == "crm-dr-etcd-data" && aws_eip.this.tags["Name"] == "crm-dr-etcd"
    error_message = "Every resource carries the tags."
  }
}

run "given_image" {
  command = plan
  variables {
    ami_id    = "ami-1"
    peer_port = 22380
  }
  assert {
    condition     = aws_instance.this.ami == data.aws_ssm_parameter.debian.insecure_value && strcontains(aws_instance.this.user_data, ":12380")
    error_message = "A running member is not replaced by another image or first boot."
  }
}
