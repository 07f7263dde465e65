variable "replication_group_id" {
  description = "Name of the replication group."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.replication_group_id))
    error_message = "replication_group_id must be lower-case letters, digits and hyphens, at most 40 characters, starting with a letter."
  }
}

variable "engine_version" {
  description = "Redis version; the same major.minor as Memorystore's, or one side cannot restore the other's dumps."
  type        = string
  default     = "7.0"

  validation {
    condition     = can(regex("^7\\.[01]$", var.engine_version))
    error_message = "engine_version must be 7.0 or 7.1."
  }
}

variable "node_type" {
  description = "Node type; 25 % of its memory is reserved, the rest should match Memorystore's size."
  type        = string
}

variable "num_cache_clusters" {
  description = "Nodes of the one shard: a primary and its replicas."
  type        = number
  default     = 3

  validation {
    condition     = var.num_cache_clusters >= 1 && var.num_cache_clusters <= 6
    error_message = "num_cache_clusters must be 1 to 6: a primary and at most five replicas."
  }
}

variable "auth_token_enabled" {
  description = "Ask clients for a token."
  type        = bool
  default     = true
}

variable "auth_token" {
  description = "The token; null generates one. From TF_VAR_elasticache_auth_token, never a file."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.auth_token == null || can(regex("^[0-9A-Za-z!&#$^<>-]{16,128}$", var.auth_token))
    error_message = "ElastiCache refuses this token: 16 to 128 letters, digits and ! & # $ ^ < > - (no underscore). Or leave it out: one is generated."
  }
}

variable "auth_token_update_strategy" {
  description = "What a changed token does: ROTATE adds it beside the old one, SET then drops the old one."
  type        = string
  default     = "ROTATE"

  validation {
    condition     = contains(["ROTATE", "SET"], var.auth_token_update_strategy)
    error_message = "auth_token_update_strategy must be ROTATE or SET."
  }
}

variable "transit_encryption_enabled" {
  description = "TLS between clients and nodes; a token needs it."
  type        = bool
  default     = true
}

variable "at_rest_encryption_enabled" {
  description = "Encrypt disk and snapshots."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key of disk and snapshots, chosen at creation: null makes one, \"default\" is AWS's own, an ARN is yours."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^(default|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+)$", var.kms_key_arn))
    error_message = "kms_key_arn must be a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID, no alias), or \"default\" for the cloud's own key."
  }
}

variable "snapshot_retention_limit" {
  description = "Days of snapshots."
  type        = number
  default     = 30

  validation {
    condition     = var.snapshot_retention_limit >= 0 && var.snapshot_retention_limit <= 35
    error_message = "snapshot_retention_limit must be 0 to 35 days."
  }
}

variable "automatic_failover_enabled" {
  description = "Promote a replica when the primary node dies."
  type        = bool
  default     = true
}

variable "multi_az_enabled" {
  description = "Keep the nodes in different zones."
  type        = bool
  default     = true
}

variable "port" {
  description = "Port of the cache."
  type        = number
  default     = 6379
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the nodes."
  type        = list(string)

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "Without a group of its own the cache gets the VPC's default one, which admits nobody."
  }
}

variable "parameters" {
  description = "Redis parameters beside or instead of the module's own."
  type        = map(string)
  default     = {}
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
