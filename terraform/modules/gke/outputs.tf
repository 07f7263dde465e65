output "cluster_name" {
  description = "Name of the cluster; for gcloud container clusters get-credentials."
  value       = google_container_cluster.this.name
}

output "cluster_endpoint" {
  description = "Address of the Kubernetes API."
  value       = google_container_cluster.this.endpoint
}

output "pod_service_accounts" {
  description = "E-mail addresses of the pods' service accounts by part: application (namespace and account crm), tandem (tandem)."
  value       = { for part, account in google_service_account.pods : part => account.email }
}

output "node_counts" {
  description = "Nodes over all zones as Google will count them: at the start and at most, by pool."
  value       = { for name, pool in local.pools : name => { at_start = ceil(pool.initial / local.zones) * local.zones, at_most = pool.max } }
}
