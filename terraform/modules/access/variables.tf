variable "ports" {
  description = "Ports of every part; those of tandem.toml must say the same."
  type = object({
    postgres      = optional(number, 5432)
    aws_redis     = optional(number, 6379)
    gcp_redis     = optional(number, 6378)
    gate_rw       = optional(number, 6432)
    gate_ro       = optional(number, 6433)
    gate_peer     = optional(number, 6434)
    gate_admin    = optional(number, 6435)
    cache_gateway = optional(number, 6380)
    cache_sync    = optional(number, 6381)
    agent         = optional(number, 8400)
    relay         = optional(number, 8401)
    etcd_client   = optional(number, 2379)
    etcd_peer     = optional(number, 2380)
    application   = optional(number, 8080)
  })
  default = {}

  validation {
    condition     = alltrue([for port in values(var.ports) : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "Every port must be a whole number from 1 to 65535."
  }
  validation {
    condition     = length(distinct([var.ports.gate_rw, var.ports.gate_ro, var.ports.gate_peer, var.ports.gate_admin, var.ports.cache_gateway, var.ports.cache_sync, var.ports.agent, var.ports.relay])) == 8
    error_message = "The ports of gate, cache gateway and agent must differ: they may share a machine."
  }
}

variable "application_direct_access" {
  description = "Let the application reach PostgreSQL and Redis past gates and cache gateways. True until it is adopted; automatic failover is refused while it is."
  type        = bool
  default     = true
}

variable "direct_replication" {
  description = "Let the databases reach each other without the agents' relay. True until the subscription goes through the relay, which a promotion can cut."
  type        = bool
  default     = true
}
