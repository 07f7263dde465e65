output "secret_arn" {
  description = "ARN of the secret."
  value       = aws_secretsmanager_secret.this.arn
}

output "read_policy_arn" {
  description = "Policy that reads this secret and nothing else."
  value       = aws_iam_policy.read.arn
}
