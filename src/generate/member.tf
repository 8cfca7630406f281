# rectify in a member account: events of the policies' operations to the hub's bus, and the roles
# that the hub assumes. For each region. Made by `rectify generate terraform --member-of`.

variable "hub" {
  type        = string
  default     = @hub@
  description = "The account that rectify runs in; its stack comes first"
}

variable "hub_region" {
  type        = string
  default     = @region@
  description = "Where its stack stands"
}

variable "external_id" {
  type        = string
  default     = ""
  description = "That the hub has to say (external_id of rectify.yaml)"
}

variable "roles" {
  type        = bool
  default     = true
  description = "Whether the account's roles are made here: in one region of it, and not in the hub"
}

variable "alarm_topics" {
  type        = list(string)
  default     = []
  description = "ARNs of SNS topics that the alarm goes to"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  hub_bus      = "arn:${data.aws_partition.current.partition}:events:${var.hub_region}:${var.hub}:event-bus/default"
  forward_role = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/rectify-forward"
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "rectify-undelivered"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

@rules@
resource "aws_iam_role" "forward" {
  count       = var.roles ? 1 : 0
  name        = "rectify-forward"
  description = "Sends events to the hub's bus"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { Service = "events.amazonaws.com" }, Action = "sts:AssumeRole" }
    ]
  })
}

resource "aws_iam_role_policy" "forward" {
  count = var.roles ? 1 : 0
  name  = "forward"
  role  = aws_iam_role.forward[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "events:PutEvents", Resource = local.hub_bus }
    ]
  })
}

resource "aws_iam_role" "read" {
  count = var.roles ? 1 : 0
  name  = "rectify-read"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${var.hub}:role/rectify" }
        Action    = "sts:AssumeRole"
        Condition = var.external_id == "" ? {} : { StringEquals = { "sts:ExternalId" = var.external_id } }
      }
    ]
  })
}

resource "aws_iam_role_policy" "read" {
  count = var.roles ? 1 : 0
  name  = "read"
  role  = aws_iam_role.read[0].id
  policy = jsonencode(@read@)
}

resource "aws_iam_role" "act" {
  count = var.roles ? 1 : 0
  name  = "rectify-act"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${var.hub}:role/rectify" }
        Action    = "sts:AssumeRole"
        Condition = var.external_id == "" ? {} : { StringEquals = { "sts:ExternalId" = var.external_id } }
      }
    ]
  })
}

resource "aws_iam_role_policy" "act" {
  count = var.roles ? 1 : 0
  name  = "act"
  role  = aws_iam_role.act[0].id
  policy = jsonencode(@act@)
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "rectify-undelivered"
  alarm_description   = "An event could not be delivered to the hub's bus"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
}
