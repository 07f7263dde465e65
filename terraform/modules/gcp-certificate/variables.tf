variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "name" {
  description = "Prefix of the names."
  type        = string
}

variable "domain_name" {
  description = "Name of the service."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain_name))
    error_message = "domain_name must be a host name such as crm.example.com, without https:// and without a wildcard."
  }
}

variable "cloudflare_zone_id" {
  description = "Zone that the authorisation record goes to."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.cloudflare_zone_id))
    error_message = "cloudflare_zone_id must be the zone's 32 hexadecimal digits, not its name."
  }
}

variable "labels" {
  description = "Labels of every resource."
  type        = map(string)
  default     = {}
}
