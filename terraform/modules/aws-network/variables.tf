variable "name" {
  description = "Prefix of every name; the environment's cluster_name."
  type        = string
}

variable "vpc_cidr" {
  description = "Address range of the VPC (RFC 1918)."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)[0-9.]+/(1[6-9]|2[0-8])$", var.vpc_cidr))
    error_message = "vpc_cidr must be a private IPv4 range between /16 and /28, such as 10.30.0.0/16."
  }
}

variable "availability_zones" {
  description = "Zones to use, two or more: a Multi-AZ database needs subnets in two."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "Name at least two different availability zones."
  }
}

variable "public_subnet_cidrs" {
  description = "One public subnet a zone, in the order of availability_zones."
  type        = list(string)
}

variable "private_subnet_cidrs" {
  description = "One private subnet a zone, in the order of availability_zones."
  type        = list(string)
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones: cheaper, but the loss of its zone cuts the other zone off."
  type        = bool
  default     = false
}

variable "flow_log_retention_days" {
  description = "Days that flow logs are kept in CloudWatch; 0 turns flow logs off."
  type        = number
  default     = 30

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.flow_log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180 or 365 days; 0 is off."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
