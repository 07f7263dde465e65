variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "secret_id" {
  description = "Name of the secret."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.secret_id))
    error_message = "secret_id must be letters, digits, hyphens and underscores."
  }
}

variable "secret_data" {
  description = "The application's environment: a map of strings, or one JSON string (a tfvars file cannot call jsonencode). From TF_VAR_secret_manager_secret_data, never a file. Its content stands in the state."
  type        = any
  sensitive   = true

  validation {
    condition     = can(tomap(var.secret_data)) || can(keys(jsondecode(var.secret_data)))
    error_message = "secret_manager_secret_data must be a map of strings such as { DATABASE_URL = \"...\" }, or one string with a JSON object."
  }
}

variable "reader_members" {
  description = "IAM members that may read the secret, by a name known before the first apply."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.reader_members) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "A secret is not for everybody: name service accounts."
  }
}

variable "labels" {
  description = "Labels of the secret."
  type        = map(string)
  default     = {}
}
