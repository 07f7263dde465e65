variable "name" {
  description = "Prefix of the names."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the security groups."
  type        = string
}

variable "flows" {
  description = "Output flows of module access."
  type = map(object({
    from = string
    to   = string
    port = number
    tls  = string
    why  = string
  }))
}

variable "gcp_cidrs" {
  description = "GCP's ranges: nodes, pods and private services (Cloud SQL connects from there)."
  type        = list(string)
}

variable "witness_cidrs" {
  description = "Where the witness comes from, usually one /32; empty while there is none."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.witness_cidrs, "0.0.0.0/0")
    error_message = "The witness has an address of its own: name it as /32, not the whole internet."
  }
}

variable "gcp_etcd_cidrs" {
  description = "The public address of GCP's etcd member, as /32: members know each other by one address each, and the witness has no VPN."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.gcp_etcd_cidrs, "0.0.0.0/0")
    error_message = "GCP's etcd member has an address of its own: name it as /32, not the whole internet."
  }
}

variable "edge_cidrs" {
  description = "Where users come from: Cloudflare's published IPv4 ranges."
  type        = list(string)
  default = [
    "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "104.16.0.0/13", "104.24.0.0/14", "108.162.192.0/18", "131.0.72.0/22",
    "141.101.64.0/18", "162.158.0.0/15", "172.64.0.0/13", "173.245.48.0/20", "188.114.96.0/20", "190.93.240.0/20", "197.234.240.0/22", "198.41.128.0/17",
  ]
}

variable "tags" {
  description = "Tags of every group."
  type        = map(string)
  default     = {}
}
