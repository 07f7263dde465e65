output "network_name" {
  description = "Name of the network."
  value       = local.network_name

  precondition {
    condition     = var.create_network || (can(regex("^projects/[^/]+/global/networks/[^/]+$", var.existing_network_id)) && var.existing_subnetwork_name != null)
    error_message = "With create_network = false give existing_network_id (projects/PROJECT/global/networks/NAME) and existing_subnetwork_name."
  }
}

output "network_id" {
  description = "gcp_network_id of aws/dr: projects/PROJECT/global/networks/NAME."
  value       = local.network_id
}

output "gcp_cidrs" {
  description = "Every range that AWS must reach: gcp_vpc_cidr of aws/dr is the first, gcp_additional_cidrs the others."
  value       = [var.subnet_ip_cidr_range, var.subnet_secondary_pods_cidr, var.subnet_secondary_services_cidr, var.private_services_cidr]
}

output "cluster_name" {
  description = "Name of the cluster; for gcloud container clusters get-credentials."
  value       = var.cluster_name
}

output "node_counts" {
  description = "Nodes over all zones as Google will count them, by pool."
  value       = one(module.gke[*].node_counts)
}

output "pod_service_accounts" {
  description = "Service accounts of the pods by part."
  value       = local.pod_service_accounts
}

output "secret_id" {
  description = "Secret with the application's environment."
  value       = one(module.secret_manager[*].secret_id)
}

output "cloud_sql_connection_name" {
  description = "PROJECT:REGION:INSTANCE of the database."
  value       = var.enable_cloud_sql ? one(module.cloud_sql[*].connection_name) : var.existing_cloud_sql_connection_name
}

output "cloud_sql_private_ip" {
  description = "Address of the database."
  value       = var.enable_cloud_sql ? one(module.cloud_sql[*].private_ip) : var.existing_cloud_sql_private_ip

  precondition {
    condition     = var.enable_cloud_sql || var.existing_cloud_sql_private_ip != null
    error_message = "With enable_cloud_sql = false give existing_cloud_sql_private_ip."
  }
}

output "cloud_sql_server_ca_cert" {
  description = "Certificate authority of the database."
  value       = one(module.cloud_sql[*].server_ca_cert)
  sensitive   = true
}

output "cloud_sql_user_password" {
  description = "Password of the master user, given or generated."
  value       = one(module.cloud_sql[*].user_password)
  sensitive   = true
}

output "memorystore_host" {
  description = "Address of the cache."
  value       = var.enable_memorystore ? one(module.memorystore[*].host) : var.existing_memorystore_host

  precondition {
    condition     = var.enable_memorystore || var.existing_memorystore_host != null
    error_message = "With enable_memorystore = false give existing_memorystore_host."
  }
}

output "memorystore_port" {
  description = "Port of the cache: 6378 with TLS, 6379 without."
  value       = var.enable_memorystore ? one(module.memorystore[*].port) : module.access.ports.gcp_redis
}

output "memorystore_auth_string" {
  description = "Password of the cache."
  value       = one(module.memorystore[*].auth_string)
  sensitive   = true
}

output "memorystore_server_ca_certs" {
  description = "Certificate authorities of the cache."
  value       = one(module.memorystore[*].server_ca_certs)
  sensitive   = true
}

output "lb_ip" {
  description = "Address of the load balancer: gcp_lb_ip of global/cloudflare-lb."
  value       = var.create_load_balancer ? one(module.load_balancer[*].ip) : var.existing_lb_ip

  precondition {
    condition     = var.create_load_balancer || var.existing_lb_ip != null
    error_message = "With create_load_balancer = false give existing_lb_ip."
  }
}

output "nat_public_ips" {
  description = "Addresses that this site's connections come from; global/witness admits them."
  value       = compact([one(module.network[*].nat_public_ip)])
}

output "etcd_client_port" {
  description = "Port on which this site's etcd member answers agents."
  value       = module.access.ports.etcd_client
}

output "etcd_private_ip" {
  description = "Address of this site's etcd member inside the network."
  value       = one(module.etcd[*].private_ip)
}

output "etcd_public_ip" {
  description = "Address of this site's etcd member for the witness."
  value       = one(module.etcd[*].public_ip)
}

output "firewall_requests" {
  description = "Every permitted connection as a Markdown table, for whoever runs a firewall in between."
  value       = module.access.firewall_requests
}
