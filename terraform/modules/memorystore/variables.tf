variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "region" {
  description = "Region of the instance."
  type        = string
}

variable "instance_id" {
  description = "Name of the instance."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", var.instance_id))
    error_message = "instance_id must be 2 to 40 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "display_name" {
  description = "Name that people see."
  type        = string
}

variable "tier" {
  description = "STANDARD_HA survives the loss of a node."
  type        = string
  default     = "STANDARD_HA"

  validation {
    condition     = contains(["BASIC", "STANDARD_HA"], var.tier)
    error_message = "tier must be BASIC or STANDARD_HA."
  }
}

variable "memory_size_gb" {
  description = "Memory; should match what ElastiCache leaves for data."
  type        = number

  validation {
    condition     = var.memory_size_gb >= 1 && var.memory_size_gb <= 300
    error_message = "memory_size_gb must be 1 to 300."
  }
}

variable "redis_version" {
  description = "Redis version; the same major.minor as ElastiCache's."
  type        = string
  default     = "REDIS_7_0"

  validation {
    condition     = contains(["REDIS_7_0", "REDIS_7_2"], var.redis_version)
    error_message = "redis_version must be REDIS_7_0 or REDIS_7_2."
  }
}

variable "replica_count" {
  description = "Read replicas; more than 0 needs read_replicas_mode."
  type        = number
  default     = 2

  validation {
    condition     = var.replica_count >= 0 && var.replica_count <= 5
    error_message = "replica_count must be 0 to 5."
  }
}

variable "read_replicas_mode" {
  description = "READ_REPLICAS_ENABLED for replicas; fixed at creation, a later change replaces the instance."
  type        = string
  default     = "READ_REPLICAS_ENABLED"

  validation {
    condition     = contains(["READ_REPLICAS_ENABLED", "READ_REPLICAS_DISABLED"], var.read_replicas_mode)
    error_message = "read_replicas_mode must be READ_REPLICAS_ENABLED or READ_REPLICAS_DISABLED."
  }
}

variable "auth_enabled" {
  description = "Ask clients for the password that Memorystore makes."
  type        = bool
  default     = true
}

variable "transit_encryption_mode" {
  description = "SERVER_AUTHENTICATION is TLS; the port is then 6378 and clients need the instance's certificate authorities."
  type        = string
  default     = "SERVER_AUTHENTICATION"

  validation {
    condition     = contains(["SERVER_AUTHENTICATION", "DISABLED"], var.transit_encryption_mode)
    error_message = "transit_encryption_mode must be SERVER_AUTHENTICATION or DISABLED."
  }
}

variable "persistence_mode" {
  description = "RDB keeps snapshots."
  type        = string
  default     = "RDB"

  validation {
    condition     = contains(["RDB", "DISABLED"], var.persistence_mode)
    error_message = "persistence_mode must be RDB or DISABLED."
  }
}

variable "rdb_snapshot_period" {
  description = "How often."
  type        = string
  default     = "SIX_HOURS"

  validation {
    condition     = contains(["ONE_HOUR", "SIX_HOURS", "TWELVE_HOURS", "TWENTY_FOUR_HOURS"], var.rdb_snapshot_period)
    error_message = "rdb_snapshot_period must be ONE_HOUR, SIX_HOURS, TWELVE_HOURS or TWENTY_FOUR_HOURS."
  }
}

variable "network_id" {
  description = "Network whose private services range gives the address."
  type        = string
}

variable "private_services_connection" {
  description = "Id of the private services connection. Nothing else refers to it, and without it the instance fails: this is the order."
  type        = string

  validation {
    condition     = var.private_services_connection != null && var.private_services_connection != ""
    error_message = "The private services connection comes first: output private_services_connection of module gcp-network, or \"existing\" in a network that is yours."
  }
}

variable "private_services_range_name" {
  description = "Name of the reserved range; null takes any of the connection."
  type        = string
  default     = null
}

variable "redis_configs" {
  description = "Redis settings beside or instead of the module's own."
  type        = map(string)
  default     = {}
}

variable "labels" {
  description = "Labels of the instance."
  type        = map(string)
  default     = {}
}
