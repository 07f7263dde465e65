variable "domain_name" {
  description = "Name of the service."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain_name))
    error_message = "domain_name must be a host name such as crm.example.com, without https:// and without a wildcard."
  }
}

variable "subject_alternative_names" {
  description = "Further names, in the same Cloudflare zone; *.NAME is allowed and shares NAME's record."
  type        = list(string)
  default     = []
}

variable "cloudflare_zone_id" {
  description = "Zone that the validation records go to."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.cloudflare_zone_id))
    error_message = "cloudflare_zone_id must be the zone's 32 hexadecimal digits, not its name."
  }
}

variable "validation_timeout" {
  description = "How long to wait until the certificate is issued."
  type        = string
  default     = "30m"
}

variable "tags" {
  description = "Tags of the certificate."
  type        = map(string)
  default     = {}
}
