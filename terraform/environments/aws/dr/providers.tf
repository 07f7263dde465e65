terraform {
  required_version = ">= 1.5.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = local.tags
  }
}

# Google is needed for the VPN alone. Until then a token that is never sent keeps the provider from asking for
# credentials; after the VPN was turned off again, the apply that removes it needs TF_VAR_gcp_access_token.
provider "google" {
  project      = try(split("/", var.gcp_network_id)[1], null)
  region       = var.gcp_region
  access_token = try(coalesce(var.gcp_access_token, var.enable_vpn ? null : "not-used-before-the-vpn"), null)
}
