variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "region" {
  description = "Region of subnet, router and NAT."
  type        = string
}

variable "network_name" {
  description = "Name of the network and prefix of what belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$", var.network_name))
    error_message = "network_name must be lower-case letters, digits and hyphens, at most 42 characters, starting with a letter."
  }
}

variable "subnet_ip_cidr_range" {
  description = "Range of the nodes."
  type        = string
}

variable "subnet_secondary_pods_cidr" {
  description = "Range of the pods."
  type        = string
}

variable "subnet_secondary_services_cidr" {
  description = "Range of the Kubernetes services."
  type        = string
}

variable "ip_range_pods_name" {
  description = "Name of the pods range."
  type        = string
}

variable "ip_range_services_name" {
  description = "Name of the services range."
  type        = string
}

variable "private_services_cidr" {
  description = "Range that Cloud SQL and Memorystore take their addresses from."
  type        = string

  validation {
    condition     = can(cidrhost(var.private_services_cidr, 0)) && try(tonumber(split("/", var.private_services_cidr)[1]) <= 24, false)
    error_message = "private_services_cidr must be a range of at least /24: each service and region takes a /24 of it."
  }
}

variable "subnet_name" {
  description = "Name of the subnet; null is network_name-region."
  type        = string
  default     = null
}

variable "private_services_range_name" {
  description = "Name of the reserved range; null is network_name-private-services."
  type        = string
  default     = null
}

variable "control_plane_cidr" {
  description = "Range of the GKE control plane (/28), checked here against the others."
  type        = string
}

variable "aws_vpc_cidr" {
  description = "AWS's range at the other end of the VPN, checked against GCP's; null leaves it out."
  type        = string
  default     = null
}
