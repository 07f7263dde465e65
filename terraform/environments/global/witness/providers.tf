terraform {
  required_version = ">= 1.5.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.witness_region

  default_tags {
    tags = { project = var.project, managed_by = "terraform", role = "witness" }
  }
}
