mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/stand-in" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:stand-in" }
  }
}

variables {
  name            = "calve-prod-ingest"
  description     = "Under test."
  account_id      = "123456789012"
  zip             = "../tests/zips/ingest.zip"
  memory_mb       = 1769
  timeout_seconds = 60
  log_group_name  = "/aws/lambda/calve-prod-ingest"
  log_group_arn   = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/calve-prod-ingest"
}

run "a_function_writes_its_own_log_and_traces_and_no_more" {
  assert {
    condition = jsondecode(aws_iam_role_policy.platform.policy).Statement == [
      { Sid = "WriteLog", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/calve-prod-ingest:*" },
      { Sid = "Trace", Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = "*" },
    ]
    error_message = "The role must allow the function's own log and traces, and nothing else."
  }
  assert {
    condition     = length(aws_iam_role_policy.own) == 0 && length(aws_scheduler_schedule.this) == 0 && length(aws_lambda_function.this.vpc_config) == 0
    error_message = "There must be no further policy, no schedule and no VPC unless asked for."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { Service = "lambda.amazonaws.com" }
    error_message = "Only Lambda may take the role."
  }
}

run "it_is_deployed_as_it_was_built" {
  assert {
    condition     = aws_lambda_function.this.architectures == tolist(["arm64"]) && aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.source_code_hash == filebase64sha256("../tests/zips/ingest.zip")
    error_message = "The zip must be deployed for the processor that it was built for."
  }
  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_group == var.log_group_name && aws_lambda_function.this.logging_config[0].log_format == "Text" && aws_lambda_function.this.tracing_config[0].mode == "Active"
    error_message = "The function must write its lines as they are to its log group, and be traced."
  }
}

run "untraced_it_may_not_trace" {
  variables {
    tracing = false
  }
  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "PassThrough" && [for statement in jsondecode(aws_iam_role_policy.platform.policy).Statement : statement.Sid] == ["WriteLog"]
    error_message = "Without tracing the role must not allow it."
  }
}

run "in_a_vpc_lambda_may_attach_it_and_its_code_may_not" {
  variables {
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = ["sg-1"]
  }
  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-1", "subnet-2"])
    error_message = "The function must run in the subnets."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.platform.policy).Statement : "${statement.Effect} ${statement.Sid}"] == ["Allow WriteLog", "Allow Trace", "Allow AttachToNetwork", "Deny LeaveNetworkAlone"]
    error_message = "Lambda must be allowed to attach the function, and its code denied the same."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.platform.policy).Statement[3].Condition.ArnEquals["lambda:SourceFunctionArn"] == "arn:aws:lambda:eu-west-1:123456789012:function:calve-prod-ingest"
    error_message = "What is denied must be denied to this function's code."
  }
}

run "policies_are_the_role_s" {
  variables {
    policies = { lake = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
  assert {
    condition     = aws_iam_role_policy.own["lake"].policy == var.policies.lake && aws_iam_role_policy.own["lake"].role == "calve-prod-ingest"
    error_message = "Each policy must be attached to the function's role."
  }
}

run "a_schedule_may_invoke_this_function_alone" {
  variables {
    schedule = { expression = "rate(1 hour)", input = "{\"task\":\"compact\"}" }
  }
  assert {
    condition     = aws_scheduler_schedule.this[0].schedule_expression == "rate(1 hour)" && aws_scheduler_schedule.this[0].target[0].input == "{\"task\":\"compact\"}" && aws_scheduler_schedule.this[0].schedule_expression_timezone == "UTC"
    error_message = "The schedule must be as it was given."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule[0].policy).Statement[0].Resource == output.arn && jsondecode(aws_iam_role.schedule[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "The schedule's role must invoke this function, for this account."
  }
}

run "a_zip_for_the_other_processor_goes_with_it" {
  variables {
    zip          = "../tests/zips/x86_64.zip"
    architecture = "x86_64"
  }
  assert {
    condition     = aws_lambda_function.this.architectures == tolist(["x86_64"])
    error_message = "x86-64 must be a choice."
  }
}

run "a_zip_for_another_processor_is_refused" {
  command = plan
  variables {
    zip = "../tests/zips/x86_64.zip"
  }
  expect_failures = [aws_lambda_function.this]
}

run "a_zip_that_is_not_built_is_refused" {
  command = plan
  variables {
    zip = "../tests/zips/nothing.zip"
  }
  expect_failures = [aws_lambda_function.this]
}

run "a_zip_without_a_manifest_is_refused" {
  command = plan
  variables {
    zip = "../tests/zips/bare.zip"
  }
  expect_failures = [aws_lambda_function.this]
}

run "a_zip_that_its_manifest_does_not_tell_of_is_refused" {
  command = plan
  variables {
    zip = "../tests/zips/stale.zip"
  }
  expect_failures = [aws_lambda_function.this]
}
