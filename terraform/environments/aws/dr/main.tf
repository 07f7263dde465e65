# The AWS site: network, cluster, database, cache, load balancer, and both halves of the VPN.
#
# Every part can be yours instead: switch its module off and give the ids.

locals {
  tags = {
    project     = var.project
    environment = var.environment
    managed_by  = "terraform"
    role        = "active"
  }

  vpc_id                  = var.create_network ? one(module.network[*].vpc_id) : var.existing_vpc_id
  public_subnet_ids       = var.create_network ? one(module.network[*].public_subnet_ids) : var.existing_public_subnet_ids
  private_subnet_ids      = var.create_network ? one(module.network[*].private_subnet_ids) : var.existing_private_subnet_ids
  private_route_table_ids = var.create_network ? one(module.network[*].private_route_table_ids) : var.existing_private_route_table_ids
  security_group_ids      = var.create_access ? one(module.access_rules[*].security_group_ids) : var.existing_security_group_ids
  pod_role_names          = var.create_eks ? one(module.eks[*].pod_role_names) : var.existing_pod_role_names
  gcp_cidrs               = concat([var.gcp_vpc_cidr], var.gcp_additional_cidrs)
}

module "network" {
  source = "../../../modules/aws-network"
  count  = var.create_network ? 1 : 0

  name                 = var.cluster_name
  vpc_cidr             = var.vpc_cidr
  availability_zones   = var.availability_zones
  public_subnet_cidrs  = var.public_subnet_cidrs
  private_subnet_cidrs = var.private_subnet_cidrs
  single_nat_gateway   = var.single_nat_gateway
  tags                 = local.tags
}

module "access" {
  source = "../../../modules/access"

  ports                     = var.ports
  application_direct_access = var.application_direct_access
  direct_replication        = var.direct_replication
}

module "access_rules" {
  source = "../../../modules/aws-access"
  count  = var.create_access ? 1 : 0

  name           = var.cluster_name
  vpc_id         = local.vpc_id
  flows          = module.access.flows
  gcp_cidrs      = local.gcp_cidrs
  witness_cidrs  = var.witness_cidrs
  gcp_etcd_cidrs = var.gcp_etcd_cidrs
  tags           = local.tags
}

module "eks" {
  source = "../../../modules/eks"
  count  = var.create_eks ? 1 : 0

  cluster_name                  = var.cluster_name
  cluster_version               = var.cluster_version
  private_subnet_ids            = local.private_subnet_ids
  endpoint_public_access_cidrs  = var.endpoint_public_access_cidrs
  admin_principal_arns          = var.admin_principal_arns
  addon_versions                = var.addon_versions
  application_security_group_id = local.security_group_ids["application"]
  tandem_security_group_id      = local.security_group_ids["tandem"]
  node_group_instance_types     = var.node_group_instance_types
  node_group_desired_capacity   = var.node_group_desired_capacity
  node_group_min_size           = var.node_group_min_size
  node_group_max_size           = var.node_group_max_size
  ami_type                      = var.ami_type
  kms_key_arn                   = var.eks_kms_key_arn
  tandem_instance_types         = [strcontains(var.ami_type, "ARM_64") ? "m7g.large" : "m7i.large"]
  tags                          = local.tags
}

module "rds" {
  source = "../../../modules/rds"
  count  = var.enable_rds ? 1 : 0

  identifier              = coalesce(var.rds_identifier, var.cluster_name)
  engine_version          = var.rds_engine_version
  instance_class          = var.rds_instance_class
  allocated_storage       = var.rds_allocated_storage
  storage_encrypted       = var.rds_storage_encrypted
  kms_key_arn             = var.rds_kms_key_arn
  database_name           = var.rds_database_name
  master_username         = var.rds_master_username
  master_password         = var.rds_master_password
  multi_az                = var.rds_multi_az
  backup_retention_period = var.rds_backup_retention_period
  deletion_protection     = var.rds_deletion_protection
  skip_final_snapshot     = var.rds_skip_final_snapshot
  parameters              = var.rds_parameters
  backup_copy_account     = var.backup_copy_account
  backup_copy_region      = var.backup_copy_region
  port                    = module.access.ports.postgres
  subnet_ids              = local.private_subnet_ids
  security_group_ids      = [local.security_group_ids["database"]]
  tags                    = local.tags
}

module "elasticache" {
  source = "../../../modules/elasticache"
  count  = var.enable_elasticache ? 1 : 0

  replication_group_id       = coalesce(var.elasticache_replication_group_id, var.cluster_name)
  engine_version             = var.elasticache_engine_version
  node_type                  = var.elasticache_node_type
  num_cache_clusters         = var.elasticache_num_cache_clusters
  auth_token_enabled         = var.elasticache_auth_token_enabled
  auth_token                 = var.elasticache_auth_token
  transit_encryption_enabled = var.elasticache_transit_encryption_enabled
  at_rest_encryption_enabled = var.elasticache_at_rest_encryption_enabled
  kms_key_arn                = var.elasticache_kms_key_arn
  snapshot_retention_limit   = var.elasticache_snapshot_retention_limit
  automatic_failover_enabled = var.elasticache_automatic_failover_enabled
  multi_az_enabled           = var.elasticache_multi_az_enabled
  port                       = module.access.ports.aws_redis
  subnet_ids                 = local.private_subnet_ids
  security_group_ids         = [local.security_group_ids["cache"]]
  tags                       = local.tags
}

module "alb" {
  source = "../../../modules/alb"
  count  = var.create_alb ? 1 : 0

  name                = coalesce(var.alb_name, var.cluster_name)
  vpc_id              = local.vpc_id
  public_subnet_ids   = local.public_subnet_ids
  security_group_ids  = [local.security_group_ids["alb"]]
  certificate_arn     = var.acm_certificate_arn
  deletion_protection = var.alb_deletion_protection
  target_port         = module.access.ports.application
  tags                = local.tags
}

module "vpn" {
  source = "../../../modules/aws-gcp-vpn"
  count  = var.enable_vpn ? 1 : 0

  name                      = var.cluster_name
  vpc_id                    = local.vpc_id
  vpc_cidr                  = var.vpc_cidr
  private_route_table_ids   = local.private_route_table_ids
  gcp_network_id            = var.gcp_network_id
  gcp_region                = var.gcp_region
  gcp_vpc_cidr              = var.gcp_vpc_cidr
  gcp_additional_cidrs      = var.gcp_additional_cidrs
  vpn_tunnel1_preshared_key = var.vpn_tunnel1_preshared_key
  vpn_tunnel2_preshared_key = var.vpn_tunnel2_preshared_key
  vpn_preshared_keys        = var.vpn_preshared_keys
  tags                      = local.tags
}

module "secrets" {
  source = "../../../modules/aws-secrets"
  # Whether there is an environment is no secret; its content is.
  count = nonsensitive(length(var.app_env) > 0) ? 1 : 0

  name              = "${var.cluster_name}/app-env"
  app_env           = var.app_env
  reader_role_names = { for part, name in local.pod_role_names : part => name if part == "application" }
  tags              = local.tags
}

module "etcd" {
  source = "../../../modules/etcd-aws"
  count  = var.enable_etcd ? 1 : 0

  name               = "${var.cluster_name}-etcd"
  member             = "aws"
  initial_cluster    = var.etcd_initial_cluster
  availability_zone  = var.availability_zones[0]
  subnet_id          = local.public_subnet_ids[0]
  private_ip         = var.create_network ? cidrhost(var.public_subnet_cidrs[0], 20) : null
  security_group_ids = [local.security_group_ids["etcd"]]
  client_port        = module.access.ports.etcd_client
  peer_port          = module.access.ports.etcd_peer
  tags               = local.tags
}
