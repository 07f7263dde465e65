output "tags" {
  description = "Network tags by place: application, tandem, etcd."
  value       = { for place in local.tagged : trimprefix(place, "gcp-") => "${var.network_name}-${trimprefix(place, "gcp-")}" }
}
