variable "aws_region" {
  description = "Region of the AWS load balancer; a certificate belongs to a region."
  type        = string
  default     = "ap-northeast-2"
}

variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "name_prefix" {
  description = "Prefix of the names."
  type        = string
  default     = "crm-dr"
}

variable "domain_name" {
  description = "Name of the service."
  type        = string
}

variable "subject_alternative_names" {
  description = "Further names in the AWS certificate."
  type        = list(string)
  default     = []
}

variable "cloudflare_api_token" {
  description = "API token with Zone.DNS (Edit), from TF_VAR_cloudflare_api_token or CLOUDFLARE_API_TOKEN."
  type        = string
  default     = null
  sensitive   = true
}

variable "cloudflare_zone_id" {
  description = "Zone that the proof goes to."
  type        = string
}

variable "enable_acm_certificate" {
  description = "Make the AWS certificate."
  type        = bool
  default     = true
}

variable "enable_gcp_certificate" {
  description = "Make the GCP certificate."
  type        = bool
  default     = true
}
