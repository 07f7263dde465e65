# Made once, before everything: where the sites' states live. Its own small state is local and holds no secret.

module "aws_state" {
  source = "../../../modules/aws-state"

  bucket     = var.aws_bucket
  lock_table = var.aws_lock_table
}

module "gcp_state" {
  source = "../../../modules/gcp-state"

  project_id     = var.project_id
  bucket         = var.gcp_bucket
  location       = var.gcp_location
  writer_members = var.gcp_writer_members
}
