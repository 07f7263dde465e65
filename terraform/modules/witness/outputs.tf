output "public_ip" {
  description = "Address of the witness; as /32 it is witness_cidrs of both sites."
  value       = module.member.public_ip
}

output "instance_id" {
  description = "Id of the machine; for aws ssm start-session."
  value       = module.member.instance_id
}
