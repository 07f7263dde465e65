variable "name_prefix" {
  description = "Prefix of the names."
  type        = string
  default     = "crm-dr"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.name_prefix))
    error_message = "name_prefix must be letters, digits, hyphens and underscores."
  }
}

variable "cloudflare_account_id" {
  description = "Account of pools, monitor and notification."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.cloudflare_account_id))
    error_message = "cloudflare_account_id must be 32 hexadecimal digits."
  }
}

variable "cloudflare_zone_id" {
  description = "Zone of the load balancer."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.cloudflare_zone_id))
    error_message = "cloudflare_zone_id must be the zone's 32 hexadecimal digits, not its name."
  }
}

variable "domain_name" {
  description = "Name of the service (with dns_record_name \"@\"), or the zone that dns_record_name is in."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain_name))
    error_message = "domain_name must be a host name such as crm.example.com, without https://."
  }
}

variable "dns_record_name" {
  description = "\"@\" for domain_name itself, else the host before it (\"app\")."
  type        = string
  default     = "@"

  validation {
    condition     = can(regex("^(@|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$", var.dns_record_name))
    error_message = "dns_record_name must be \"@\" or a host name such as \"app\"."
  }
}

variable "health_check_type" {
  description = "http, https or tcp."
  type        = string
  default     = "https"

  validation {
    condition     = contains(["http", "https", "tcp"], var.health_check_type)
    error_message = "health_check_type must be http, https or tcp."
  }
}

variable "health_check_port" {
  description = "Port of the probe; 443 and 80 are left to the type."
  type        = number
  default     = 443

  validation {
    condition     = var.health_check_port >= 1 && var.health_check_port <= 65535
    error_message = "health_check_port must be 1 to 65535."
  }
}

variable "health_check_path" {
  description = "Path of the probe."
  type        = string
  default     = "/health"

  validation {
    condition     = startswith(var.health_check_path, "/")
    error_message = "health_check_path must start with /."
  }
}

variable "health_check_interval" {
  description = "Seconds between probes; the plan sets the least (plan_minimum_interval)."
  type        = number
  default     = 15

  validation {
    condition     = var.health_check_interval >= 5 && var.health_check_interval <= 3600
    error_message = "health_check_interval must be 5 to 3600 seconds."
  }
}

variable "health_check_timeout" {
  description = "Seconds until a probe counts as lost."
  type        = number
  default     = 2

  validation {
    condition     = var.health_check_timeout >= 1 && var.health_check_timeout <= 10
    error_message = "health_check_timeout must be 1 to 10 seconds."
  }
}

variable "health_check_retries" {
  description = "Immediate retries after a lost probe."
  type        = number
  default     = 1

  validation {
    condition     = var.health_check_retries >= 0 && var.health_check_retries <= 5
    error_message = "health_check_retries must be 0 to 5."
  }
}

variable "health_check_expected_codes" {
  description = "Answer that counts as healthy."
  type        = string
  default     = "200"
}

variable "health_check_consecutive_down" {
  description = "Bad results in a row until an origin is down."
  type        = number
  default     = 1
}

variable "health_check_consecutive_up" {
  description = "Good results in a row until it is up again."
  type        = number
  default     = 2
}

variable "health_check_header" {
  description = "Headers of the probe. null sends the service's name as Host: without one there is no SNI, and a probe of a bare address fails."
  type        = map(list(string))
  default     = null
}

variable "plan_minimum_interval" {
  description = "Least interval of the zone's Cloudflare plan: 60 (Pro), 15 (Business), 10 (Enterprise)."
  type        = number
  default     = 15
}

variable "detection_seconds_max" {
  description = "Longest time that a silent cloud may go unnoticed; null promises nothing. Checked against the probe's settings."
  type        = number
  default     = null
}

variable "check_regions" {
  description = "Regions that probe. Empty would be every data centre, which only Enterprise may do."
  type        = list(string)
  default     = ["NEAS"]

  validation {
    condition     = length(var.check_regions) > 0 && length(setsubtract(var.check_regions, ["WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "SAS", "SEAS", "NEAS", "ALL_REGIONS"])) == 0
    error_message = "check_regions must name at least one of WNAM ENAM WEU EEU NSAM SSAM OC ME NAF SAF SAS SEAS NEAS ALL_REGIONS."
  }
}

variable "aws_origins" {
  description = "Origins of the AWS pool: the load balancer's name."
  type = list(object({
    name    = string
    address = string
    enabled = optional(bool, true)
    weight  = optional(number, 1)
  }))

  validation {
    condition     = length(var.aws_origins) > 0 && alltrue([for o in var.aws_origins : o.address != "" && o.weight >= 0 && o.weight <= 1])
    error_message = "aws_origins needs at least one origin with an address (output alb_dns_name of aws/dr) and a weight of 0 to 1."
  }
}

variable "gcp_origins" {
  description = "Origins of the GCP pool: the load balancer's address."
  type = list(object({
    name    = string
    address = string
    enabled = optional(bool, true)
    weight  = optional(number, 1)
  }))

  validation {
    condition     = length(var.gcp_origins) > 0 && alltrue([for o in var.gcp_origins : o.address != "" && o.weight >= 0 && o.weight <= 1])
    error_message = "gcp_origins needs at least one origin with an address (output lb_ip of gcp/dr) and a weight of 0 to 1."
  }
}

variable "steering_policy" {
  description = "random splits by pool_weights. The guide's dynamic_latency is allowed: it sends a whole region to the faster pool."
  type        = string
  default     = "random"

  validation {
    condition     = contains(["off", "random", "dynamic_latency", "geo", "proximity", "least_outstanding_requests", "least_connections"], var.steering_policy)
    error_message = "steering_policy must be off, random, dynamic_latency, geo, proximity, least_outstanding_requests or least_connections."
  }
}

variable "pool_weights" {
  description = "Share of each pool under steering_policy random, at creation; afterwards Tandem moves them."
  type        = map(number)
  default     = { aws = 0.5, gcp = 0.5 }

  validation {
    condition     = toset(keys(var.pool_weights)) == toset(["aws", "gcp"]) && alltrue([for weight in values(var.pool_weights) : weight >= 0 && weight <= 1])
    error_message = "pool_weights needs exactly the keys aws and gcp, each with 0 to 1."
  }
}

variable "session_affinity" {
  description = "none, cookie, ip_cookie or header."
  type        = string
  default     = "cookie"

  validation {
    condition     = contains(["none", "cookie", "ip_cookie", "header"], var.session_affinity)
    error_message = "session_affinity must be none, cookie, ip_cookie or header."
  }
}

variable "session_affinity_ttl" {
  description = "Seconds that a user stays with a cloud. A recovered cloud gets its users back only as this runs out."
  type        = number
  default     = 3600

  validation {
    condition     = var.session_affinity_ttl >= 1800 && var.session_affinity_ttl <= 604800
    error_message = "session_affinity_ttl must be 1800 to 604800 seconds."
  }
}

variable "enable_failover" {
  description = "Send what the primary cloud cannot take to the other one; false pins everything to primary_cloud."
  type        = bool
  default     = true
}

variable "failover_across_pools" {
  description = "Repeat a request that failed at one cloud once at the other; with one origin a pool, nothing else hides the time until the probe notices. null follows enable_failover."
  type        = bool
  default     = null
}

variable "primary_cloud" {
  description = "First in line and last resort: aws or gcp."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(["aws", "gcp"], var.primary_cloud)
    error_message = "primary_cloud must be aws or gcp."
  }
}

variable "proxied" {
  description = "Traffic passes through Cloudflare; false only answers DNS."
  type        = bool
  default     = true
}

variable "notification_email" {
  description = "Who hears of a pool's changed health; null tells nobody."
  type        = string
  default     = null

  validation {
    condition     = var.notification_email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.notification_email))
    error_message = "notification_email must be one address such as ops@example.com."
  }
}
