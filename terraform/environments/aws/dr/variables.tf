# Base

variable "aws_region" {
  description = "Region of the AWS site."
  type        = string
  default     = "ap-northeast-2"
}

variable "cluster_name" {
  description = "Name of the cluster and prefix of every name."
  type        = string
  default     = "crm-dr"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.cluster_name))
    error_message = "cluster_name must be 2 to 20 lower-case letters, digits and hyphens."
  }
}

variable "project" {
  description = "Tag: the project."
  type        = string
  default     = "crm"
}

variable "environment" {
  description = "Tag: the environment."
  type        = string
  default     = "dr"
}

# VPC

variable "create_network" {
  description = "Make the VPC; false takes the existing_* ids of the network."
  type        = bool
  default     = true
}

variable "vpc_cidr" {
  description = "Range of the VPC."
  type        = string
  default     = "10.30.0.0/16"
}

variable "availability_zones" {
  description = "Zones, two or more."
  type        = list(string)
  default     = ["ap-northeast-2a", "ap-northeast-2c"]
}

variable "public_subnet_cidrs" {
  description = "One public subnet a zone."
  type        = list(string)
  default     = ["10.30.0.0/24", "10.30.1.0/24"]
}

variable "private_subnet_cidrs" {
  description = "One private subnet a zone."
  type        = list(string)
  default     = ["10.30.10.0/24", "10.30.11.0/24"]
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones."
  type        = bool
  default     = false
}

variable "existing_vpc_id" {
  description = "VPC, with create_network = false."
  type        = string
  default     = null
}

variable "existing_public_subnet_ids" {
  description = "Public subnets, with create_network = false."
  type        = list(string)
  default     = []
}

variable "existing_private_subnet_ids" {
  description = "Private subnets, with create_network = false."
  type        = list(string)
  default     = []
}

variable "existing_private_route_table_ids" {
  description = "Private route tables by any name, with create_network = false; the VPN propagates into each."
  type        = map(string)
  default     = {}
}

# EKS

variable "create_eks" {
  description = "Make the cluster; false leaves Kubernetes to you."
  type        = bool
  default     = true
}

variable "cluster_version" {
  description = "Kubernetes version in standard support (the guide's 1.29 can no longer be chosen)."
  type        = string
  default     = "1.35"
}

variable "node_group_instance_types" {
  description = "Instance types of the application's nodes (the guide's t3.xlarge lives on credits)."
  type        = list(string)
  default     = ["m7g.xlarge"]
}

variable "node_group_desired_capacity" {
  description = "Nodes at the start."
  type        = number
  default     = 5
}

variable "node_group_min_size" {
  description = "Fewest nodes."
  type        = number
  default     = 3
}

variable "node_group_max_size" {
  description = "Most nodes."
  type        = number
  default     = 10
}

variable "ami_type" {
  description = "Image of the nodes; AL2023_x86_64_STANDARD for t3, m6i and the like."
  type        = string
  default     = "AL2023_ARM_64_STANDARD"
}

variable "endpoint_public_access_cidrs" {
  description = "Who may reach the Kubernetes API from the internet."
  type        = list(string)
  default     = []
}

variable "admin_principal_arns" {
  description = "IAM principals that administer the cluster, by a name."
  type        = map(string)
  default     = {}
}

variable "addon_versions" {
  description = "Versions to pin add-ons to."
  type        = map(string)
  default     = {}
}

variable "eks_kms_key_arn" {
  description = "Key of the Kubernetes secrets, chosen at creation: null makes one, \"default\" is AWS's own, an ARN is yours."
  type        = string
  default     = null
}

variable "existing_pod_role_names" {
  description = "Roles of the pods (application, tandem), with create_eks = false."
  type        = map(string)
  default     = {}
}

# RDS

variable "enable_rds" {
  description = "Make the database; false takes existing_rds_endpoint."
  type        = bool
  default     = true
}

variable "rds_identifier" {
  description = "Name of the instance; null is cluster_name."
  type        = string
  default     = null
}

variable "rds_engine_version" {
  description = "PostgreSQL major, or a current minor (the guide's 15.4 was withdrawn)."
  type        = string
  default     = "15"
}

variable "rds_instance_class" {
  description = "Instance class (the guide's db.t3.large lives on credits)."
  type        = string
  default     = "db.m7g.large"
}

variable "rds_allocated_storage" {
  description = "Disk in GB."
  type        = number
  default     = 200
}

variable "rds_storage_encrypted" {
  description = "Encrypt the disk."
  type        = bool
  default     = true
}

variable "rds_kms_key_arn" {
  description = "Key of the database, chosen at creation: null makes one, \"default\" is AWS's own, an ARN is yours."
  type        = string
  default     = null
}

variable "rds_database_name" {
  description = "First database."
  type        = string
  default     = "crm"
}

variable "rds_master_username" {
  description = "Master user."
  type        = string
  default     = "crmadmin"
}

variable "rds_master_password" {
  description = "Master password, from TF_VAR_rds_master_password; null lets RDS make and keep one."
  type        = string
  default     = null
  sensitive   = true
}

variable "rds_multi_az" {
  description = "Standby in another zone."
  type        = bool
  default     = true
}

variable "rds_backup_retention_period" {
  description = "Days of backups."
  type        = number
  default     = 30
}

variable "rds_deletion_protection" {
  description = "Refuse to delete the database."
  type        = bool
  default     = true
}

variable "rds_skip_final_snapshot" {
  description = "Delete without a last snapshot."
  type        = bool
  default     = false
}

variable "rds_parameters" {
  description = "Parameters beside the module's own."
  type        = map(string)
  default     = {}
}

variable "backup_copy_account" {
  description = "Account that keeps a second copy of the backups."
  type        = string
  default     = null
}

variable "backup_copy_region" {
  description = "Region of that copy."
  type        = string
  default     = null
}

variable "existing_rds_endpoint" {
  description = "Host name of the database, with enable_rds = false."
  type        = string
  default     = null
}

# ElastiCache

variable "enable_elasticache" {
  description = "Make the cache; false takes existing_redis_primary_endpoint."
  type        = bool
  default     = true
}

variable "elasticache_replication_group_id" {
  description = "Name of the cache; null is cluster_name."
  type        = string
  default     = null
}

variable "elasticache_engine_version" {
  description = "Redis version."
  type        = string
  default     = "7.0"
}

variable "elasticache_node_type" {
  description = "Node type (the guide's cache.t3.medium lives on credits)."
  type        = string
  default     = "cache.m7g.large"
}

variable "elasticache_num_cache_clusters" {
  description = "Nodes of the one shard."
  type        = number
  default     = 3
}

variable "elasticache_auth_token_enabled" {
  description = "Ask clients for a token."
  type        = bool
  default     = true
}

variable "elasticache_auth_token" {
  description = "The token, from TF_VAR_elasticache_auth_token; null generates one."
  type        = string
  default     = null
  sensitive   = true
}

variable "elasticache_transit_encryption_enabled" {
  description = "TLS to the cache."
  type        = bool
  default     = true
}

variable "elasticache_at_rest_encryption_enabled" {
  description = "Encrypt disk and snapshots."
  type        = bool
  default     = true
}

variable "elasticache_kms_key_arn" {
  description = "Key of the cache, chosen at creation: null makes one, \"default\" is AWS's own, an ARN is yours."
  type        = string
  default     = null
}

variable "elasticache_snapshot_retention_limit" {
  description = "Days of snapshots."
  type        = number
  default     = 30
}

variable "elasticache_automatic_failover_enabled" {
  description = "Promote a replica when the primary node dies."
  type        = bool
  default     = true
}

variable "elasticache_multi_az_enabled" {
  description = "Nodes in different zones."
  type        = bool
  default     = true
}

variable "existing_redis_primary_endpoint" {
  description = "Host name of the cache, with enable_elasticache = false."
  type        = string
  default     = null
}

# VPN

variable "enable_vpn" {
  description = "Make the VPN to GCP: phase 4, once gcp/dr stands. Put it into vpn.auto.tfvars, not a second time into terraform.tfvars."
  type        = bool
  default     = false
}

variable "gcp_network_id" {
  description = "Output network_id of gcp/dr."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(projects/[^/]+/global/networks/[^/]+)?$", var.gcp_network_id))
    error_message = "gcp_network_id must read projects/PROJECT/global/networks/NAME: copy output network_id of environments/gcp/dr."
  }
}

variable "gcp_region" {
  description = "Region of GCP's gateway."
  type        = string
  default     = "asia-northeast3"
}

variable "gcp_vpc_cidr" {
  description = "GCP's node range."
  type        = string
  default     = "10.20.0.0/20"
}

variable "gcp_additional_cidrs" {
  description = "GCP's other ranges: pods, services, private services."
  type        = list(string)
  default     = ["10.21.0.0/16", "10.22.0.0/20", "10.23.0.0/20"]
}

variable "gcp_access_token" {
  description = "Google access token for the one apply that removes the VPN; else leave it out."
  type        = string
  default     = null
  sensitive   = true
}

variable "vpn_tunnel1_preshared_key" {
  description = "Key of the first connection's first tunnel, from TF_VAR_vpn_tunnel1_preshared_key; null lets AWS make one."
  type        = string
  default     = null
  sensitive   = true
}

variable "vpn_tunnel2_preshared_key" {
  description = "Key of the first connection's second tunnel."
  type        = string
  default     = null
  sensitive   = true
}

variable "vpn_preshared_keys" {
  description = "Keys of the tunnels \"0\" to \"3\"; an absent one is made by AWS."
  type        = map(string)
  default     = {}
  sensitive   = true
}

# ALB

variable "create_alb" {
  description = "Make the load balancer; false takes existing_alb_dns_name."
  type        = bool
  default     = true
}

variable "alb_name" {
  description = "Name of the load balancer; null is cluster_name."
  type        = string
  default     = null
}

variable "alb_deletion_protection" {
  description = "Refuse to delete the load balancer."
  type        = bool
  default     = true
}

variable "acm_certificate_arn" {
  description = "ACM certificate, issued: output acm_certificate_arn of global/certificates."
  type        = string
  default     = null
}

variable "existing_alb_dns_name" {
  description = "Name of the load balancer, with create_alb = false."
  type        = string
  default     = null
}

# Application

variable "app_env" {
  description = "Environment of the application (DATABASE_URL, DATABASE_USERNAME, DATABASE_PASSWORD, REDIS_HOST, REDIS_PASSWORD, REDIS_MAX_REDIRECTS, REDIS_NODES, MAIL_USERNAME, MAIL_PASSWORD, AWS_ACCESS_KEY, AWS_SECRET_KEY, AWS_CONFIGURATION_SET, AWS_SCHEDULE_ROLE_ARN, AWS_SCHEDULE_SQS_ARN, AWS_SCHEDULE_GROUP_NAME, KAFKA_BOOTSTRAP_SERVERS, SCHEDULER_PROVIDER), from TF_VAR_app_env or `tandem config from-terraform`; kept in Secrets Manager."
  type        = map(string)
  default     = {}
  sensitive   = true
}

# Tandem

variable "ports" {
  description = "Ports that differ from module access's defaults."
  type        = map(number)
  default     = {}
}

variable "application_direct_access" {
  description = "Let the application reach PostgreSQL and Redis directly, until it is adopted."
  type        = bool
  default     = true
}

variable "direct_replication" {
  description = "Let the databases reach each other without the relay."
  type        = bool
  default     = true
}

variable "create_access" {
  description = "Make the security groups; false takes existing_security_group_ids."
  type        = bool
  default     = true
}

variable "existing_security_group_ids" {
  description = "Security groups by place (application, tandem, database, cache, etcd, alb), with create_access = false."
  type        = map(string)
  default     = {}
}

variable "witness_cidrs" {
  description = "Where the witness comes from: output public_ip of global/witness, as /32."
  type        = list(string)
  default     = []
}

variable "gcp_etcd_cidrs" {
  description = "Where GCP's etcd member comes from: output etcd_public_ip of gcp/dr, as /32. Needed as soon as etcd_initial_cluster has public addresses."
  type        = list(string)
  default     = []
}

variable "enable_etcd" {
  description = "Make this site's etcd member."
  type        = bool
  default     = false
}

variable "etcd_initial_cluster" {
  description = "Peer addresses of all three members by name (aws, gcp, witness)."
  type        = map(string)
  default     = {}
}
