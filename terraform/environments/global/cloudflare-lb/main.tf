# The global part: Cloudflare in front of both clouds.
#
# Its state must be reachable with either cloud gone, so it lies in Cloudflare's own R2 (S3-compatible), which this part
# needs anyway; bucket and endpoint come at init: `terraform init -backend-config=r2.tfbackend` (see ../README.md).
# Nothing is read from the other states: the two origins are plain variables.

terraform {
  required_version = ">= 1.5.0"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 4.52"
    }
  }

  backend "s3" {
    key                         = "global/cloudflare-lb/terraform.tfstate"
    region                      = "auto"
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
  }
}

provider "cloudflare" {
  api_token = var.cloudflare_api_token
}

module "cloudflare_lb" {
  source = "../../../modules/cloudflare-lb"

  name_prefix           = var.name_prefix
  cloudflare_account_id = var.cloudflare_account_id
  cloudflare_zone_id    = var.cloudflare_zone_id
  domain_name           = var.domain_name
  dns_record_name       = var.dns_record_name

  health_check_type             = var.health_check_type
  health_check_port             = var.health_check_port
  health_check_path             = var.health_check_path
  health_check_interval         = var.health_check_interval
  health_check_timeout          = var.health_check_timeout
  health_check_retries          = var.health_check_retries
  health_check_expected_codes   = var.health_check_expected_codes
  health_check_consecutive_down = var.health_check_consecutive_down
  health_check_header           = var.health_check_header
  plan_minimum_interval         = var.plan_minimum_interval
  detection_seconds_max         = var.detection_seconds_max
  check_regions                 = var.check_regions

  aws_origins = [{ name = "aws-primary", address = var.aws_alb_dns_name, enabled = true, weight = 1 }]
  gcp_origins = [{ name = "gcp-secondary", address = var.gcp_lb_ip, enabled = true, weight = 1 }]

  steering_policy       = var.steering_policy
  pool_weights          = var.pool_weights
  failover_across_pools = var.failover_across_pools
  enable_failover       = var.enable_failover
  primary_cloud         = var.primary_cloud
  session_affinity      = var.session_affinity
  session_affinity_ttl  = var.session_affinity_ttl
  proxied               = var.proxied
  notification_email    = var.notification_email
}

output "hostname" {
  description = "Name that users type."
  value       = module.cloudflare_lb.hostname
}

output "load_balancer_id" {
  description = "Id of the load balancer; Tandem's edge driver takes it."
  value       = module.cloudflare_lb.load_balancer_id
}

output "monitor_id" {
  description = "Id of the monitor."
  value       = module.cloudflare_lb.monitor_id
}

output "pool_ids" {
  description = "Ids of the pools by cloud; Tandem's edge driver takes them."
  value       = module.cloudflare_lb.pool_ids
}

output "detection_worst_case_seconds" {
  description = "Longest time until a silent cloud is noticed."
  value       = module.cloudflare_lb.detection_worst_case_seconds
}

output "warnings" {
  description = "What is allowed and still not what most people want."
  value       = module.cloudflare_lb.warnings
}
