# The certificate of GCP's load balancer, proven through DNS.
#
# A load-balancer certificate (google_compute_managed_ssl_certificate) gets ready only once DNS points at the balancer;
# behind Cloudflare it never does. DNS authorisation asks for a record of its own instead.

locals {
  record = google_certificate_manager_dns_authorization.this.dns_resource_record[0]
}

resource "google_certificate_manager_dns_authorization" "this" {
  project = var.project_id
  name    = "${var.name}-authorisation"
  domain  = var.domain_name
  labels  = var.labels
}

resource "cloudflare_record" "authorisation" {
  zone_id         = var.cloudflare_zone_id
  name            = trimsuffix(local.record.name, ".")
  type            = local.record.type
  content         = trimsuffix(local.record.data, ".")
  ttl             = 60
  proxied         = false
  allow_overwrite = true
  comment         = "Proves ${var.domain_name} to Google Certificate Manager"
}

resource "google_certificate_manager_certificate" "this" {
  project = var.project_id
  name    = "${var.name}-certificate"
  labels  = var.labels

  managed {
    domains            = [var.domain_name]
    dns_authorizations = [google_certificate_manager_dns_authorization.this.id]
  }

  depends_on = [cloudflare_record.authorisation]
}

resource "google_certificate_manager_certificate_map" "this" {
  project = var.project_id
  name    = "${var.name}-certificates"
  labels  = var.labels
}

resource "google_certificate_manager_certificate_map_entry" "this" {
  project      = var.project_id
  name         = "${var.name}-entry"
  map          = google_certificate_manager_certificate_map.this.name
  hostname     = var.domain_name
  certificates = [google_certificate_manager_certificate.this.id]
  labels       = var.labels
}
