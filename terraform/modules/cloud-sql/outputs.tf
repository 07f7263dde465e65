output "connection_name" {
  description = "PROJECT:REGION:INSTANCE."
  value       = google_sql_database_instance.this.connection_name
}

output "private_ip" {
  description = "Address in the private services range; it survives a failover within the region."
  value       = google_sql_database_instance.this.private_ip_address
}

output "instance_name" {
  description = "Name of the instance."
  value       = google_sql_database_instance.this.name
}

output "server_ca_cert" {
  description = "Certificate authority of the server; clients verify it."
  value       = one(google_sql_database_instance.this.server_ca_cert[*].cert)
  sensitive   = true
}

output "user_password" {
  description = "Password of the master user, given or generated."
  value       = local.password
  sensitive   = true
}
