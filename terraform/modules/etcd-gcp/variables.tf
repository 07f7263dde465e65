variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "region" {
  description = "Region of the address."
  type        = string
}

variable "zone" {
  description = "Zone of machine and data disk."
  type        = string
}

variable "name" {
  description = "Name of the machine and prefix of what belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 30 lower-case letters, digits and hyphens: a service account carries it too."
  }
}

variable "member" {
  description = "Name of the etcd member: gcp, or witness in a third region."
  type        = string
  default     = "gcp"
}

variable "initial_cluster" {
  description = "Host names or addresses of all three members by name."
  type        = map(string)
}

variable "subnetwork_name" {
  description = "Subnet of the machine."
  type        = string
}

variable "private_ip" {
  description = "Address inside the subnet; null takes any."
  type        = string
  default     = null
}

variable "network_tag" {
  description = "Network tag; the firewall knows the machine by it."
  type        = string
}

variable "machine_type" {
  description = "Machine type: etcd holds a few kilobytes and wants a steady disk."
  type        = string
  default     = "e2-small"
}

variable "client_port" {
  description = "Port for agents."
  type        = number
  default     = 2379
}

variable "peer_port" {
  description = "Port between members."
  type        = number
  default     = 2380
}

variable "labels" {
  description = "Labels of every resource."
  type        = map(string)
  default     = {}
}
