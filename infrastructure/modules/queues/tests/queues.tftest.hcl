mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/calve/dev-alice/http-api" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/calve-dev-alice-http-api" }
  }

  mock_resource "aws_apigatewayv2_stage" {
    defaults = { invoke_url = "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/" }
  }
}

variables {
  name       = "dev-alice"
  account_id = "123456789012"
}

run "two_queues_with_dead_letters" {
  assert {
    condition = [output.events_queue.name, output.receipts_queue.name, output.events_dead_letters.name, output.receipts_dead_letters.name] == [
      "calve-dev-alice-events", "calve-dev-alice-receipts", "calve-dev-alice-events-dead-letters", "calve-dev-alice-receipts-dead-letters",
    ]
    error_message = "the names that the other modules know"
  }

  assert {
    condition     = { for name, queue in aws_sqs_queue.this : name => queue.visibility_timeout_seconds } == { events = 361, receipts = 362 }
    error_message = "messages are hidden for 6 times the time-out and the window"
  }

  assert {
    condition = alltrue([
      for name, queue in aws_sqs_queue.this : jsondecode(queue.redrive_policy) == {
        deadLetterTargetArn = aws_sqs_queue.dead_letters[name].arn
        maxReceiveCount     = 5
      }
    ])
    error_message = "each queue has its own dead letters, after 5 receives"
  }

  assert {
    condition = alltrue([
      for name, rule in aws_sqs_queue_redrive_allow_policy.dead_letters : jsondecode(rule.redrive_allow_policy) == {
        redrivePermission = "byQueue"
        sourceQueueArns   = [aws_sqs_queue.this[name].arn]
      }
    ]) && length(aws_sqs_queue_redrive_allow_policy.dead_letters) == 2
    error_message = "dead letters come from their own queue alone"
  }

  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead_letters)) : queue.sqs_managed_sse_enabled && queue.max_message_size == 262144])
    error_message = "all queues are encrypted and take messages of 256 KiB"
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.this : queue.message_retention_seconds == 345600]) && alltrue([for queue in aws_sqs_queue.dead_letters : queue.message_retention_seconds == 1209600])
    error_message = "messages wait for 4 days, dead letters for 14"
  }

  assert {
    condition = { for queue, policy in aws_sqs_queue_policy.this : queue => [for statement in jsondecode(policy.policy).Statement : [statement.Effect, statement.Resource]] } == {
      events                = [["Deny", "arn:aws:sqs:eu-west-1:123456789012:calve-dev-alice-events"]]
      events-dead-letters   = [["Deny", "arn:aws:sqs:eu-west-1:123456789012:calve-dev-alice-events-dead-letters"]]
      receipts              = [["Deny", "arn:aws:sqs:eu-west-1:123456789012:calve-dev-alice-receipts"]]
      receipts-dead-letters = [["Deny", "arn:aws:sqs:eu-west-1:123456789012:calve-dev-alice-receipts-dead-letters"]]
    }
    error_message = "all queues refuse requests without TLS, and nobody else is let in"
  }

  assert {
    condition     = output.stream == null && output.http_api_url == null && length(terraform_data.protected) == 0
    error_message = "no stream, no HTTP API and no protection that was not asked for"
  }
}

run "time_outs_follow_the_functions" {
  variables {
    ingest       = { timeout_seconds = 900, window_seconds = 300 }
    commit       = { timeout_seconds = 30 }
    max_receives = 10
  }

  assert {
    condition     = { for name, queue in aws_sqs_queue.this : name => queue.visibility_timeout_seconds } == { events = 5700, receipts = 182 }
    error_message = "6 times the time-out and the window"
  }
}

run "time_outs_of_ones_own" {
  variables {
    visibility_timeout_seconds         = 361
    receipt_visibility_timeout_seconds = 43200
    retention_seconds                  = 3600
    dead_letter_retention_seconds      = 7200
  }

  assert {
    condition     = { for name, queue in aws_sqs_queue.this : name => queue.visibility_timeout_seconds } == { events = 361, receipts = 43200 }
    error_message = "what was asked for"
  }
}

run "source_buckets_may_notify" {
  variables {
    source_bucket_arns = ["arn:aws:s3:::clicks", "arn:aws:s3:::orders"]
    tls_only           = false
  }

  assert {
    condition = jsondecode(aws_sqs_queue_policy.this["events"].policy).Statement == [{
      Sid       = "NotificationsOfSourceBuckets"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-west-1:123456789012:calve-dev-alice-events"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = ["arn:aws:s3:::clicks", "arn:aws:s3:::orders"] }
        StringEquals = { "aws:SourceAccount" = "123456789012" }
      }
    }]
    error_message = "S3 may send, for these buckets of this account"
  }

  assert {
    condition     = keys(aws_sqs_queue_policy.this) == ["events"]
    error_message = "no other queue has anything to allow or refuse"
  }
}

run "for_an_emulator" {
  variables {
    tls_only      = false
    redrive_allow = false
  }

  assert {
    condition     = length(aws_sqs_queue_policy.this) + length(aws_sqs_queue_redrive_allow_policy.dead_letters) == 0
    error_message = "queues without rules"
  }
}

run "a_stream_on_demand" {
  variables {
    kinesis = {}
  }

  assert {
    condition     = output.stream.name == "calve-dev-alice-events" && aws_kinesis_stream.events[0].stream_mode_details[0].stream_mode == "ON_DEMAND" && aws_kinesis_stream.events[0].retention_period == 24
    error_message = "a stream that grows by itself and keeps a day"
  }

  assert {
    condition     = aws_kinesis_stream.events[0].encryption_type == "KMS"
    error_message = "encrypted"
  }
}

run "a_stream_of_shards" {
  variables {
    kinesis = { shards = 4, retention_hours = 168 }
  }

  assert {
    condition     = aws_kinesis_stream.events[0].stream_mode_details[0].stream_mode == "PROVISIONED" && aws_kinesis_stream.events[0].shard_count == 4 && aws_kinesis_stream.events[0].retention_period == 168
    error_message = "four shards that keep a week"
  }
}

run "a_stream_is_kept_as_long_as_its_records_are_known" {
  variables {
    kinesis              = { retention_hours = 720 }
    receipt_horizon_days = 30
  }

  assert {
    condition     = aws_kinesis_stream.events[0].retention_period == 720
    error_message = "with a longer horizon a stream may keep its records longer"
  }
}

run "an_http_api_for_those_who_sign" {
  variables {
    http_api = true
  }

  assert {
    condition     = aws_apigatewayv2_route.events[0].route_key == "POST /events" && aws_apigatewayv2_route.events[0].authorization_type == "AWS_IAM"
    error_message = "one route, for those who sign"
  }

  assert {
    condition     = aws_apigatewayv2_integration.queue[0].integration_subtype == "SQS-SendMessage" && aws_apigatewayv2_integration.queue[0].request_parameters == tomap({ QueueUrl = aws_sqs_queue.this["events"].id, MessageBody = "$request.body" })
    error_message = "the body becomes a message of the events queue"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.http_api[0].policy).Statement : [statement.Action, statement.Resource]] == [["sqs:SendMessage", "arn:aws:sqs:eu-west-1:123456789012:calve-dev-alice-events"]]
    error_message = "it may send to the events queue, and nothing else"
  }

  assert {
    condition     = output.http_api_url == "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/events"
    error_message = "the URL that senders post to"
  }

  assert {
    condition     = aws_apigatewayv2_stage.default[0].default_route_settings[0].throttling_rate_limit == 1000 && aws_cloudwatch_log_group.http_api[0].retention_in_days == 30
    error_message = "bounded and logged"
  }
}

run "an_http_api_for_everybody" {
  variables {
    http_api                     = true
    http_api_auth                = "public"
    http_api_requests_per_second = 50
    http_api_log_retention_days  = 7
  }

  assert {
    condition     = aws_apigatewayv2_route.events[0].authorization_type == "NONE" && aws_apigatewayv2_stage.default[0].default_route_settings[0].throttling_burst_limit == 100
    error_message = "open, within bounds"
  }
}

run "nulls_mean_the_defaults" {
  variables {
    ingest                             = null
    commit                             = null
    visibility_timeout_seconds         = null
    receipt_visibility_timeout_seconds = null
    max_receives                       = null
    retention_seconds                  = null
    dead_letter_retention_seconds      = null
    kinesis                            = null
    http_api                           = null
    http_api_auth                      = null
    http_api_requests_per_second       = null
    http_api_log_retention_days        = null
    source_bucket_arns                 = null
    redrive_allow                      = null
    tls_only                           = null
    protected                          = null
  }

  assert {
    condition     = { for name, queue in aws_sqs_queue.this : name => queue.visibility_timeout_seconds } == { events = 361, receipts = 362 }
    error_message = "null must mean the default"
  }
}

# What is protected can only be planned here: a test could not take it away again.
run "protection_watches_queues_and_stream" {
  command = plan

  variables {
    protected = true
    kinesis   = {}
  }

  assert {
    condition     = keys(terraform_data.protected) == ["events", "events-dead-letters", "receipts", "receipts-dead-letters", "stream"]
    error_message = "each queue and the stream are watched"
  }
}
