output "bucket" {
  description = "Bucket of backend.tf in aws/dr."
  value       = aws_s3_bucket.this.bucket
}

output "lock_table" {
  description = "Lock table of backend.tf in aws/dr."
  value       = aws_dynamodb_table.locks.name
}
