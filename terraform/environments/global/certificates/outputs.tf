output "acm_certificate_arn" {
  description = "acm_certificate_arn of aws/dr."
  value       = one(module.acm_certificate[*].certificate_arn)
}

output "gcp_certificate_map_id" {
  description = "certificate_map_id of gcp/dr."
  value       = one(module.gcp_certificate[*].certificate_map_id)
}
