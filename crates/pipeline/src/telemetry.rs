//! One log line per invocation with the facts of its report, and the same facts as CloudWatch embedded metrics.

use serde_json::{Value, json};

use crate::{PipelineError, Report};

/// What the metrics are filed under.
const NAMESPACE: &str = "Calve";

/// The facts that are metrics, with their CloudWatch units. Dimensions are the table and the kind of trigger only.
const METRICS: [(&str, &str); 19] = [
    ("n_records", "Count"),
    ("n_records_committed", "Count"),
    ("n_records_quarantined", "Count"),
    ("n_records_refused", "Count"),
    ("n_records_retried", "Count"),
    ("n_events", "Count"),
    ("n_rows", "Count"),
    ("n_refused", "Count"),
    ("n_quarantined", "Count"),
    ("n_rescued", "Count"),
    ("n_new_columns", "Count"),
    ("payload_bytes", "Bytes"),
    ("inflated_bytes", "Bytes"),
    ("n_files", "Count"),
    ("file_bytes", "Bytes"),
    ("n_attempts", "Count"),
    ("flatten_ms", "Milliseconds"),
    ("write_ms", "Milliseconds"),
    ("total_ms", "Milliseconds"),
];

/// Logs the facts of a run: at `warn` when something was refused or has to come again, else at `info`.
///
/// Refusal reasons are not logged, since they may quote an event; the quarantine has them.
pub fn log(report: &Report, request_id: &str) {
    macro_rules! facts {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                request_id,
                table = report.table,
                source = report.source,
                n_records = report.n_records,
                n_records_committed = report.n_records_committed,
                n_records_quarantined = report.n_records_quarantined,
                n_records_refused = report.n_records_refused,
                n_records_retried = report.n_records_retried,
                n_events = report.n_events,
                n_rows = report.n_rows,
                n_refused = report.n_refused,
                n_quarantined = report.n_quarantined,
                n_rescued = report.n_rescued,
                n_new_columns = report.n_new_columns,
                payload_bytes = report.payload_bytes,
                inflated_bytes = report.inflated_bytes,
                n_files = report.n_files,
                file_bytes = report.file_bytes,
                n_attempts = report.n_attempts,
                snapshot_id = report.snapshot_id,
                is_repeat = report.is_repeat,
                quarantine = report.quarantine,
                read_ms = report.elapsed_ms.read,
                flatten_ms = report.elapsed_ms.flatten,
                schema_ms = report.elapsed_ms.schema,
                write_ms = report.elapsed_ms.write,
                quarantine_ms = report.elapsed_ms.quarantine,
                commit_ms = report.elapsed_ms.commit,
                total_ms = report.elapsed_ms.total,
                $message
            )
        };
    }
    if report.n_refused > 0 || report.n_records_retried > 0 {
        facts!(warn, "payload landed in part");
    } else {
        facts!(info, "payload landed");
    }
}

/// Logs a run that failed: nothing of it was acknowledged.
pub fn log_failure(error: &PipelineError, request_id: &str) {
    let causes = error_chain(error);
    let hint = error.hint();
    tracing::error!(request_id, error = causes, hint, "payload not landed");
}

/// The error and its causes in one line.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries print their cause as part of themselves.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The facts of a run as one line in CloudWatch's embedded metric format.
pub fn embedded_metrics(report: &Report, now_ms: i64) -> String {
    let metrics: Vec<Value> = METRICS
        .iter()
        .map(|(name, unit)| json!({ "Name": name, "Unit": unit }))
        .collect();
    // Serialising a struct of plain values into a JSON value cannot fail.
    let facts = serde_json::to_value(report).unwrap_or_default();
    let mut line = json!({
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["table"], ["table", "source"]],
                "Metrics": metrics,
            }],
        },
        "table": report.table,
        "source": report.source,
    });
    for (name, _) in METRICS {
        line[name] = match name.strip_suffix("_ms") {
            Some(stage) => facts["elapsed_ms"][stage].clone(),
            None => facts[name].clone(),
        };
    }
    line.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_a_number_of_the_report() {
        let line: Value = serde_json::from_str(&embedded_metrics(&Report::default(), 7)).unwrap();
        let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
            .as_array()
            .unwrap();
        assert_eq!(declared.len(), METRICS.len());
        for metric in declared {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}");
        }
        assert_eq!(line["_aws"]["Timestamp"], 7);
    }
}
