output "certificate_arn" {
  description = "The certificate, once issued."
  value       = aws_acm_certificate_validation.this.certificate_arn
}
