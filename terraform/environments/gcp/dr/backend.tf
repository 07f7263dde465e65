# State of the GCP site: Cloud Storage, versioned, locked by itself. The bucket comes from environments/global/state.

terraform {
  backend "gcs" {
    bucket = "crm-dr-terraform-state-gcp"
    prefix = "gcp/dr"
  }
}
