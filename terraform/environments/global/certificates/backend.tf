# In R2, as the other global parts: `terraform init -backend-config=r2.tfbackend` (see ../README.md).

terraform {
  backend "s3" {
    key                         = "global/certificates/terraform.tfstate"
    region                      = "auto"
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
  }
}
