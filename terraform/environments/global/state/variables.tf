variable "aws_region" {
  description = "Region of the AWS bucket."
  type        = string
  default     = "ap-northeast-2"
}

variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "aws_bucket" {
  description = "Bucket of aws/dr's state; unique in the world."
  type        = string
  default     = "crm-dr-terraform-state"
}

variable "aws_lock_table" {
  description = "Lock table of aws/dr."
  type        = string
  default     = "crm-dr-terraform-locks"
}

variable "gcp_bucket" {
  description = "Bucket of gcp/dr's state; unique in the world."
  type        = string
  default     = "crm-dr-terraform-state-gcp"
}

variable "gcp_location" {
  description = "Location of that bucket."
  type        = string
  default     = "ASIA-NORTHEAST3"
}

variable "gcp_writer_members" {
  description = "IAM members that apply gcp/dr, by a name."
  type        = map(string)
  default     = {}
}
