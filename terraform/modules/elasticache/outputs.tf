output "primary_endpoint" {
  description = "Host name of the primary node; it follows a failover."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "reader_endpoint" {
  description = "Host name that spreads reads over the replicas."
  value       = aws_elasticache_replication_group.this.reader_endpoint_address
}

output "port" {
  description = "Port of the cache."
  value       = aws_elasticache_replication_group.this.port
}

output "auth_token" {
  description = "The token, given or generated; null if none is asked for."
  value       = local.token
  sensitive   = true
}
