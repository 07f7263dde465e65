output "alb_dns_name" {
  description = "Name of the load balancer: aws_alb_dns_name of global/cloudflare-lb."
  value       = var.create_alb ? one(module.alb[*].dns_name) : var.existing_alb_dns_name

  precondition {
    condition     = var.create_alb || var.existing_alb_dns_name != null
    error_message = "With create_alb = false give existing_alb_dns_name."
  }
}

output "target_group_arn" {
  description = "Target group for a TargetGroupBinding of the application."
  value       = one(module.alb[*].target_group_arn)
}

output "rds_endpoint" {
  description = "Host name of the database; it follows a Multi-AZ failover, an address does not."
  value       = var.enable_rds ? one(module.rds[*].endpoint) : var.existing_rds_endpoint

  precondition {
    condition     = var.enable_rds || var.existing_rds_endpoint != null
    error_message = "With enable_rds = false give existing_rds_endpoint."
  }
}

output "rds_port" {
  description = "Port of the database."
  value       = module.access.ports.postgres
}

output "rds_master_secret_arn" {
  description = "Secret that RDS keeps the master password in; null if a password was given."
  value       = one(module.rds[*].master_secret_arn)
}

output "redis_primary_endpoint" {
  description = "Host name of the cache's primary node."
  value       = var.enable_elasticache ? one(module.elasticache[*].primary_endpoint) : var.existing_redis_primary_endpoint

  precondition {
    condition     = var.enable_elasticache || var.existing_redis_primary_endpoint != null
    error_message = "With enable_elasticache = false give existing_redis_primary_endpoint."
  }
}

output "redis_port" {
  description = "Port of the cache."
  value       = module.access.ports.aws_redis
}

output "redis_auth_token" {
  description = "Token of the cache, given or generated."
  value       = one(module.elasticache[*].auth_token)
  sensitive   = true
}

output "vpc_id" {
  description = "The VPC."
  value       = local.vpc_id

  precondition {
    condition     = var.create_network || (var.existing_vpc_id != null && length(var.existing_private_subnet_ids) >= 2 && length(var.existing_public_subnet_ids) >= 2 && length(var.existing_private_route_table_ids) >= 1)
    error_message = "With create_network = false give existing_vpc_id, existing_private_subnet_ids and existing_public_subnet_ids (two zones each) and existing_private_route_table_ids."
  }
}

output "private_subnet_ids" {
  description = "Private subnets."
  value       = local.private_subnet_ids
}

output "private_route_table_ids" {
  description = "Private route tables by zone."
  value       = local.private_route_table_ids
}

output "nat_public_ips" {
  description = "Addresses that this site's connections come from; global/witness admits them."
  value       = flatten(module.network[*].nat_public_ips)
}

output "security_group_ids" {
  description = "Security groups by place."
  value       = local.security_group_ids

  precondition {
    condition     = var.create_access || length(setsubtract(["application", "tandem", "database", "cache", "etcd", "alb"], keys(var.existing_security_group_ids))) == 0
    error_message = "With create_access = false give existing_security_group_ids for application, tandem, database, cache, etcd and alb."
  }
}

output "cluster_name" {
  description = "Name of the cluster; for aws eks update-kubeconfig."
  value       = var.cluster_name
}

output "pod_role_names" {
  description = "Roles of the pods by part."
  value       = local.pod_role_names
}

output "app_secret_arn" {
  description = "Secret with the application's environment."
  value       = one(module.secrets[*].secret_arn)
}

output "vpn_tunnels" {
  description = "The four tunnels as both sides see them, without keys; null while the VPN is off."
  value       = one(module.vpn[*].tunnels)
}

output "vpn_connection_ids" {
  description = "AWS's VPN connections; null while the VPN is off."
  value       = one(module.vpn[*].aws_vpn_connection_ids)
}

output "vpn_gcp_router" {
  description = "GCP's router of the VPN."
  value       = one(module.vpn[*].gcp_router_name)
}

output "vpn_preshared_keys" {
  description = "Keys in use by tunnel."
  value       = one(module.vpn[*].preshared_keys)
  sensitive   = true
}

output "etcd_client_port" {
  description = "Port on which this site's etcd member answers agents."
  value       = module.access.ports.etcd_client
}

output "etcd_private_ip" {
  description = "Address of this site's etcd member inside the VPC."
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
