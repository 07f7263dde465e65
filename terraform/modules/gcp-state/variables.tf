variable "project_id" {
  description = "GCP project."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket; unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "location" {
  description = "Location of the bucket."
  type        = string
}

variable "writer_members" {
  description = "IAM members that apply, by a name."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.writer_members) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "A state holds passwords and is not for everybody: name people or service accounts."
  }
}

variable "labels" {
  description = "Labels of the bucket."
  type        = map(string)
  default     = {}
}
