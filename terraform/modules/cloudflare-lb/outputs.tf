output "load_balancer_id" {
  description = "Id of the load balancer."
  value       = cloudflare_load_balancer.this.id
}

output "hostname" {
  description = "Name that users type."
  value       = cloudflare_load_balancer.this.name
}

output "monitor_id" {
  description = "Id of the monitor."
  value       = cloudflare_load_balancer_monitor.this.id
}

output "pool_ids" {
  description = "Ids of the pools by cloud; Tandem's edge driver takes them."
  value       = { for cloud, pool in cloudflare_load_balancer_pool.this : cloud => pool.id }
}

output "detection_worst_case_seconds" {
  description = "Longest time until the monitor notices a silent cloud: consecutive_down x interval + (retries + 1) x timeout."
  value       = local.detection_worst
}

output "warnings" {
  description = "What is allowed and still not what most people want."
  value = compact([
    var.steering_policy == "dynamic_latency" ? "steering_policy = dynamic_latency sends a region to the faster pool: with two pools in one city that is all or nothing, not 50:50. Use random." : "",
    var.steering_policy != "random" && var.steering_policy != "off" ? "steering_policy = ${var.steering_policy} needs the traffic steering add-on below Enterprise." : "",
    !local.across_pools ? "failover_across_pools is off: requests to a lost cloud fail for up to ${local.detection_worst} s." : "",
    var.notification_email == null ? "nobody hears of a changed health: set notification_email." : "",
  ])
}
