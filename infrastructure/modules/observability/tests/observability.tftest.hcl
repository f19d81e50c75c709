mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:calve-dev-alice-alarms" }
  }
}

variables {
  name = "dev-alice"
}

run "names_come_from_the_name_alone" {
  assert {
    condition     = output.log_group_names == { ingest = "/aws/lambda/calve-dev-alice-ingest", commit = "/aws/lambda/calve-dev-alice-commit" }
    error_message = "The log groups must bear the names of the functions."
  }
  assert {
    condition     = output.dashboard_name == "calve-dev-alice" && aws_sns_topic.alarms[0].name == "calve-dev-alice-alarms"
    error_message = "Dashboard and topic must bear the name of the deployment."
  }
  assert {
    condition = output.alarm_names == tolist([
      "calve-dev-alice-commit-errors", "calve-dev-alice-commit-throttles", "calve-dev-alice-commits-failed",
      "calve-dev-alice-events-age", "calve-dev-alice-events-dead-letters", "calve-dev-alice-events-quarantined", "calve-dev-alice-freshness",
      "calve-dev-alice-ingest-errors", "calve-dev-alice-ingest-throttles", "calve-dev-alice-payloads-not-landed",
      "calve-dev-alice-receipts-age", "calve-dev-alice-receipts-dead-letters", "calve-dev-alice-receipts-quarantined",
    ])
    error_message = "There must be an alarm for each thing that goes wrong."
  }
}

run "logs_are_kept_for_thirty_days" {
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.retention_in_days == 30])
    error_message = "Logs must be kept for 30 days."
  }
}

run "one_dead_letter_rings" {
  assert {
    condition = alltrue([
      for queue in ["events", "receipts"] :
      aws_cloudwatch_metric_alarm.this["${queue}-dead-letters"].threshold == 0
      && aws_cloudwatch_metric_alarm.this["${queue}-dead-letters"].comparison_operator == "GreaterThanThreshold"
      && aws_cloudwatch_metric_alarm.this["${queue}-dead-letters"].metric_name == "ApproximateNumberOfMessagesVisible"
      && aws_cloudwatch_metric_alarm.this["${queue}-dead-letters"].dimensions.QueueName == "calve-dev-alice-${queue}-dead-letters"
    ])
    error_message = "A message in a dead-letter queue must ring."
  }
}

run "alarms_read_the_figures_that_the_filters_write" {
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.this : contains(keys(local.log_metrics), alarm.metric_name)
      if alarm.namespace == "Calve/dev-alice"
    ])
    error_message = "Each figure of ours that an alarm reads must be written by a filter."
  }
  assert {
    condition     = length([for alarm in aws_cloudwatch_metric_alarm.this : alarm if alarm.namespace == "Calve/dev-alice"]) == length(local.log_metrics)
    error_message = "Each filter must have its alarm."
  }
  assert {
    condition     = alltrue([for key, filter in aws_cloudwatch_log_metric_filter.this : filter.metric_transformation[0].namespace == "Calve/dev-alice"])
    error_message = "Figures of two deployments must not meet."
  }
  assert {
    condition     = aws_cloudwatch_log_metric_filter.this["CommitsFailed"].log_group_name == "/aws/lambda/calve-dev-alice-commit"
    error_message = "A filter must read the log of its function."
  }
}

run "nothing_happening_is_no_alarm" {
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.treat_missing_data == "notBreaching"])
    error_message = "A deployment at rest must not ring."
  }
}

run "alarms_go_to_the_topic_and_wherever_else_is_said" {
  variables {
    alarm_email   = "ops@example.com"
    alarm_actions = ["arn:aws:sns:eu-west-1:123456789012:pager"]
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.this :
      alarm.alarm_actions == toset(output.alarm_actions) && alarm.alarm_actions == toset([output.topic_arn, "arn:aws:sns:eu-west-1:123456789012:pager"]) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "Alarms must go to the topic and to alarm_actions, and tell when they are over."
  }
  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "ops@example.com"
    error_message = "The address must be subscribed."
  }
}

run "without_alarms_there_is_no_topic" {
  variables {
    alarms = false
  }
  assert {
    condition     = output.topic_arn == null && output.alarm_actions == null && length(output.alarm_names) == 0 && length(aws_cloudwatch_log_group.function) == 2
    error_message = "Without alarms there must be logs, but neither alarms nor a topic."
  }
}

run "thresholds_are_as_they_are_given" {
  variables {
    oldest_message_seconds = 60
    freshness_seconds      = 30
    max_quarantined        = 10
    max_failures           = 5
    max_function_errors    = 2
    max_throttles          = 3
  }
  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.threshold } == {
      commit-errors         = 2
      commit-throttles      = 3
      commits-failed        = 5
      events-age            = 60
      events-dead-letters   = 0
      events-quarantined    = 10
      freshness             = 30000
      ingest-errors         = 2
      ingest-throttles      = 3
      payloads-not-landed   = 5
      receipts-age          = 60
      receipts-dead-letters = 0
      receipts-quarantined  = 10
    }
    error_message = "Each threshold must reach its alarm."
  }
}

run "a_stream_has_an_alarm_on_the_age_of_what_ingest_gets" {
  variables {
    stream_name = "calve-dev-alice-events"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["stream-age"].threshold == 900000 && aws_cloudwatch_metric_alarm.this["stream-age"].dimensions == tomap({ FunctionName = "calve-dev-alice-ingest" }) && aws_cloudwatch_metric_alarm.this["stream-age"].treat_missing_data == "notBreaching"
    error_message = "The age of a stream's records must be watched in milliseconds."
  }
}

run "names_that_are_given_are_taken" {
  variables {
    function_names = { ingest = "a-ingest", commit = "a-commit", compact = "a-compact" }
    queue_names    = { events = "q", receipts = "r", events_dead_letters = "qd", receipts_dead_letters = "rd" }
  }
  assert {
    condition     = output.log_group_arns.compact != null && contains(output.alarm_names, "calve-dev-alice-compact-errors")
    error_message = "Each function that is named must have a log group and alarms."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["events-age"].dimensions.QueueName == "q" && aws_cloudwatch_metric_alarm.this["receipts-dead-letters"].dimensions.QueueName == "rd"
    error_message = "The queues that are named must be watched."
  }
}

run "the_dashboard_keeps_to_the_tables_of_the_namespace" {
  variables {
    namespace = "dev_alice"
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 15
    error_message = "The dashboard must have five rows of three."
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.metrics[0][0].expression == "SEARCH('{Calve,table} MetricName=\"n_rows\" table=dev_alice', 'Sum')"
    error_message = "Figures must be those of the namespace."
  }
  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.properties.region == "eu-west-1" && length(widget.properties.metrics) > 0])
    error_message = "Each graph must have its region and something to show."
  }
}

run "logs_and_topic_are_encrypted_with_the_key_given" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0a1b"
  }
  assert {
    condition     = aws_sns_topic.alarms[0].kms_master_key_id == var.kms_key_arn && alltrue([for group in aws_cloudwatch_log_group.function : group.kms_key_id == var.kms_key_arn])
    error_message = "The key must reach logs and topic."
  }
}

# The functions' side of it is crates/pipeline/src/telemetry.rs.
run "every_line_and_figure_that_is_read_is_one_that_the_functions_write" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for filter in local.log_metrics : [
        for message in flatten(regexall("message = \"([^\"]+)\"", filter.pattern)) :
        strcontains(file("../../../crates/pipeline/src/telemetry.rs"), "\"${message}\"")
      ]
    ]))
    error_message = "Each message that a filter looks for must be one that the functions log."
  }
  assert {
    condition = alltrue(flatten([
      for filter in local.log_metrics : [
        for field in flatten(regexall("[$]\\.([a-z_]+_[a-z_]+)", "${filter.pattern} ${filter.value}")) :
        strcontains(file("../../../crates/pipeline/src/telemetry.rs"), "${field} = report.${field}")
      ]
    ]))
    error_message = "Each field that a filter reads must be one that the functions log."
  }
  assert {
    condition = alltrue([
      for metric in keys(local.by_table) : strcontains(file("../../../crates/pipeline/src/telemetry.rs"), "(\"${metric}\", \"")
    ])
    error_message = "Each figure of the dashboard must be one that the functions file."
  }
}
