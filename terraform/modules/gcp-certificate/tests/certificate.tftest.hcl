variables {
  project_id         = "example"
  name               = "crm-dr"
  domain_name        = "crm.example.com"
  cloudflare_zone_id = "0123456789abcdef0123456789abcdef"
  labels             = { project = "crm" }
}

run "shape" {
  assert {
    condition     = google_certificate_manager_certificate.this.managed[0].domains == tolist(["crm.example.com"]) && google_certificate_manager_certificate.this.managed[0].dns_authorizations == tolist([google_certificate_manager_dns_authorization.this.id]) && google_certificate_manager_dns_authorization.this.domain == "crm.example.com"
    error_message = "The certificate is proven by its DNS authorisation."
  }
  assert {
    condition     = cloudflare_record.authorisation.name == trimsuffix(google_certificate_manager_dns_authorization.this.dns_resource_record[0].name, ".") && cloudflare_record.authorisation.content == trimsuffix(google_certificate_manager_dns_authorization.this.dns_resource_record[0].data, ".") && cloudflare_record.authorisation.type == "CNAME" && cloudflare_record.authorisation.zone_id == "0123456789abcdef0123456789abcdef"
    error_message = "The record says what Google asked for."
  }
  assert {
    condition     = !cloudflare_record.authorisation.proxied && cloudflare_record.authorisation.allow_overwrite && cloudflare_record.authorisation.ttl == 60 && cloudflare_record.authorisation.comment == "Proves crm.example.com to Google Certificate Manager"
    error_message = "The record is not proxied and outlives a repeated request."
  }
  assert {
    condition     = google_certificate_manager_certificate_map_entry.this.map == google_certificate_manager_certificate_map.this.name && google_certificate_manager_certificate_map_entry.this.hostname == "crm.example.com" && google_certificate_manager_certificate_map_entry.this.certificates == tolist([google_certificate_manager_certificate.this.id]) && output.certificate_map_id == google_certificate_manager_certificate_map.this.id
    error_message = "The map gives the certificate to that name."
  }
  assert {
    condition = alltrue([for r in [google_certificate_manager_dns_authorization.this, google_certificate_manager_certificate.this, google_certificate_manager_certificate_map.this, google_certificate_manager_certificate_map_entry.this] :
    r.project == "example" && r.labels["project"] == "crm" && startswith(r.name, "crm-dr-")])
    error_message = "Project, labels and names."
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
