# The load balancer's certificate, proven through DNS in the Cloudflare zone; the module ends when it is issued.
#
# Records are made for names known before the first apply, not for what AWS answers: a plan that cannot count its
# records cannot be shown.

locals {
  names = toset([for name in concat([var.domain_name], var.subject_alternative_names) : trimprefix(name, "*.")])
  proof = { for option in aws_acm_certificate.this.domain_validation_options : trimprefix(option.domain_name, "*.") => option... }
}

resource "aws_acm_certificate" "this" {
  domain_name               = var.domain_name
  subject_alternative_names = var.subject_alternative_names
  validation_method         = "DNS"
  key_algorithm             = "RSA_2048"
  tags                      = merge(var.tags, { Name = var.domain_name })

  lifecycle {
    create_before_destroy = true
  }
}

resource "cloudflare_record" "validation" {
  for_each = local.names

  zone_id         = var.cloudflare_zone_id
  name            = trimsuffix(local.proof[each.key][0].resource_record_name, ".")
  type            = local.proof[each.key][0].resource_record_type
  content         = trimsuffix(local.proof[each.key][0].resource_record_value, ".")
  ttl             = 60
  proxied         = false
  allow_overwrite = true
  comment         = "Proves ${each.key} to AWS Certificate Manager"
}

resource "aws_acm_certificate_validation" "this" {
  certificate_arn         = aws_acm_certificate.this.arn
  validation_record_fqdns = [for record in cloudflare_record.validation : record.hostname]

  timeouts {
    create = var.validation_timeout
  }
}
