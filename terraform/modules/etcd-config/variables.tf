variable "member" {
  description = "Name of this member: aws, gcp or witness."
  type        = string

  validation {
    condition     = contains(["aws", "gcp", "witness"], var.member)
    error_message = "member must be aws, gcp or witness: one in each place."
  }
}

variable "initial_cluster" {
  description = "Host names or addresses of all three members by name, as the others reach them."
  type        = map(string)

  validation {
    condition     = toset(keys(var.initial_cluster)) == toset(["aws", "gcp", "witness"])
    error_message = "initial_cluster needs exactly the members aws, gcp and witness: with fewer, one lost place takes the majority along."
  }
}

variable "cluster_token" {
  description = "Name of the etcd cluster; a rebuilt cluster gets a new one."
  type        = string
  default     = "tandem"
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

variable "data_device" {
  description = "Device of the data disk on the machine."
  type        = string
}
