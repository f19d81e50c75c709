data "aws_region" "current" {}

# The functions file their figures by table, and tables may come up by themselves: so they are searched for, and each table
# is a line in the graph. (Where events are routed to several tables, the JSON that came in is told for all of them at once,
# under its source, and does not show here.)
locals {
  of_tables = var.namespace == null ? "" : " table=${var.namespace}"
  by_table = {
    for metric, statistic in {
      n_rows             = "Sum"
      n_refused          = "Sum"
      inflated_bytes     = "Sum"
      file_bytes         = "Sum"
      commit_n_committed = "Sum"
      commit_n_attempts  = "Sum"
      commit_elapsed_ms  = "p95"
    } : metric => "SEARCH('{Calve,table} MetricName=\"${metric}\"${local.of_tables}', '${statistic}')"
  }
}

# A dashboard is rows of widgets: a title, and metrics as CloudWatch writes them.
locals {
  rows = [
    [
      { title = "Rows by table", metrics = [[{ expression = local.by_table.n_rows }]] },
      { title = "Receipts committed by table", metrics = [[{ expression = local.by_table.commit_n_committed }]] },
      { title = "Freshness: age of the oldest receipt when it was answered, ms", metrics = [
        for statistic in ["p50", "p99", "Maximum"] : [local.metric_namespace, "OldestReceipt", { stat = statistic, label = statistic }]
      ] },
    ],
    [
      { title = "Bytes: JSON in, inflated, and data files out", metrics = [
        [{ expression = "SUM(${local.by_table.inflated_bytes})", label = "JSON" }],
        [{ expression = "SUM(${local.by_table.file_bytes})", label = "data files" }],
      ] },
      { title = "Compression: bytes of JSON for each byte of a data file", metrics = [
        [{ expression = "SUM(${local.by_table.inflated_bytes}) / SUM(${local.by_table.file_bytes})", label = "JSON : data files" }],
      ] },
      { title = "Events refused by table", metrics = [[{ expression = local.by_table.n_refused }]] },
    ],
    [
      { title = "Quarantined and failed", metrics = [
        for metric in ["EventsQuarantined", "ReceiptsQuarantined", "PayloadsNotLanded", "CommitsFailed"] :
        [local.metric_namespace, metric, { stat = "Sum" }]
      ] },
      { title = "Time of a commit by table, p95, ms", metrics = [[{ expression = local.by_table.commit_elapsed_ms }]] },
      { title = "Attempts of commits by table", metrics = [[{ expression = local.by_table.commit_n_attempts }]] },
    ],
    [
      { title = "Messages that wait", metrics = [
        for queue in values(local.live_queues) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { stat = "Maximum" }]
      ] },
      { title = "Age of what waits longest", metrics = concat([
        for queue in values(local.live_queues) : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, { stat = "Maximum", label = "${queue}, s" }]
        ], [
        for stream in compact([var.stream_name]) : ["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", stream, { stat = "Maximum", label = "${stream}, ms", yAxis = "right" }]
      ]) },
      { title = "Dead letters", metrics = [
        for queue in values(local.dead_letters) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { stat = "Maximum" }]
      ] },
    ],
    [
      { title = "Duration of the functions, ms", metrics = concat([
        for statistic in ["p50", "p99"] : [
          for function in values(local.functions) : ["AWS/Lambda", "Duration", "FunctionName", function, { stat = statistic, label = "${function} ${statistic}" }]
        ]
      ]...) },
      { title = "Invocations, errors, throttles", metrics = concat([
        for metric in ["Invocations", "Errors", "Throttles"] : [
          for function in values(local.functions) : ["AWS/Lambda", metric, "FunctionName", function, { stat = "Sum", label = "${function} ${metric}" }]
        ]
      ]...) },
      { title = "Side by side", metrics = [
        for function in values(local.functions) : ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", function, { stat = "Maximum" }]
      ] },
    ],
  ]
  graphs = flatten([
    for y, row in local.rows : [
      for x, widget in row : {
        type   = "metric"
        x      = x * 8
        y      = y * 6
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          metrics = widget.metrics
          region  = data.aws_region.current.name
          period  = 60
          view    = "timeSeries"
        }
      }
    ]
  ])
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = local.prefix
  dashboard_body = jsonencode({ widgets = local.graphs })
}
