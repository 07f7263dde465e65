variables {
  domain_name        = "crm.example.com"
  cloudflare_zone_id = "0123456789abcdef0123456789abcdef"
  tags               = { project = "crm" }
}

run "shape" {
  variables {
    subject_alternative_names = ["*.crm.example.com"]
  }
  assert {
    condition     = aws_acm_certificate.this.domain_name == "crm.example.com" && aws_acm_certificate.this.validation_method == "DNS" && toset(aws_acm_certificate.this.subject_alternative_names) == toset(["*.crm.example.com"]) && aws_acm_certificate.this.key_algorithm == "RSA_2048"
    error_message = "A certificate for the names given, proven by DNS."
  }
  assert {
    condition     = keys(cloudflare_record.validation) == ["crm.example.com"]
    error_message = "A wildcard shares its name's record."
  }
  assert {
    condition     = alltrue([for r in cloudflare_record.validation : r.zone_id == "0123456789abcdef0123456789abcdef" && r.type == "CNAME" && !r.proxied && r.allow_overwrite && r.ttl == 60 && r.comment == "Proves crm.example.com to AWS Certificate Manager"])
    error_message = "The record stands in the zone, is not proxied and outlives a repeated request."
  }
  assert {
    condition     = alltrue([for o in aws_acm_certificate.this.domain_validation_options : contains([for r in cloudflare_record.validation : r.name], trimsuffix(o.resource_record_name, ".")) && contains([for r in cloudflare_record.validation : r.content], trimsuffix(o.resource_record_value, "."))])
    error_message = "The record says what AWS asked for."
  }
  assert {
    condition     = aws_acm_certificate_validation.this.certificate_arn == aws_acm_certificate.this.arn && length(aws_acm_certificate_validation.this.validation_record_fqdns) == 1 && aws_acm_certificate_validation.this.timeouts.create == "30m" && output.certificate_arn == aws_acm_certificate.this.arn
    error_message = "The module ends when the certificate is issued."
  }
  assert {
    condition     = aws_acm_certificate.this.tags["project"] == "crm" && aws_acm_certificate.this.tags["Name"] == "crm.example.com"
    error_message = "The certificate carries the tags."
  }
}

run "an_address_is_no_name" {
  command = plan
  variables {
    domain_name        = "https://crm.example.com"
    cloudflare_zone_id = "example.com"
  }
  expect_failures = [var.domain_name, var.cloudflare_zone_id]
}
