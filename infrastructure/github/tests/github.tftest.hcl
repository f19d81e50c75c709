mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::333333333333:policy/stand-in" }
  }
}

variables {
  repository  = "example/calve"
  environment = "prod"
  account_id  = "333333333333"
  region      = "eu-central-1"
}

run "prod_is_planned_by_main_and_deployed_by_its_environment" {
  assert {
    condition = output.subjects == {
      plan   = "repo:example/calve:ref:refs/heads/main"
      deploy = "repo:example/calve:environment:prod"
    }
    error_message = "each role must be for runs of one kind"
  }

  assert {
    condition = alltrue([
      for key, role in aws_iam_role.this : jsondecode(role.assume_role_policy).Statement == [{
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = "arn:aws:iam::333333333333:oidc-provider/token.actions.githubusercontent.com" }
        Condition = {
          StringEquals = {
            "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
            "token.actions.githubusercontent.com:sub" = output.subjects[key]
          }
        }
      }]
    ])
    error_message = "a role must be had by GitHub's word alone, for AWS, and with a subject that is equal and not alike"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "GitHub must be known to the account"
  }
}

run "dev_is_planned_by_pull_requests" {
  variables {
    environment = "dev"
    developer   = "main"
    plan_for    = "pull_request"
  }

  assert {
    condition = output.subjects == {
      plan   = "repo:example/calve:pull_request"
      deploy = "repo:example/calve:environment:dev"
    }
    error_message = "a pull request must be able to plan dev, and not to deploy it"
  }

  assert {
    condition     = local.arns.lake == "arn:aws:s3:::calve-dev-main-lake-333333333333" && endswith(local.arns.database, ":database/dev_main")
    error_message = "the roles must be for the system of one developer"
  }
}

run "who_plans_changes_nothing" {
  assert {
    condition = alltrue(flatten([
      for policy in local.policies_of.plan : [
        for statement in jsondecode(aws_iam_policy.this[policy].policy).Statement : [
          for action in flatten([statement.Action]) : can(regex("^[a-z0-9]+:(Get|List|Describe|GET$)", action)) || statement.Sid == "Lock"
        ]
      ]
    ]))
    error_message = "the plan role must read, and lock the state, and no more"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_policy.this["plan"].policy).Statement : statement.Resource if statement.Sid == "Lock"] == [
      "arn:aws:s3:::calve-tfstate-333333333333-eu-central-1/stack/prod/*.tflock"
    ]
    error_message = "the plan role must write locks of this system alone"
  }

  assert {
    condition     = sort([for key, attached in aws_iam_role_policy_attachment.this : key if attached.role == "calve-github-prod-plan"]) == tolist(["plan-plan", "plan-read"])
    error_message = "the plan role must have no policy of the deploy role's"
  }
}

run "nobody_reads_events" {
  assert {
    condition = length(setintersection(flatten([for statements in local.policies : [for statement in statements : statement.Action]]), [
      "sqs:ReceiveMessage", "kinesis:GetRecords", "glue:GetTable", "s3tables:GetTableData", "logs:GetLogEvents", "logs:FilterLogEvents",
      "lambda:InvokeFunction",
    ])) == 0
    error_message = "no role of GitHub may read messages, records or logs, or invoke a function"
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.this : [
        for statement in jsondecode(policy.policy).Statement : [
          for arn in flatten([statement.Resource]) : startswith(arn, "arn:aws:s3:::calve-tfstate-")
        ] if contains(flatten([statement.Action]), "s3:GetObject")
      ]
    ]))
    error_message = "no role of GitHub may read objects but states"
  }
}

run "what_changes_is_named_but_for_what_has_no_name" {
  assert {
    condition = sort(flatten([
      for policy in aws_iam_policy.this : [
        for statement in jsondecode(policy.policy).Statement : statement.Sid if contains(flatten([statement.Resource]), "*")
      ]
    ])) == tolist(["LogOfHttpApi", "Mappings", "Network", "ReadUnnamed"])
    error_message = "only mappings, networks and log deliveries may be all that there are"
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.this : [
        for statement in jsondecode(policy.policy).Statement : can(statement.Condition) || !contains(flatten([statement.Resource]), "*")
      ]
    ]))
    error_message = "and those with a condition"
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_policy.this : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) : !endswith(action, ":*") && action != "*"
        ]
      ]
    ]))
    error_message = "no policy may allow all of a service"
  }
}

run "the_deploy_role_cannot_change_itself" {
  assert {
    condition     = alltrue([for role in aws_iam_role.this : !startswith(role.name, "calve-prod-") && startswith(role.name, "calve-github-prod-")])
    error_message = "the names of GitHub's roles must not be among those that a deployment makes"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.this["functions"].policy).Statement : statement.Resource == "arn:aws:iam::333333333333:role/calve-prod-*"
      if anytrue([for action in flatten([statement.Action]) : startswith(action, "iam:")])
    ])
    error_message = "a deployment must make and hand on roles of its own name alone"
  }
}

run "policies_are_as_short_as_aws_wants_them" {
  variables {
    environment = "dev"
    developer   = "abcdefghijklmnopqrst"
    region      = "ap-southeast-2"
    secret_arns = ["arn:aws:secretsmanager:ap-southeast-2:333333333333:secret:catalog-a1b2c3"]
  }

  assert {
    condition     = alltrue([for policy in aws_iam_policy.this : length(policy.policy) <= 6144])
    error_message = "AWS takes 6,144 characters of a policy"
  }

  assert {
    condition     = tolist(flatten([for statement in jsondecode(aws_iam_policy.this["plan"].policy).Statement : statement.Resource if statement.Sid == "ReadCatalogSecret"])) == var.secret_arns
    error_message = "a plan must be able to read the catalog's secret"
  }
}

run "an_account_knows_github_once" {
  variables {
    make_provider = false
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(aws_iam_role.this) == 2
    error_message = "where GitHub is known only roles must be made"
  }
}
