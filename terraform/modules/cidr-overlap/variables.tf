variable "ranges" {
  description = "IPv4 ranges by name, e.g. { vpc = \"10.30.0.0/16\" }."
  type        = map(string)

  validation {
    condition     = alltrue([for range in values(var.ranges) : can(regex("^[0-9.]+/[0-9]+$", range)) && can(cidrhost(range, 0))])
    error_message = "Every range must be an IPv4 CIDR such as 10.30.0.0/16."
  }
}
