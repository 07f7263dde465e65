# State of the AWS site: S3, encrypted, versioned and locked. The bucket and the table come from environments/global/state.
# From Terraform 1.10 `use_lockfile = true` can take the table's place.

terraform {
  backend "s3" {
    bucket         = "crm-dr-terraform-state"
    key            = "aws/dr/terraform.tfstate"
    region         = "ap-northeast-2"
    encrypt        = true
    dynamodb_table = "crm-dr-terraform-locks"
  }
}
