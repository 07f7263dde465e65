output "private_ip" {
  description = "Address inside the VPC."
  value       = aws_instance.this.private_ip
}

output "public_ip" {
  description = "Address that outlives the machine."
  value       = aws_eip.this.public_ip
}

output "instance_id" {
  description = "Id of the machine; for aws ssm start-session."
  value       = aws_instance.this.id
}
