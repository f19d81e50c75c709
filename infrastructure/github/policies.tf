# What the roles may do. Both read what Terraform reads of the system, and its state; the deploy role makes and changes it.
# Neither reads an object of the lake, a message of a queue or a record of a stream.

locals {
  prefix = "calve-${local.name}"
  here   = "${var.region}:${var.account_id}"

  arns = {
    lake          = "arn:${local.partition}:s3:::${local.prefix}-lake-${var.account_id}"
    queues        = "arn:${local.partition}:sqs:${local.here}:${local.prefix}-*"
    functions     = "arn:${local.partition}:lambda:${local.here}:function:${local.prefix}-*"
    mappings      = "arn:${local.partition}:lambda:${local.here}:event-source-mapping:*"
    stream        = "arn:${local.partition}:kinesis:${local.here}:stream/${local.prefix}-events"
    topic         = "arn:${local.partition}:sns:${local.here}:${local.prefix}-alarms"
    alarms        = "arn:${local.partition}:cloudwatch:${local.here}:alarm:${local.prefix}-*"
    dashboard     = "arn:${local.partition}:cloudwatch::${var.account_id}:dashboard/${local.prefix}"
    function_logs = "arn:${local.partition}:logs:${local.here}:log-group:/aws/lambda/${local.prefix}-*"
    other_logs    = "arn:${local.partition}:logs:${local.here}:log-group:/calve/${local.name}/*"
    roles         = "arn:${local.partition}:iam::${var.account_id}:role/${local.prefix}-*"
    url           = "arn:${local.partition}:cloudformation:${local.here}:stack/${local.prefix}-function-url/*"
    catalog       = "arn:${local.partition}:glue:${local.here}:catalog"
    database      = "arn:${local.partition}:glue:${local.here}:database/${local.namespace}"
    table_bucket  = "arn:${local.partition}:s3tables:${local.here}:bucket/${local.prefix}-tables"
    apis          = "arn:${local.partition}:apigateway:${var.region}::/apis*"
  }
  in_region = { StringEquals = { "aws:RequestedRegion" = var.region } }

  policies_of = {
    plan   = ["read", "plan"]
    deploy = ["read", "plan", "state", "data", "functions", "watch", "network"]
  }

  policies = merge(local.deploy_policies, {
    # The state itself is written by who deploys; its lock by both.
    plan = concat([
      { Sid = "FindStates", Effect = "Allow", Action = ["s3:ListBucket", "s3:GetBucketVersioning"], Resource = local.states_arn },
      { Sid = "ReadState", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.states_arn}/stack/${local.name}/*" },
      { Sid = "Lock", Effect = "Allow", Action = ["s3:PutObject", "s3:DeleteObject"], Resource = "${local.states_arn}/stack/${local.name}/*.tflock" },
      ], [
      for arns in [var.secret_arns] :
      { Sid = "ReadCatalogSecret", Effect = "Allow", Action = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], Resource = arns } if length(arns) > 0
    ])

    state = [
      { Sid = "WriteState", Effect = "Allow", Action = "s3:PutObject", Resource = "${local.states_arn}/stack/${local.name}/terraform.tfstate" },
    ]

    read = [
      {
        Sid    = "ReadNamed"
        Effect = "Allow"
        Action = [
          "cloudformation:DescribeStacks", "cloudformation:GetTemplate", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource",
          "glue:GetDatabase", "glue:GetTags",
          "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:ListRoleTags",
          "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:ListTagsForResource", "kinesis:ListTagsForStream",
          "lambda:GetFunction", "lambda:GetFunctionCodeSigningConfig", "lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration",
          "lambda:GetFunctionUrlConfig", "lambda:GetPolicy", "lambda:ListTags", "lambda:ListVersionsByFunction",
          "logs:ListTagsForResource", "logs:ListTagsLogGroup",
          "s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration",
          "s3:ListBucket", "s3:ListBucketVersions",
          "s3tables:GetNamespace", "s3tables:GetTableBucket*", "s3tables:ListNamespaces",
          "sns:GetTopicAttributes", "sns:ListTagsForResource",
          "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags",
        ]
        Resource = [
          local.arns.lake, local.arns.queues, local.arns.functions, local.arns.mappings, local.arns.stream, local.arns.topic, local.arns.alarms,
          local.arns.dashboard, local.arns.function_logs, local.arns.other_logs, local.arns.roles, local.arns.url, local.arns.catalog, local.arns.database,
          local.arns.table_bucket,
        ]
      },
      {
        # Of these AWS lists what there is, or names it by ids that are made with it.
        Sid    = "ReadUnnamed"
        Effect = "Allow"
        Action = [
          "cloudwatch:DescribeAlarms", "ec2:DescribeAvailabilityZones", "ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute", "ec2:DescribeFlowLogs",
          "ec2:DescribeInternetGateways", "ec2:DescribeNatGateways", "ec2:DescribeNetworkAcls", "ec2:DescribeNetworkInterfaces", "ec2:DescribePrefixLists",
          "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeTags",
          "ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcs",
          "lambda:GetEventSourceMapping", "lambda:ListEventSourceMappings", "logs:DescribeLogGroups", "logs:DescribeMetricFilters",
          "sns:GetSubscriptionAttributes",
        ]
        Resource  = "*"
        Condition = local.in_region
      },
      { Sid = "ReadApis", Effect = "Allow", Action = "apigateway:GET", Resource = [local.arns.apis, replace(local.arns.apis, "/apis*", "/tags/*")] },
    ]
  })
}
