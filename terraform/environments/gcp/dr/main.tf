# The GCP site: network, cluster, secret, database, cache, load balancer, and GCP's side of the VPN: firewall and route
# export. The VPN's gateways need both clouds' addresses at once and are made by environments/aws/dr.
#
# Every part can be yours instead: switch its module off and give the ids.

locals {
  labels = var.labels

  network_id                  = var.create_network ? one(module.network[*].network_id) : var.existing_network_id
  network_name                = var.create_network ? one(module.network[*].network_name) : try(element(split("/", var.existing_network_id), 4), null)
  subnetwork_name             = var.create_network ? one(module.network[*].subnetwork_name) : var.existing_subnetwork_name
  private_services_range      = var.create_network ? one(module.network[*].private_services_range_name) : var.existing_private_services_range_name
  private_services_connection = var.create_network ? one(module.network[*].private_services_connection) : "existing"
  pod_service_accounts        = var.create_gke ? one(module.gke[*].pod_service_accounts) : var.existing_pod_service_accounts
  tags                        = { for place in ["application", "tandem", "etcd"] : place => "${coalesce(local.network_name, "none")}-${place}" }
  secret_reader_parts         = var.create_gke ? ["application"] : [for part in keys(var.existing_pod_service_accounts) : part if part == "application"]
  flows_without_the_other     = { for key, flow in module.access.flows : key => flow if var.enable_vpn || !startswith(flow.from, "aws-") }
}

module "network" {
  source = "../../../modules/gcp-network"
  count  = var.create_network ? 1 : 0

  project_id                     = var.project_id
  region                         = var.region
  network_name                   = var.network_name
  subnet_ip_cidr_range           = var.subnet_ip_cidr_range
  subnet_secondary_pods_cidr     = var.subnet_secondary_pods_cidr
  subnet_secondary_services_cidr = var.subnet_secondary_services_cidr
  ip_range_pods_name             = var.ip_range_pods_name
  ip_range_services_name         = var.ip_range_services_name
  subnet_name                    = var.subnet_name
  private_services_cidr          = var.private_services_cidr
  private_services_range_name    = var.private_services_range_name
  control_plane_cidr             = var.control_plane_cidr
  aws_vpc_cidr                   = var.aws_vpc_cidr
}

module "access" {
  source = "../../../modules/access"

  ports                     = var.ports
  application_direct_access = var.application_direct_access
  direct_replication        = var.direct_replication
}

module "access_rules" {
  source = "../../../modules/gcp-access"
  count  = var.create_access ? 1 : 0

  project_id            = var.project_id
  network_name          = local.network_name
  flows                 = local.flows_without_the_other
  node_cidrs            = [var.subnet_ip_cidr_range, var.subnet_secondary_pods_cidr]
  private_services_cidr = var.private_services_cidr
  aws_cidr              = var.aws_vpc_cidr
  witness_cidrs         = var.witness_cidrs
  aws_etcd_cidrs        = var.aws_etcd_cidrs
}

module "gke" {
  source = "../../../modules/gke"
  count  = var.create_gke ? 1 : 0

  project_id              = var.project_id
  region                  = var.region
  cluster_name            = var.cluster_name
  node_locations          = var.node_locations
  release_channel         = var.cluster_release_channel
  enable_private_nodes    = var.cluster_enable_private_nodes
  deletion_protection     = var.cluster_deletion_protection
  control_plane_cidr      = var.control_plane_cidr
  authorized_networks     = var.authorized_networks
  network_id              = local.network_id
  subnetwork_name         = local.subnetwork_name
  ip_range_pods_name      = var.ip_range_pods_name
  ip_range_services_name  = var.ip_range_services_name
  node_pool_machine_type  = var.node_pool_machine_type
  node_pool_disk_size_gb  = var.node_pool_disk_size_gb
  node_pool_min_count     = coalesce(var.node_pool_total_min_count, var.node_pool_min_count)
  node_pool_max_count     = coalesce(var.node_pool_total_max_count, var.node_pool_max_count)
  node_pool_initial_count = var.node_pool_initial_count
  network_tags            = local.tags
  labels                  = var.labels
}

module "secret_manager" {
  source = "../../../modules/secret-manager"
  count  = var.enable_secret_manager ? 1 : 0

  project_id     = var.project_id
  secret_id      = var.secret_manager_secret_id
  secret_data    = var.secret_manager_secret_data
  reader_members = { for part in local.secret_reader_parts : part => "serviceAccount:${local.pod_service_accounts[part]}" }
  labels         = var.labels
}

module "cloud_sql" {
  source = "../../../modules/cloud-sql"
  count  = var.enable_cloud_sql ? 1 : 0

  project_id                     = var.project_id
  region                         = var.region
  instance_name                  = var.cloud_sql_instance_name
  database_version               = var.cloud_sql_database_version
  tier                           = var.cloud_sql_tier
  disk_size                      = var.cloud_sql_disk_size
  disk_type                      = var.cloud_sql_disk_type
  disk_autoresize                = var.cloud_sql_disk_autoresize
  availability_type              = var.cloud_sql_availability_type
  database_name                  = var.cloud_sql_database_name
  user_name                      = var.cloud_sql_user_name
  user_password                  = var.cloud_sql_user_password
  backup_enabled                 = var.cloud_sql_backup_enabled
  backup_location                = var.cloud_sql_backup_location
  point_in_time_recovery_enabled = var.cloud_sql_point_in_time_recovery_enabled
  deletion_protection            = var.cloud_sql_deletion_protection
  database_flags                 = var.cloud_sql_database_flags
  network_id                     = local.network_id
  private_services_range_name    = local.private_services_range
  private_services_connection    = local.private_services_connection
  labels                         = var.labels
}

module "memorystore" {
  source = "../../../modules/memorystore"
  count  = var.enable_memorystore ? 1 : 0

  project_id                  = var.project_id
  region                      = var.region
  instance_id                 = var.memorystore_instance_id
  display_name                = var.memorystore_display_name
  tier                        = var.memorystore_tier
  memory_size_gb              = var.memorystore_memory_size_gb
  redis_version               = var.memorystore_redis_version
  replica_count               = var.memorystore_replica_count
  read_replicas_mode          = var.memorystore_read_replicas_mode
  auth_enabled                = var.memorystore_auth_enabled
  transit_encryption_mode     = var.memorystore_transit_encryption_mode
  persistence_mode            = var.memorystore_persistence_mode
  rdb_snapshot_period         = var.memorystore_rdb_snapshot_period
  network_id                  = local.network_id
  private_services_range_name = local.private_services_range
  private_services_connection = local.private_services_connection
  labels                      = var.labels
}

module "load_balancer" {
  source = "../../../modules/gcp-load-balancer"
  count  = var.create_load_balancer ? 1 : 0

  project_id          = var.project_id
  name                = coalesce(local.network_name, var.network_name)
  certificate_map_id  = var.certificate_map_id
  ssl_certificate_ids = var.ssl_certificate_ids
  neg_name            = var.neg_name
  neg_zones           = var.neg_zones
  health_check_port   = module.access.ports.application
}

module "etcd" {
  source = "../../../modules/etcd-gcp"
  count  = var.enable_etcd ? 1 : 0

  project_id      = var.project_id
  region          = var.region
  zone            = var.node_locations[0]
  name            = "${var.network_name}-etcd"
  initial_cluster = var.etcd_initial_cluster
  subnetwork_name = local.subnetwork_name
  private_ip      = var.create_network ? cidrhost(var.subnet_ip_cidr_range, 20) : null
  network_tag     = local.tags["etcd"]
  client_port     = module.access.ports.etcd_client
  peer_port       = module.access.ports.etcd_peer
  labels          = var.labels
}
