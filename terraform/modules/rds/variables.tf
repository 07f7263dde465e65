variable "identifier" {
  description = "Name of the instance, and prefix of what belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$", var.identifier)) && !can(regex("--", var.identifier))
    error_message = "identifier must be lower-case letters, digits and single hyphens, at most 50 characters, starting with a letter."
  }
}

variable "engine_version" {
  description = "PostgreSQL major (\"15\": the newest minor that RDS offers) or a current minor (\"15.18\")."
  type        = string
  default     = "15"

  validation {
    condition     = can(regex("^1[5-8](\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version must be PostgreSQL 15 to 18: a major such as \"15\", or major.minor."
  }
  validation {
    condition     = !can(regex("^15\\.([0-9]|1[0-2])$", var.engine_version))
    error_message = "RDS withdrew PostgreSQL 15.12 and all older minors on 2026-05-31. Use \"15\": the newest minor is taken, and automatic minor upgrades do not drift."
  }
}

variable "instance_class" {
  description = "Instance class; not burstable, since this database may have to carry both clouds."
  type        = string
}

variable "allocated_storage" {
  description = "Disk in GB."
  type        = number

  validation {
    condition     = var.allocated_storage >= 20 && var.allocated_storage <= 65536
    error_message = "allocated_storage must be between 20 and 65536 GB."
  }
}

variable "max_allocated_storage" {
  description = "Limit of automatic growth in GB; null is twice the disk. A stuck replication slot fills the disk first."
  type        = number
  default     = null
}

variable "storage_encrypted" {
  description = "Encrypt the disk and its backups."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "Key of disk, backups and master secret, chosen at creation: null makes one, \"default\" is AWS's own, an ARN is yours."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^(default|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+)$", var.kms_key_arn))
    error_message = "kms_key_arn must be a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID, no alias), or \"default\" for the cloud's own key."
  }
}

variable "database_name" {
  description = "First database."
  type        = string

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.database_name)) && !contains(["postgres", "rdsadmin", "template0", "template1"], var.database_name)
    error_message = "database_name must be lower-case letters, digits and underscores, and none of PostgreSQL's own names."
  }
}

variable "master_username" {
  description = "Master user. An application should log in as a role that owns nothing instead."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,15}$", var.master_username)) && !contains(["admin", "rdsadmin", "rds_superuser", "postgres_admin"], var.master_username)
    error_message = "master_username must be 1 to 16 lower-case letters, digits and underscores, starting with a letter, and no reserved word (admin, rdsadmin)."
  }
}

variable "master_password" {
  description = "Master password; null lets RDS make one and keep it in Secrets Manager. From TF_VAR_rds_master_password, never a file."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.master_password == null || can(regex("^[!#-.0-?A-~]{8,128}$", var.master_password))
    error_message = "RDS refuses this password: 8 to 128 printable characters without / @ \" and space. Or leave it out: RDS makes one."
  }
}

variable "multi_az" {
  description = "Standby in another zone: the loss of a zone is then RDS's own failover, not one between clouds."
  type        = bool
  default     = true
}

variable "backup_retention_period" {
  description = "Days of automated backups; 0 would turn point-in-time recovery off."
  type        = number
  default     = 30

  validation {
    condition     = var.backup_retention_period >= 7 && var.backup_retention_period <= 35
    error_message = "backup_retention_period must be 7 to 35 days: replication copies a wrong DELETE in milliseconds, only a backup brings rows back."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the instance."
  type        = bool
  default     = true
}

variable "skip_final_snapshot" {
  description = "Delete without a last snapshot."
  type        = bool
  default     = false
}

variable "port" {
  description = "Port of the database."
  type        = number
  default     = 5432

  validation {
    condition     = var.port >= 1150 && var.port <= 65535
    error_message = "RDS takes ports from 1150 to 65535."
  }
}

variable "subnet_ids" {
  description = "Private subnets in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "RDS needs subnets in at least two zones."
  }
}

variable "security_group_ids" {
  description = "Security groups of the instance."
  type        = list(string)

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "Without a group of its own the database gets the VPC's default one, which admits nobody."
  }
}

variable "parameters" {
  description = "Parameters beside or instead of the module's own (logical decoding, slots, TLS); apply methods are chosen here."
  type        = map(string)
  default     = {}

  validation {
    condition     = lookup(var.parameters, "rds.logical_replication", "1") == "1"
    error_message = "rds.logical_replication must stay 1: without logical decoding there is nothing to replicate, and turning it on later needs a reboot."
  }
  validation {
    condition     = lookup(var.parameters, "max_prepared_transactions", "0") == "0"
    error_message = "max_prepared_transactions must stay 0: COMMIT PREPARED walks past Tandem's write guard."
  }
  validation {
    condition     = lookup(var.parameters, "rds.force_ssl", "1") == "1"
    error_message = "rds.force_ssl must stay 1: replication crosses clouds."
  }
}

variable "backup_copy_account" {
  description = "Account that keeps a second copy of the backups; null together with backup_copy_region makes no copy."
  type        = string
  default     = null

  validation {
    condition     = var.backup_copy_account == null || can(regex("^[0-9]{12}$", var.backup_copy_account))
    error_message = "backup_copy_account must be a 12-digit AWS account number."
  }
}

variable "backup_copy_region" {
  description = "Region of that copy; null is this region."
  type        = string
  default     = null
}

variable "backup_copy_vault" {
  description = "Name of the AWS Backup vault there; its access policy must admit this account."
  type        = string
  default     = "crm-dr-copy"
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
