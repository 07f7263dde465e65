# Base

variable "project_id" {
  description = "GCP project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be a project's id: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region of the GCP site."
  type        = string
  default     = "asia-northeast3"
}

variable "cluster_name" {
  description = "Name of the cluster."
  type        = string
  default     = "crm-dr-gke"
}

# VPC

variable "create_network" {
  description = "Make the network; false takes the existing_* names of it."
  type        = bool
  default     = true
}

variable "network_name" {
  description = "Name of the network and prefix of what belongs to it."
  type        = string
  default     = "crm-dr"
}

variable "subnet_ip_cidr_range" {
  description = "Range of the nodes."
  type        = string
  default     = "10.20.0.0/20"
}

variable "subnet_secondary_pods_cidr" {
  description = "Range of the pods."
  type        = string
  default     = "10.21.0.0/16"
}

variable "subnet_secondary_services_cidr" {
  description = "Range of the Kubernetes services."
  type        = string
  default     = "10.22.0.0/20"
}

variable "ip_range_pods_name" {
  description = "Name of the pods range."
  type        = string
  default     = "crm-dr-pods"
}

variable "ip_range_services_name" {
  description = "Name of the services range."
  type        = string
  default     = "crm-dr-services"
}

variable "private_services_cidr" {
  description = "Range that Cloud SQL and Memorystore take addresses from."
  type        = string
  default     = "10.23.0.0/20"
}

variable "subnet_name" {
  description = "Name of the subnet; null is network_name-region."
  type        = string
  default     = null
}

variable "private_services_range_name" {
  description = "Name of the range for Cloud SQL and Memorystore; null is network_name-private-services."
  type        = string
  default     = null
}

variable "control_plane_cidr" {
  description = "Range of the GKE control plane."
  type        = string
  default     = "10.24.0.0/28"
}

variable "aws_vpc_cidr" {
  description = "AWS's range at the other end of the VPN."
  type        = string
  default     = "10.30.0.0/16"
}

variable "existing_network_id" {
  description = "projects/PROJECT/global/networks/NAME, with create_network = false."
  type        = string
  default     = null
}

variable "existing_subnetwork_name" {
  description = "Subnet with the two secondary ranges, with create_network = false."
  type        = string
  default     = null
}

variable "existing_private_services_range_name" {
  description = "Reserved range of the private services connection, with create_network = false; null takes any."
  type        = string
  default     = null
}

# VPN

variable "enable_vpn" {
  description = "Open GCP's firewall to AWS and expect the VPN, whose gateways environments/aws/dr makes."
  type        = bool
  default     = true
}

# GKE

variable "create_gke" {
  description = "Make the cluster; false leaves Kubernetes to you."
  type        = bool
  default     = true
}

variable "cluster_release_channel" {
  description = "Release channel."
  type        = string
  default     = "REGULAR"
}

variable "cluster_enable_private_nodes" {
  description = "Nodes without public addresses."
  type        = bool
  default     = true
}

variable "cluster_deletion_protection" {
  description = "Refuse to delete the cluster; the provider's own default, stated."
  type        = bool
  default     = true
}

variable "node_locations" {
  description = "Zones of the nodes."
  type        = list(string)
  default     = ["asia-northeast3-a", "asia-northeast3-b", "asia-northeast3-c"]
}

variable "node_pool_machine_type" {
  description = "Machine type of the application's nodes."
  type        = string
  default     = "n2-standard-4"
}

variable "node_pool_disk_size_gb" {
  description = "Disk of a node."
  type        = number
  default     = 200
}

variable "node_pool_min_count" {
  description = "Fewest nodes, over all zones."
  type        = number
  default     = 3
}

variable "node_pool_max_count" {
  description = "Most nodes, over all zones."
  type        = number
  default     = 10
}

variable "node_pool_initial_count" {
  description = "Nodes at the start, over all zones; each zone gets its share, rounded up."
  type        = number
  default     = 5
}

variable "node_pool_total_min_count" {
  description = "The same as node_pool_min_count, said so that no reader takes it per zone; null takes that."
  type        = number
  default     = null
}

variable "node_pool_total_max_count" {
  description = "The same as node_pool_max_count."
  type        = number
  default     = null
}

variable "authorized_networks" {
  description = "Who may reach the Kubernetes API, by a name."
  type        = map(string)
  default     = {}
}

variable "existing_pod_service_accounts" {
  description = "Service accounts of the pods (application, tandem), with create_gke = false."
  type        = map(string)
  default     = {}
}

# Secret Manager

variable "enable_secret_manager" {
  description = "Keep the application's environment in Secret Manager."
  type        = bool
  default     = true
}

variable "secret_manager_secret_id" {
  description = "Name of the secret."
  type        = string
  default     = "crm-dr-application"
}

variable "secret_manager_secret_data" {
  description = "Map of strings, or one JSON string, from TF_VAR_secret_manager_secret_data or `tandem config from-terraform`."
  type        = any
  default     = {}
  sensitive   = true
}

# Cloud SQL

variable "enable_cloud_sql" {
  description = "Make the database; false takes existing_cloud_sql_private_ip."
  type        = bool
  default     = true
}

variable "cloud_sql_instance_name" {
  description = "Name of the instance."
  type        = string
  default     = "crm-dr-postgres"
}

variable "cloud_sql_database_version" {
  description = "PostgreSQL version, the same major as RDS."
  type        = string
  default     = "POSTGRES_15"
}

variable "cloud_sql_tier" {
  description = "Machine."
  type        = string
  default     = "db-custom-4-15360"
}

variable "cloud_sql_disk_size" {
  description = "Disk in GB at creation; it grows by itself."
  type        = number
  default     = 200
}

variable "cloud_sql_disk_type" {
  description = "Disk type."
  type        = string
  default     = "PD_SSD"
}

variable "cloud_sql_disk_autoresize" {
  description = "Let the disk grow."
  type        = bool
  default     = true
}

variable "cloud_sql_availability_type" {
  description = "REGIONAL keeps a standby in another zone."
  type        = string
  default     = "REGIONAL"
}

variable "cloud_sql_database_name" {
  description = "Database of the application."
  type        = string
  default     = "crm"
}

variable "cloud_sql_user_name" {
  description = "Master user."
  type        = string
  default     = "crmadmin"
}

variable "cloud_sql_user_password" {
  description = "Its password, from TF_VAR_cloud_sql_user_password; null generates one."
  type        = string
  default     = null
  sensitive   = true
}

variable "cloud_sql_backup_enabled" {
  description = "Daily backups."
  type        = bool
  default     = true
}

variable "cloud_sql_backup_location" {
  description = "Where backups are kept."
  type        = string
  default     = null
}

variable "cloud_sql_point_in_time_recovery_enabled" {
  description = "Keep the write-ahead log of seven days."
  type        = bool
  default     = true
}

variable "cloud_sql_deletion_protection" {
  description = "Refuse to delete the database."
  type        = bool
  default     = true
}

variable "cloud_sql_database_flags" {
  description = "Flags beside the module's own."
  type        = map(string)
  default     = {}
}

variable "existing_cloud_sql_private_ip" {
  description = "Address of the database, with enable_cloud_sql = false."
  type        = string
  default     = null
}

variable "existing_cloud_sql_connection_name" {
  description = "PROJECT:REGION:INSTANCE, with enable_cloud_sql = false."
  type        = string
  default     = null
}

# Memorystore

variable "enable_memorystore" {
  description = "Make the cache; false takes existing_memorystore_host."
  type        = bool
  default     = true
}

variable "memorystore_instance_id" {
  description = "Name of the instance."
  type        = string
  default     = "crm-dr-redis"
}

variable "memorystore_display_name" {
  description = "Name that people see."
  type        = string
  default     = "CRM DR Redis"
}

variable "memorystore_tier" {
  description = "Tier."
  type        = string
  default     = "STANDARD_HA"
}

variable "memorystore_memory_size_gb" {
  description = "Memory."
  type        = number
  default     = 10
}

variable "memorystore_redis_version" {
  description = "Redis version, the same as ElastiCache."
  type        = string
  default     = "REDIS_7_0"
}

variable "memorystore_replica_count" {
  description = "Read replicas."
  type        = number
  default     = 2
}

variable "memorystore_read_replicas_mode" {
  description = "Needed for replicas, fixed at creation."
  type        = string
  default     = "READ_REPLICAS_ENABLED"
}

variable "memorystore_auth_enabled" {
  description = "Ask clients for a password."
  type        = bool
  default     = true
}

variable "memorystore_transit_encryption_mode" {
  description = "TLS to the cache."
  type        = string
  default     = "SERVER_AUTHENTICATION"
}

variable "memorystore_persistence_mode" {
  description = "Snapshots."
  type        = string
  default     = "RDB"
}

variable "memorystore_rdb_snapshot_period" {
  description = "How often."
  type        = string
  default     = "SIX_HOURS"
}

variable "existing_memorystore_host" {
  description = "Address of the cache, with enable_memorystore = false."
  type        = string
  default     = null
}

# Load balancer

variable "create_load_balancer" {
  description = "Make the load balancer; false takes existing_lb_ip."
  type        = bool
  default     = true
}

variable "certificate_map_id" {
  description = "Output gcp_certificate_map_id of global/certificates."
  type        = string
  default     = null
}

variable "ssl_certificate_ids" {
  description = "Certificates of our own instead."
  type        = list(string)
  default     = []
}

variable "neg_name" {
  description = "Network endpoint groups that GKE makes for the application's Service."
  type        = string
  default     = "crm-dr-application"
}

variable "neg_zones" {
  description = "Zones where they exist; empty until the application is deployed."
  type        = list(string)
  default     = []
}

variable "existing_lb_ip" {
  description = "Address of the load balancer, with create_load_balancer = false."
  type        = string
  default     = null
}

# Labels

variable "labels" {
  description = "Labels of every resource."
  type        = map(string)
  default     = { project = "crm", environment = "dr", managed_by = "terraform", role = "active" }
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
  description = "Make the firewall rules."
  type        = bool
  default     = true
}

variable "witness_cidrs" {
  description = "Where the witness comes from: output public_ip of global/witness, as /32."
  type        = list(string)
  default     = []
}

variable "aws_etcd_cidrs" {
  description = "Where AWS's etcd member comes from: output etcd_public_ip of aws/dr, as /32. Needed as soon as etcd_initial_cluster has public addresses."
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
