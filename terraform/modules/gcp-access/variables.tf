variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "network_name" {
  description = "Network of the rules, and prefix of their names."
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

variable "node_cidrs" {
  description = "Ranges of nodes and pods in GCP."
  type        = list(string)
}

variable "private_services_cidr" {
  description = "Range of Cloud SQL and Memorystore."
  type        = string
}

variable "aws_cidr" {
  description = "AWS's range at the other end of the VPN."
  type        = string
}

variable "aws_etcd_cidrs" {
  description = "The public address of AWS's etcd member, as /32: members know each other by one address each, and the witness has no VPN."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.aws_etcd_cidrs, "0.0.0.0/0")
    error_message = "AWS's etcd member has an address of its own: name it as /32, not the whole internet."
  }
}

variable "witness_cidrs" {
  description = "Where the witness comes from; empty while there is none."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.witness_cidrs, "0.0.0.0/0")
    error_message = "The witness has an address of its own: name it as /32, not the whole internet."
  }
}
