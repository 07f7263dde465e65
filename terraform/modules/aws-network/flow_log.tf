# Flow logs answer "who tried to reach the database?" after an incident.

locals {
  flow_log = var.flow_log_retention_days > 0 ? { this = true } : {}
}

resource "aws_cloudwatch_log_group" "flow" {
  for_each = local.flow_log

  name              = "/vpc/${var.name}/flow"
  retention_in_days = var.flow_log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "flow" {
  for_each = local.flow_log

  name = "${var.name}-vpc-flow-log"
  tags = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  for_each = local.flow_log

  name = "write-flow-log"
  role = aws_iam_role.flow[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = "${aws_cloudwatch_log_group.flow[each.key].arn}:*"
    }]
  })
}

resource "aws_flow_log" "this" {
  for_each = local.flow_log

  vpc_id          = aws_vpc.this.id
  traffic_type    = "ALL"
  log_destination = aws_cloudwatch_log_group.flow[each.key].arn
  iam_role_arn    = aws_iam_role.flow[each.key].arn
  tags            = merge(var.tags, { Name = var.name })
}
