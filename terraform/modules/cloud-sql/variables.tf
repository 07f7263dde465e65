variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "region" {
  description = "Region of the instance."
  type        = string
}

variable "instance_name" {
  description = "Name of the instance; a deleted name is blocked for a week."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,83}$", var.instance_name))
    error_message = "instance_name must be lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "database_version" {
  description = "PostgreSQL version; the same major as RDS."
  type        = string
  default     = "POSTGRES_15"

  validation {
    condition     = can(regex("^POSTGRES_1[5-8]$", var.database_version))
    error_message = "database_version must be POSTGRES_15 to POSTGRES_18."
  }
}

variable "edition" {
  description = "ENTERPRISE has the db-custom tiers, ENTERPRISE_PLUS the db-perf-optimized ones."
  type        = string
  default     = "ENTERPRISE"

  validation {
    condition     = contains(["ENTERPRISE", "ENTERPRISE_PLUS"], var.edition)
    error_message = "edition must be ENTERPRISE or ENTERPRISE_PLUS."
  }
}

variable "tier" {
  description = "Machine: db-custom-CPUS-MEMORY_MB."
  type        = string

  validation {
    condition     = can(regex("^db-(custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)$", var.tier))
    error_message = "tier must read db-custom-CPUS-MEMORY_MB (such as db-custom-4-16384) or db-perf-optimized-N-CPUS; shared-core tiers cannot carry both clouds."
  }
}

variable "disk_size" {
  description = "Disk in GB at creation. It grows by itself later; Terraform does not look at it again."
  type        = number

  validation {
    condition     = var.disk_size >= 10
    error_message = "disk_size must be at least 10 GB."
  }
}

variable "disk_type" {
  description = "PD_SSD, PD_HDD or HYPERDISK_BALANCED."
  type        = string
  default     = "PD_SSD"

  validation {
    condition     = contains(["PD_SSD", "PD_HDD", "HYPERDISK_BALANCED"], var.disk_type)
    error_message = "disk_type must be PD_SSD, PD_HDD or HYPERDISK_BALANCED."
  }
}

variable "disk_autoresize" {
  description = "Let the disk grow."
  type        = bool
  default     = true
}

variable "disk_autoresize_limit" {
  description = "Limit of that growth in GB; null is twice the disk."
  type        = number
  default     = null
}

variable "availability_type" {
  description = "REGIONAL keeps a standby in another zone."
  type        = string
  default     = "REGIONAL"

  validation {
    condition     = contains(["REGIONAL", "ZONAL"], var.availability_type)
    error_message = "availability_type must be REGIONAL or ZONAL."
  }
}

variable "database_name" {
  description = "Database of the application."
  type        = string
}

variable "user_name" {
  description = "Master user. An application should log in as a role that owns nothing instead."
  type        = string
}

variable "user_password" {
  description = "Password of that user; null generates one. From TF_VAR_cloud_sql_user_password, never a file."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.user_password == null || try(length(var.user_password) >= 12, false)
    error_message = "user_password must have at least 12 characters; leave it out and one is generated."
  }
}

variable "backup_enabled" {
  description = "Daily backups."
  type        = bool
  default     = true
}

variable "backup_location" {
  description = "Where backups are kept; another region outlives this one. null is Google's choice (the multi-region)."
  type        = string
  default     = null
}

variable "retained_backups" {
  description = "Daily backups kept."
  type        = number
  default     = 30
}

variable "point_in_time_recovery_enabled" {
  description = "Keep the write-ahead log of seven days."
  type        = bool
  default     = true
}

variable "deletion_protection" {
  description = "Refuse to delete the instance, in Terraform and in the API."
  type        = bool
  default     = true
}

variable "network_id" {
  description = "Network whose private services range gives the address."
  type        = string

  validation {
    condition     = can(regex("^projects/[^/]+/global/networks/[^/]+$", var.network_id))
    error_message = "network_id must read projects/PROJECT/global/networks/NAME."
  }
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

variable "database_flags" {
  description = "Flags beside or instead of the module's own (logical decoding, slots)."
  type        = map(string)
  default     = {}

  validation {
    condition     = lookup(var.database_flags, "cloudsql.logical_decoding", "on") == "on"
    error_message = "cloudsql.logical_decoding must stay on: this instance publishes its changes after a failover, and turning it on later restarts it."
  }
  validation {
    condition     = lookup(var.database_flags, "max_prepared_transactions", "0") == "0"
    error_message = "max_prepared_transactions must stay 0: COMMIT PREPARED walks past Tandem's write guard."
  }
  validation {
    condition = length(setsubtract(keys(var.database_flags), [
      "autovacuum_max_workers", "autovacuum_vacuum_cost_limit", "cloudsql.enable_pg_cron", "cloudsql.enable_pgaudit", "cloudsql.iam_authentication", "cloudsql.logical_decoding",
      "effective_cache_size", "hot_standby_feedback", "idle_in_transaction_session_timeout", "lock_timeout", "log_lock_waits", "log_min_duration_statement", "log_statement",
      "logical_decoding_work_mem", "maintenance_work_mem", "max_connections", "max_logical_replication_workers", "max_prepared_transactions", "max_replication_slots",
      "max_slot_wal_keep_size", "max_sync_workers_per_subscription", "max_wal_senders", "max_wal_size", "max_worker_processes", "pgaudit.log", "random_page_cost",
      "shared_buffers", "statement_timeout", "temp_file_limit", "track_commit_timestamp", "track_io_timing", "wal_receiver_timeout", "wal_sender_timeout", "work_mem",
    ])) == 0
    error_message = "database_flags names a flag that this module does not know to exist in Cloud SQL: correct the name, or add it to the list in variables.tf."
  }
}

variable "labels" {
  description = "Labels of the instance."
  type        = map(string)
  default     = {}
}
