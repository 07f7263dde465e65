variable "name" {
  description = "Name of the load balancer."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9-]{0,25}[A-Za-z0-9])?$", var.name))
    error_message = "name must be letters, digits and hyphens, at most 27 characters (the target group adds five)."
  }
}

variable "vpc_id" {
  description = "VPC of the targets."
  type        = string
}

variable "public_subnet_ids" {
  description = "Public subnets in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.public_subnet_ids) >= 2
    error_message = "A load balancer needs subnets in at least two zones."
  }
}

variable "security_group_ids" {
  description = "Security groups; they admit Cloudflare only."
  type        = list(string)
}

variable "certificate_arn" {
  description = "ACM certificate of the service's name, issued (output acm_certificate_arn of global/certificates)."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "acm_certificate_arn must be the ARN of an ACM certificate: arn:aws:acm:REGION:ACCOUNT:certificate/ID."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer."
  type        = bool
  default     = true
}

variable "target_port" {
  description = "Port of the application's pods."
  type        = number
  default     = 8080
}

variable "health_check_path" {
  description = "Path of the probe of each pod."
  type        = string
  default     = "/readyz"
}

variable "access_log_bucket" {
  description = "Bucket for access logs; null writes none."
  type        = string
  default     = null
}

variable "web_acl_arn" {
  description = "Web application firewall in front; null has none, as Cloudflare has its own."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
