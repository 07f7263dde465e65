variable "name" {
  description = "Name of the machine and prefix of what belongs to it."
  type        = string
}

variable "member" {
  description = "Name of the etcd member: aws, or witness in a third region."
  type        = string
}

variable "initial_cluster" {
  description = "Host names or addresses of all three members by name."
  type        = map(string)
}

variable "availability_zone" {
  description = "Zone of machine and data disk."
  type        = string
}

variable "subnet_id" {
  description = "Public subnet in that zone: the witness reaches the member without the VPN."
  type        = string
}

variable "private_ip" {
  description = "Address inside the subnet; null takes any."
  type        = string
  default     = null
}

variable "security_group_ids" {
  description = "Security groups; they decide who reaches the member."
  type        = list(string)
}

variable "instance_type" {
  description = "Instance type (arm64): etcd holds a few kilobytes and wants a steady disk."
  type        = string
  default     = "t4g.small"
}

variable "ami_id" {
  description = "Image; null takes Debian 12 for arm64 at creation."
  type        = string
  default     = null
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

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
