# Phase 1: the service's certificates in both clouds, proven through DNS in the Cloudflare zone before anything else
# exists. AWS's is issued when the apply ends.

module "acm_certificate" {
  source = "../../../modules/acm-certificate"
  count  = var.enable_acm_certificate ? 1 : 0

  domain_name               = var.domain_name
  subject_alternative_names = var.subject_alternative_names
  cloudflare_zone_id        = var.cloudflare_zone_id
}

module "gcp_certificate" {
  source = "../../../modules/gcp-certificate"
  count  = var.enable_gcp_certificate ? 1 : 0

  project_id         = var.project_id
  name               = var.name_prefix
  domain_name        = var.domain_name
  cloudflare_zone_id = var.cloudflare_zone_id
}
