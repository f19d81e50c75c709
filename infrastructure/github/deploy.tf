# What the deploy role may make, change and delete, beside reading it.
locals {
  deploy_policies = {
    # What holds data. No object, message or record is among it, and what is protected stays by its own policies.
    data = [
      {
        Sid    = "Lake"
        Effect = "Allow"
        Action = [
          "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy",
          "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
        ]
        Resource = local.arns.lake
      },
      {
        Sid      = "Queues"
        Effect   = "Allow"
        Action   = ["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue"]
        Resource = local.arns.queues
      },
      {
        Sid    = "Stream"
        Effect = "Allow"
        Action = [
          "kinesis:AddTagsToStream", "kinesis:CreateStream", "kinesis:DecreaseStreamRetentionPeriod", "kinesis:DeleteStream",
          "kinesis:IncreaseStreamRetentionPeriod", "kinesis:RemoveTagsFromStream", "kinesis:StartStreamEncryption", "kinesis:StopStreamEncryption",
          "kinesis:TagResource", "kinesis:UntagResource", "kinesis:UpdateShardCount", "kinesis:UpdateStreamMode",
        ]
        Resource = local.arns.stream
      },
      {
        Sid      = "Database"
        Effect   = "Allow"
        Action   = ["glue:CreateDatabase", "glue:DeleteDatabase", "glue:TagResource", "glue:UntagResource", "glue:UpdateDatabase"]
        Resource = [local.arns.catalog, local.arns.database]
      },
      {
        # Glue asks for the tables too, of which a database must have none to be deleted.
        Sid      = "DatabaseWithNoTable"
        Effect   = "Allow"
        Action   = "glue:DeleteDatabase"
        Resource = ["${replace(local.arns.database, ":database/", ":table/")}/*", "${replace(local.arns.database, ":database/", ":userDefinedFunction/")}/*"]
      },
      {
        Sid    = "TableBucket"
        Effect = "Allow"
        Action = [
          "s3tables:CreateNamespace", "s3tables:CreateTableBucket", "s3tables:DeleteNamespace", "s3tables:DeleteTableBucket",
          "s3tables:PutTableBucketEncryption", "s3tables:PutTableBucketMaintenanceConfiguration",
        ]
        Resource = local.arns.table_bucket
      },
    ]

    functions = [
      {
        Sid    = "Functions"
        Effect = "Allow"
        Action = [
          "lambda:AddPermission", "lambda:CreateFunction", "lambda:CreateFunctionUrlConfig", "lambda:DeleteFunction", "lambda:DeleteFunctionConcurrency",
          "lambda:DeleteFunctionUrlConfig", "lambda:PutFunctionConcurrency", "lambda:RemovePermission", "lambda:TagResource", "lambda:UntagResource",
          "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionUrlConfig",
        ]
        Resource = local.arns.functions
      },
      {
        # A mapping is named by an id that is made with it; whose it is, is told by its function.
        Sid       = "Mappings"
        Effect    = "Allow"
        Action    = ["lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping", "lambda:UpdateEventSourceMapping"]
        Resource  = "*"
        Condition = { ArnLike = { "lambda:FunctionArn" = local.arns.functions } }
      },
      { Sid = "TagMappings", Effect = "Allow", Action = ["lambda:TagResource", "lambda:UntagResource"], Resource = local.arns.mappings },
      {
        Sid    = "Roles"
        Effect = "Allow"
        Action = [
          "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole",
          "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription",
        ]
        Resource = local.arns.roles
      },
      {
        Sid       = "HandRolesToServices"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = local.arns.roles
        Condition = { StringEquals = { "iam:PassedToService" = ["apigateway.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com", "vpc-flow-logs.amazonaws.com"] } }
      },
      {
        Sid      = "PermissionsOfUrl"
        Effect   = "Allow"
        Action   = ["cloudformation:CreateStack", "cloudformation:DeleteStack", "cloudformation:TagResource", "cloudformation:UntagResource", "cloudformation:UpdateStack"]
        Resource = local.arns.url
      },
      {
        Sid      = "HttpApi"
        Effect   = "Allow"
        Action   = ["apigateway:DELETE", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT", "apigateway:TagResource", "apigateway:UntagResource"]
        Resource = [local.arns.apis, replace(local.arns.apis, "/apis*", "/tags/*")]
      },
    ]

    watch = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = [
          "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteMetricFilter", "logs:DeleteRetentionPolicy",
          "logs:DisassociateKmsKey", "logs:PutMetricFilter", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
        ]
        # With and without what stands for the streams of a group.
        Resource = flatten([for group in [local.arns.function_logs, local.arns.other_logs] : [group, "${group}:*"]])
      },
      {
        # The log of the HTTP API is a delivery, which has no name.
        Sid    = "LogOfHttpApi"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries",
          "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
        ]
        Resource  = "*"
        Condition = local.in_region
      },
      {
        Sid      = "Alarms"
        Effect   = "Allow"
        Action   = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"]
        Resource = local.arns.alarms
      },
      { Sid = "Dashboard", Effect = "Allow", Action = ["cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard"], Resource = local.arns.dashboard },
      {
        Sid      = "Topic"
        Effect   = "Allow"
        Action   = ["sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe", "sns:UntagResource"]
        Resource = local.arns.topic
      },
    ]

    # Networks are named by ids that are made with them, and half of what is done to them knows no tags.
    network = [
      {
        Sid    = "Network"
        Effect = "Allow"
        Action = [
          "ec2:AllocateAddress", "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress",
          "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateFlowLogs", "ec2:CreateInternetGateway", "ec2:CreateNatGateway", "ec2:CreateRoute",
          "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateTags", "ec2:CreateVpc", "ec2:CreateVpcEndpoint",
          "ec2:DeleteFlowLogs", "ec2:DeleteInternetGateway", "ec2:DeleteNatGateway", "ec2:DeleteNetworkInterface", "ec2:DeleteRoute",
          "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpc", "ec2:DeleteVpcEndpoints",
          "ec2:DetachInternetGateway", "ec2:DetachNetworkInterface", "ec2:DisassociateAddress", "ec2:DisassociateRouteTable",
          "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint", "ec2:ReleaseAddress",
          "ec2:ReplaceRoute", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
        ]
        Resource  = "*"
        Condition = local.in_region
      },
    ]
  }
}
