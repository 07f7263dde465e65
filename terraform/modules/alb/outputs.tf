output "dns_name" {
  description = "Name of the load balancer; the AWS origin at Cloudflare."
  value       = aws_lb.this.dns_name
}

output "arn" {
  description = "ARN of the load balancer."
  value       = aws_lb.this.arn
}

output "target_group_arn" {
  description = "Target group for a TargetGroupBinding in the cluster."
  value       = aws_lb_target_group.application.arn
}
