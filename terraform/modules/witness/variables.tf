variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "tandem-witness"
}

variable "vpc_cidr" {
  description = "Range of the witness's own small VPC; it is joined to nothing."
  type        = string
  default     = "10.250.0.0/24"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && try(tonumber(split("/", var.vpc_cidr)[1]) <= 28, false)
    error_message = "vpc_cidr must be an IPv4 range of at least /28."
  }
}

variable "availability_zone" {
  description = "Zone, in a region where neither site stands."
  type        = string
}

variable "site_cidrs" {
  description = "Where the sites' agents and etcd members come from: outputs nat_public_ips and etcd_public_ip of both, each as /32."
  type        = list(string)

  validation {
    condition     = length(var.site_cidrs) > 0 && alltrue([for cidr in var.site_cidrs : endswith(cidr, "/32")])
    error_message = "site_cidrs must name single addresses (/32), at least one: nobody else has business with the witness."
  }
}

variable "initial_cluster" {
  description = "Host names or addresses of all three etcd members by name."
  type        = map(string)
}

variable "agent_port" {
  description = "Port of the witness's agent."
  type        = number
  default     = 8400
}

variable "client_port" {
  description = "Port of etcd for agents."
  type        = number
  default     = 2379
}

variable "peer_port" {
  description = "Port of etcd between members."
  type        = number
  default     = 2380
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
