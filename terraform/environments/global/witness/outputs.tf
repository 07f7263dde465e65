output "public_ip" {
  description = "Address of the witness; as /32 it is witness_cidrs of aws/dr and gcp/dr."
  value       = module.witness.public_ip
}

output "instance_id" {
  description = "Id of the machine."
  value       = module.witness.instance_id
}
