# Cloudflare

variable "cloudflare_api_token" {
  description = "API token, from TF_VAR_cloudflare_api_token or CLOUDFLARE_API_TOKEN. Rights: Zone.DNS, Zone.Load Balancers, Account.Load Balancing: Monitors and Pools, Account.Notifications (all Edit)."
  type        = string
  default     = null
  sensitive   = true
}

variable "cloudflare_account_id" {
  description = "Account."
  type        = string
}

variable "cloudflare_zone_id" {
  description = "Zone of the service's name."
  type        = string
}

variable "name_prefix" {
  description = "Prefix of the names."
  type        = string
  default     = "crm-dr"
}

variable "domain_name" {
  description = "Name of the service (with dns_record_name \"@\"), or the zone that dns_record_name is in."
  type        = string
}

variable "dns_record_name" {
  description = "\"@\" for domain_name itself, else the host before it."
  type        = string
  default     = "@"
}

# Origins

variable "aws_alb_dns_name" {
  description = "Output alb_dns_name of aws/dr."
  type        = string

  validation {
    condition     = !startswith(var.aws_alb_dns_name, "http")
    error_message = "aws_alb_dns_name is a name without https://."
  }
}

variable "gcp_lb_ip" {
  description = "Output lb_ip of gcp/dr."
  type        = string

  validation {
    condition     = can(cidrhost("${var.gcp_lb_ip}/32", 0))
    error_message = "gcp_lb_ip must be the IPv4 address that gcp/dr gives as lb_ip."
  }
}

# Health check

variable "health_check_type" {
  description = "http, https or tcp."
  type        = string
  default     = "https"
}

variable "health_check_port" {
  description = "Port of the probe."
  type        = number
  default     = 443
}

variable "health_check_path" {
  description = "Path of the probe."
  type        = string
  default     = "/health"
}

variable "health_check_interval" {
  description = "Seconds between probes (Business; Pro needs 60 and plan_minimum_interval = 60)."
  type        = number
  default     = 15
}

variable "health_check_timeout" {
  description = "Seconds until a probe counts as lost."
  type        = number
  default     = 2
}

variable "health_check_retries" {
  description = "Immediate retries after a lost probe."
  type        = number
  default     = 1
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

variable "health_check_header" {
  description = "Headers of the probe; null sends the service's name as Host."
  type        = map(list(string))
  default     = null
}

variable "plan_minimum_interval" {
  description = "Least interval of the zone's plan: 60 (Pro), 15 (Business), 10 (Enterprise)."
  type        = number
  default     = 15
}

variable "detection_seconds_max" {
  description = "Longest time that a silent cloud may go unnoticed; null promises nothing."
  type        = number
  default     = 30
}

variable "check_regions" {
  description = "Regions that probe."
  type        = list(string)
  default     = ["NEAS"]
}

# Traffic

variable "steering_policy" {
  description = "random is 50:50 by pool_weights; the guide's dynamic_latency is allowed with a warning."
  type        = string
  default     = "random"
}

variable "pool_weights" {
  description = "Share of each cloud at creation; afterwards Tandem moves them."
  type        = map(number)
  default     = { aws = 0.5, gcp = 0.5 }
}

variable "failover_across_pools" {
  description = "Repeat a failed request in the other cloud; null follows enable_failover."
  type        = bool
  default     = null
}

variable "enable_failover" {
  description = "Send what the primary cloud cannot take to the other one."
  type        = bool
  default     = true
}

variable "primary_cloud" {
  description = "First in line and last resort."
  type        = string
  default     = "aws"
}

variable "session_affinity" {
  description = "none, cookie, ip_cookie or header."
  type        = string
  default     = "cookie"
}

variable "session_affinity_ttl" {
  description = "Seconds that a user stays with a cloud."
  type        = number
  default     = 3600
}

variable "proxied" {
  description = "Traffic passes through Cloudflare."
  type        = bool
  default     = true
}

variable "notification_email" {
  description = "Who hears of a pool's changed health."
  type        = string
  default     = null
}
