variable "cluster_name" {
  description = "Name of the cluster."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", var.cluster_name))
    error_message = "cluster_name must be letters, digits, hyphens and underscores, at most 63 characters."
  }
}

variable "cluster_version" {
  description = "Kubernetes version in standard support; the table in README.md has the dates."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]+$", var.cluster_version))
    error_message = "cluster_version must read 1.MINOR, such as 1.35."
  }
  validation {
    condition     = try(tonumber(split(".", var.cluster_version)[1]) >= 32, true)
    error_message = "EKS 1.31 and older left even extended support in 2026 (1.29 on 2026-03-23): they cannot be chosen any more. Use a version in standard support, such as 1.35."
  }
}

variable "private_subnet_ids" {
  description = "Private subnets of nodes and control plane."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "EKS needs subnets in at least two zones."
  }
}

variable "endpoint_public_access_cidrs" {
  description = "Who may reach the Kubernetes API from the internet; empty leaves it private to the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.endpoint_public_access_cidrs, "0.0.0.0/0")
    error_message = "The Kubernetes API is not for the whole internet: name the ranges of your people."
  }
}

variable "admin_principal_arns" {
  description = "IAM roles or users that administer the cluster, by a name. Empty gives the right to whoever applies."
  type        = map(string)
  default     = {}
}

variable "application_security_group_id" {
  description = "Security group of the application's nodes (module aws-access)."
  type        = string
}

variable "tandem_security_group_id" {
  description = "Security group of Tandem's nodes: the ones that databases and caches admit."
  type        = string
}

variable "node_group_instance_types" {
  description = "Instance types of the application's nodes."
  type        = list(string)
}

variable "node_group_desired_capacity" {
  description = "Nodes at the start; an autoscaler may move it later."
  type        = number
}

variable "node_group_min_size" {
  description = "Fewest nodes."
  type        = number
}

variable "node_group_max_size" {
  description = "Most nodes: enough for both clouds' load."
  type        = number
}

variable "node_disk_size_gb" {
  description = "Disk of a node."
  type        = number
  default     = 50
}

variable "tandem_instance_types" {
  description = "Instance types of the two nodes that carry gates, cache gateways and agents."
  type        = list(string)
  default     = ["m7g.large"]
}

variable "ami_type" {
  description = "Image of the nodes; it must fit the instance types' processor."
  type        = string
  default     = "AL2023_ARM_64_STANDARD"

  validation {
    condition     = contains(["AL2023_ARM_64_STANDARD", "AL2023_x86_64_STANDARD", "BOTTLEROCKET_ARM_64", "BOTTLEROCKET_x86_64"], var.ami_type)
    error_message = "ami_type must be AL2023_ARM_64_STANDARD, AL2023_x86_64_STANDARD, BOTTLEROCKET_ARM_64 or BOTTLEROCKET_x86_64."
  }
}

variable "addon_versions" {
  description = "Versions to pin add-ons to, e.g. { coredns = \"v1.12.4-eksbuild.1\" }; an absent one takes AWS's default at creation."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.addon_versions), ["vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent", "aws-ebs-csi-driver"])) == 0
    error_message = "addon_versions knows vpc-cni, kube-proxy, coredns, eks-pod-identity-agent and aws-ebs-csi-driver."
  }
}

variable "kms_key_arn" {
  description = "Key of Kubernetes secrets, chosen at creation: null makes one, \"default\" is AWS's own, an ARN is yours."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^(default|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+)$", var.kms_key_arn))
    error_message = "kms_key_arn must be a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID, no alias), or \"default\" for the cloud's own key."
  }
}

variable "log_retention_days" {
  description = "Days that control-plane logs are kept."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
