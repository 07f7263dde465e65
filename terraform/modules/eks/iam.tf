# Roles: the control plane's, the nodes' (pull images, join), and two that pods take by pod identity: the application's
# and Tandem's. Those two start without any right; module aws-secrets attaches what reads their secrets.

resource "aws_iam_role" "cluster" {
  name = "${var.cluster_name}-eks"
  tags = var.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "eks.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role" "node" {
  name = "${var.cluster_name}-node"
  tags = var.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

resource "aws_iam_role" "pods" {
  for_each = toset(["application", "tandem"])

  name = "${var.cluster_name}-${each.key}"
  tags = var.tags
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["sts:AssumeRole", "sts:TagSession"], Principal = { Service = "pods.eks.amazonaws.com" } }]
  })
}

resource "aws_eks_pod_identity_association" "pods" {
  for_each = { application = "crm", tandem = "tandem" }

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value
  service_account = each.value
  role_arn        = aws_iam_role.pods[each.key].arn
  tags            = var.tags
}
