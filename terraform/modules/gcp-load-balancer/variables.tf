variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "name" {
  description = "Prefix of the names."
  type        = string
}

variable "certificate_map_id" {
  description = "Certificate map (output gcp_certificate_map_id of global/certificates); null if ssl_certificate_ids are given instead."
  type        = string
  default     = null
}

variable "ssl_certificate_ids" {
  description = "Certificates of our own, such as a Cloudflare origin certificate."
  type        = list(string)
  default     = []
}

variable "neg_name" {
  description = "Name of the zonal network endpoint groups that GKE makes for the Service (annotation cloud.google.com/neg)."
  type        = string
}

variable "neg_zones" {
  description = "Zones where these groups exist. Empty until the application is deployed; the address is reserved from the start."
  type        = list(string)
  default     = []
}

variable "health_check_path" {
  description = "Path of the probe of each pod."
  type        = string
  default     = "/readyz"
}

variable "health_check_port" {
  description = "Port of the application's pods."
  type        = number
  default     = 8080
}

variable "edge_cidrs" {
  description = "Where users come from: Cloudflare's published IPv4 ranges."
  type        = list(string)
  default = [
    "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "104.16.0.0/13", "104.24.0.0/14", "108.162.192.0/18", "131.0.72.0/22",
    "141.101.64.0/18", "162.158.0.0/15", "172.64.0.0/13", "173.245.48.0/20", "188.114.96.0/20", "190.93.240.0/20", "197.234.240.0/22", "198.41.128.0/17",
  ]
}
