variable "witness_region" {
  description = "AWS region of the witness: neither site's."
  type        = string
  default     = "ap-northeast-1"

  validation {
    condition     = !contains(["ap-northeast-2"], var.witness_region)
    error_message = "The witness must not stand in the region of a site (ap-northeast-2): with that region two of three votes would be lost."
  }
}

variable "availability_zone" {
  description = "Zone in that region."
  type        = string
  default     = "ap-northeast-1a"
}

variable "project" {
  description = "Tag: the project."
  type        = string
  default     = "crm"
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "tandem-witness"
}

variable "site_cidrs" {
  description = "Outputs nat_public_ips and etcd_public_ip of aws/dr and gcp/dr, each as /32."
  type        = list(string)
}

variable "etcd_initial_cluster" {
  description = "Peer addresses of all three members by name (aws, gcp, witness)."
  type        = map(string)
}

variable "ports" {
  description = "Ports that differ from module access's defaults."
  type        = map(number)
  default     = {}
}
