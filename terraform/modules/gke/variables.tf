variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "region" {
  description = "Region of the cluster."
  type        = string
}

variable "cluster_name" {
  description = "Name of the cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.cluster_name))
    error_message = "cluster_name must be 2 to 20 lower-case letters, digits and hyphens (service accounts add ten)."
  }
}

variable "node_locations" {
  description = "Zones of the nodes, stated so that counts can be divided by them."
  type        = list(string)

  validation {
    condition     = length(var.node_locations) >= 2 && length(distinct(var.node_locations)) == length(var.node_locations)
    error_message = "Name at least two different zones."
  }
}

variable "release_channel" {
  description = "RAPID, REGULAR or STABLE."
  type        = string
  default     = "REGULAR"

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE"], var.release_channel)
    error_message = "cluster_release_channel must be RAPID, REGULAR or STABLE."
  }
}

variable "enable_private_nodes" {
  description = "Nodes without public addresses. From the start: a later change replaces the cluster."
  type        = bool
  default     = true
}

variable "control_plane_cidr" {
  description = "Range of the control plane, a /28."
  type        = string

  validation {
    condition     = can(cidrhost(var.control_plane_cidr, 0)) && endswith(var.control_plane_cidr, "/28")
    error_message = "control_plane_cidr must be a /28."
  }
}

variable "authorized_networks" {
  description = "Who may reach the Kubernetes API, by a name. Empty leaves it to the private network."
  type        = map(string)
  default     = {}

  validation {
    condition     = !contains(values(var.authorized_networks), "0.0.0.0/0")
    error_message = "The Kubernetes API is not for the whole internet: name the ranges of your people."
  }
}

variable "network_id" {
  description = "Network of the cluster."
  type        = string
}

variable "subnetwork_name" {
  description = "Subnet of the nodes."
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

variable "node_pool_machine_type" {
  description = "Machine type of the application's nodes."
  type        = string
}

variable "node_pool_disk_size_gb" {
  description = "Disk of a node."
  type        = number
  default     = 200
}

variable "node_pool_min_count" {
  description = "Fewest nodes of the application, over all zones."
  type        = number
}

variable "node_pool_max_count" {
  description = "Most nodes, over all zones."
  type        = number
}

variable "node_pool_initial_count" {
  description = "Nodes at the start, over all zones; each zone gets its share, rounded up."
  type        = number
}

variable "tandem_machine_type" {
  description = "Machine type of the nodes that carry gates, cache gateways and agents."
  type        = string
  default     = "n2-standard-2"
}

variable "network_tags" {
  description = "Network tags by place: application and tandem (module gcp-access)."
  type        = map(string)
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster. The provider's own default is true; a destroy must set it false first."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of cluster and nodes."
  type        = map(string)
  default     = {}
}
