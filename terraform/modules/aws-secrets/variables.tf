variable "name" {
  description = "Name of the secret."
  type        = string
}

variable "app_env" {
  description = "Environment of the application by name. From TF_VAR_app_env or made by other modules, never a file. Its content stands in the state."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.app_env) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))])
    error_message = "Every name in app_env must be an environment variable's: letters, digits and underscores."
  }
}

variable "reader_role_names" {
  description = "Roles that may read the secret, by a name known before the first apply."
  type        = map(string)
  default     = {}
}

variable "recovery_window_in_days" {
  description = "Days until a deleted secret is gone."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_window_in_days >= 7 && var.recovery_window_in_days <= 30
    error_message = "recovery_window_in_days must be 7 to 30."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
