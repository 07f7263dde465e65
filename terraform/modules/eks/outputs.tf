output "cluster_name" {
  description = "Name of the cluster; for aws eks update-kubeconfig."
  value       = aws_eks_cluster.this.name
}

output "cluster_endpoint" {
  description = "Address of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "cluster_security_group_id" {
  description = "Security group that EKS made for control plane and nodes."
  value       = local.cluster_security_group_id
}

output "pod_role_names" {
  description = "Roles of the pods by part: application (namespace and service account crm), tandem (tandem)."
  value       = { for part, role in aws_iam_role.pods : part => role.name }
}
