# rectify: events of the policies' operations to a queue, the function that works on them, its
# roles, logs and alarms. Made by `rectify generate terraform`.

variable "code_file" {
  type        = string
  description = "The function's zip, as `./dev bundle POLICIES` makes it"
}

variable "store" {
  type        = string
  sensitive   = true
  description = "Where state is kept: postgres://..., or with access_point a file in /mnt/rectify"
}

variable "subnets" {
  type        = list(string)
  default     = []
  description = "Private subnets that reach the database or the file system"
}

variable "security_groups" {
  type        = list(string)
  default     = []
  description = "Of the function, where subnets are given"
}

variable "access_point" {
  type        = string
  default     = ""
  description = "ARN of an EFS access point that becomes /mnt/rectify; the function then takes one invocation at a time"
}

variable "members" {
  type        = list(string)
  default     = @members@
  description = "Accounts whose events arrive here and whose roles are assumed: those of rectify.yaml"
}

variable "organization" {
  type        = string
  default     = ""
  description = "Id (o-...) of the organization all of whose accounts are members"
}

variable "alarm_topics" {
  type        = list(string)
  default     = []
  description = "ARNs of SNS topics that alarms go to"
}

@head@
resource "aws_sqs_queue" "dead_letters" {
  name                      = "rectify-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "events" {
  name                       = "rectify-events"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 360
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 5
  })
}

@rules@
resource "aws_cloudwatch_event_permission" "members" {
  for_each     = toset(var.members)
  statement_id = "rectify-${each.value}"
  principal    = each.value
}

resource "aws_cloudwatch_event_permission" "organization" {
  count        = var.organization == "" ? 0 : 1
  statement_id = "rectify-organization"
  principal    = "*"

  condition {
    key   = "aws:PrincipalOrgID"
    type  = "StringEquals"
    value = var.organization
  }
}

resource "aws_cloudwatch_log_group" "rectify" {
  name              = "/aws/lambda/rectify"
  retention_in_days = 90
}

resource "aws_iam_role" "rectify" {
  name = "rectify"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }
    ]
  })
}

resource "aws_iam_role_policy" "rectify" {
  name = "rectify"
  role = aws_iam_role.rectify.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        Resource = aws_sqs_queue.events.arn
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.rectify.arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = [aws_iam_role.act.arn, aws_iam_role.read.arn]
      }
    ]
  })
}

resource "aws_iam_role_policy" "members" {
  count = length(var.members) > 0 ? 1 : 0
  name  = "members"
  role  = aws_iam_role.rectify.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Resource  = ["arn:*:iam::*:role/rectify-act", "arn:*:iam::*:role/rectify-read"]
        Condition = { StringEquals = { "aws:ResourceAccount" = var.members } }
      }
    ]
  })
}

resource "aws_iam_role_policy" "organization" {
  count = var.organization == "" ? 0 : 1
  name  = "organization"
  role  = aws_iam_role.rectify.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Resource  = ["arn:*:iam::*:role/rectify-act", "arn:*:iam::*:role/rectify-read"]
        Condition = { StringEquals = { "aws:ResourceOrgID" = var.organization } }
      }
    ]
  })
}

resource "aws_iam_role_policy" "network" {
  count = length(var.subnets) > 0 ? 1 : 0
  name  = "network"
  role  = aws_iam_role.rectify.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"]
        Resource = "*"
      }
    ]
  })
}

resource "aws_iam_role_policy" "file_system" {
  count = var.access_point == "" ? 0 : 1
  name  = "file-system"
  role  = aws_iam_role.rectify.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = "*"
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = var.access_point } }
      }
    ]
  })
}

resource "aws_iam_role" "read" {
  name = "rectify-read"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { AWS = aws_iam_role.rectify.arn }, Action = "sts:AssumeRole" }
    ]
  })
}

resource "aws_iam_role_policy" "read" {
  name = "read"
  role = aws_iam_role.read.id
  policy = jsonencode(@read@)
}

resource "aws_iam_role" "act" {
  name = "rectify-act"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { AWS = aws_iam_role.rectify.arn }, Action = "sts:AssumeRole" }
    ]
  })
}

resource "aws_iam_role_policy" "act" {
  name = "act"
  role = aws_iam_role.act.id
  policy = jsonencode(@act@)
}

data "aws_cloudwatch_event_bus" "default" {
  name = "default"
}

resource "aws_iam_role" "forward" {
  name        = "rectify-forward"
  description = "Sends the events of this account's other regions to the bus here"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { Service = "events.amazonaws.com" }, Action = "sts:AssumeRole" }
    ]
  })
}

resource "aws_iam_role_policy" "forward" {
  name = "forward"
  role = aws_iam_role.forward.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "events:PutEvents", Resource = data.aws_cloudwatch_event_bus.default.arn }
    ]
  })
}

resource "aws_lambda_function" "rectify" {
  function_name                  = "rectify"
  description                    = "Works on the events of the queue"
  runtime                        = "provided.al2023"
  architectures                  = ["x86_64"]
  handler                        = "bootstrap"
  filename                       = var.code_file
  source_code_hash               = filebase64sha256(var.code_file)
  role                           = aws_iam_role.rectify.arn
  memory_size                    = 256
  timeout                        = 60
  reserved_concurrent_executions = var.access_point == "" ? -1 : 1

  dynamic "vpc_config" {
    for_each = length(var.subnets) > 0 ? [1] : []
    content {
      subnet_ids         = var.subnets
      security_group_ids = var.security_groups
    }
  }

  dynamic "file_system_config" {
    for_each = var.access_point == "" ? [] : [var.access_point]
    content {
      arn              = file_system_config.value
      local_mount_path = "/mnt/rectify"
    }
  }

  environment {
    variables = {
      RECTIFY_POLICIES = "/var/task/policies"
      RECTIFY_STATE    = "/tmp/rectify"
      RECTIFY_STORE    = var.store
    }
  }

  depends_on = [aws_cloudwatch_log_group.rectify, aws_iam_role_policy.file_system, aws_iam_role_policy.network]
}

resource "aws_lambda_event_source_mapping" "events" {
  function_name           = aws_lambda_function.rectify.arn
  event_source_arn        = aws_sqs_queue.events.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 10
  }
}

resource "aws_lambda_function_event_invoke_config" "ticks" {
  function_name                = aws_lambda_function.rectify.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_cloudwatch_event_rule" "schedule" {
  name                = "rectify-schedule"
  description         = "Wakes what is due: settling, retries, approvals, scans"
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "schedule" {
  rule = aws_cloudwatch_event_rule.schedule.name
  arn  = aws_lambda_function.rectify.arn
}

resource "aws_lambda_permission" "schedule" {
  function_name = aws_lambda_function.rectify.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.schedule.arn
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "rectify-dead-letters"
  alarm_description   = "An event could not be worked on five times, or not be delivered"
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

resource "aws_cloudwatch_metric_alarm" "oldest_event" {
  alarm_name          = "rectify-oldest-event"
  alarm_description   = "The oldest event has waited for fifteen minutes"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.events.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 900
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "rectify-errors"
  alarm_description   = "The function ended with an error"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.rectify.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
}
