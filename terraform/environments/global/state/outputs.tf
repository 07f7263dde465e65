output "aws_bucket" {
  description = "bucket in backend.tf of aws/dr."
  value       = module.aws_state.bucket
}

output "aws_lock_table" {
  description = "dynamodb_table in backend.tf of aws/dr."
  value       = module.aws_state.lock_table
}

output "gcp_bucket" {
  description = "bucket in backend.tf of gcp/dr."
  value       = module.gcp_state.bucket
}
