output "host" {
  description = "Address of the primary node."
  value       = google_redis_instance.this.host
}

output "port" {
  description = "Port: 6378 with TLS, 6379 without."
  value       = google_redis_instance.this.port
}

output "read_endpoint" {
  description = "Address that spreads reads over the replicas."
  value       = google_redis_instance.this.read_endpoint
}

output "auth_string" {
  description = "The password that Memorystore made."
  value       = google_redis_instance.this.auth_string
  sensitive   = true
}

output "server_ca_certs" {
  description = "Certificate authorities that clients must trust; Google rotates them."
  value       = [for ca in google_redis_instance.this.server_ca_certs : ca.cert]
  sensitive   = true
}
