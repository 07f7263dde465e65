variables {
  project_id                = "example-project"
  domain_name               = "crm.example.com"
  subject_alternative_names = ["*.crm.example.com"]
  cloudflare_zone_id        = "0123456789abcdef0123456789abcdef"
}

run "one_only" {
  variables {
    enable_acm_certificate = false
    enable_gcp_certificate = false
  }
  assert {
    condition     = output.acm_certificate_arn == null && output.gcp_certificate_map_id == null
    error_message = "Each can be yours instead."
  }
}
