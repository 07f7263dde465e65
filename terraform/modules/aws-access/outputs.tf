output "security_group_ids" {
  description = "Security groups by place: application, tandem, database, cache, etcd, alb."
  value       = { for place, group in aws_security_group.this : place => group.id }
}
