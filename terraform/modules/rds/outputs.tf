output "endpoint" {
  description = "Host name of the database. It follows a Multi-AZ failover; an address does not."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Port of the database."
  value       = aws_db_instance.this.port
}

output "identifier" {
  description = "Name of the instance."
  value       = aws_db_instance.this.identifier
}

output "arn" {
  description = "ARN of the instance."
  value       = aws_db_instance.this.arn
}

output "master_secret_arn" {
  description = "Secret that RDS keeps the master password in; null if a password was given."
  value       = one(aws_db_instance.this.master_user_secret[*].secret_arn)
}

output "parameter_group_name" {
  description = "Parameter group; a restored instance must be given it again by hand."
  value       = aws_db_parameter_group.this.name
}
