output "user_data" {
  description = "cloud-init for the machine; JSON is YAML."
  value       = "#cloud-config\n${jsonencode(local.cloud_init)}\n"
}

output "settings" {
  description = "etcd's settings."
  value       = local.settings
}
