//! One log line per invocation with the facts of its report, and the same facts as CloudWatch embedded metrics.

use serde_json::{Value, json};

use crate::{CommitterReport, LandedTable, PipelineError, Report};

/// What the metrics are filed under.
const NAMESPACE: &str = "Calve";

/// The facts that are metrics, with their CloudWatch units. Dimensions are the table and the kind of trigger only.
const METRICS: [(&str, &str); 23] = [
    ("n_records", "Count"),
    ("n_records_committed", "Count"),
    ("n_records_staged", "Count"),
    ("n_records_quarantined", "Count"),
    ("n_records_refused", "Count"),
    ("n_records_known", "Count"),
    ("n_records_superseded", "Count"),
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
    ("receipt_bytes", "Bytes"),
    ("n_attempts", "Count"),
    ("flatten_ms", "Milliseconds"),
    ("write_ms", "Milliseconds"),
    ("total_ms", "Milliseconds"),
];

/// Those of them that are facts of a table where there are routes, and then have its name; the others have only the trigger's.
const LANDED_METRICS: [&str; 10] = [
    "n_events",
    "n_rows",
    "n_refused",
    "n_quarantined",
    "n_rescued",
    "n_new_columns",
    "n_files",
    "file_bytes",
    "receipt_bytes",
    "n_attempts",
];

/// The facts of the committer that are metrics of a table.
const TABLE_METRICS: [(&str, &str); 11] = [
    ("commit_n_receipts", "Count"),
    ("commit_n_committed", "Count"),
    ("commit_n_known", "Count"),
    ("commit_n_quarantined", "Count"),
    ("commit_n_retried", "Count"),
    ("commit_n_files", "Count"),
    ("commit_n_rows", "Count"),
    ("commit_file_bytes", "Bytes"),
    ("commit_n_attempts", "Count"),
    ("commit_n_expired_snapshots", "Count"),
    ("commit_elapsed_ms", "Milliseconds"),
];

/// The facts of the committer that are metrics without a table.
const MESSAGE_METRICS: [(&str, &str); 4] = [
    ("commit_n_messages", "Count"),
    ("commit_n_quarantined", "Count"),
    ("commit_n_retried", "Count"),
    ("commit_oldest_message_ms", "Milliseconds"),
];

/// Logs the facts of a run: at `warn` when something was refused or has to come again, else at `info`. With routes also a line
/// for each table, at `error` when its events have to come again.
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
                n_records_staged = report.n_records_staged,
                n_records_quarantined = report.n_records_quarantined,
                n_records_refused = report.n_records_refused,
                n_records_known = report.n_records_known,
                n_records_superseded = report.n_records_superseded,
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
                receipt_bytes = report.receipt_bytes,
                is_staged = report.is_staged,
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
    for table in &report.tables {
        log_table(table, request_id);
    }
}

fn log_table(table: &LandedTable, request_id: &str) {
    if let Some(error) = &table.error {
        let table = &table.table;
        tracing::error!(request_id, table, error, "events not landed in their table");
        return;
    }
    tracing::info!(
        request_id,
        table = table.table,
        n_rows = table.n_rows,
        n_refused = table.n_refused,
        n_new_columns = table.n_new_columns,
        n_files = table.n_files,
        file_bytes = table.file_bytes,
        receipt_bytes = table.receipt_bytes,
        n_attempts = table.n_attempts,
        snapshot_id = table.snapshot_id,
        is_repeat = table.is_repeat,
        quarantine = table.quarantine,
        "events landed in their table"
    );
}

/// Logs the facts of a run of the committer: a line for each table, at `error` when receipts for it have to come again, and
/// one for all.
pub fn log_commits(report: &CommitterReport, request_id: &str) {
    for table in &report.tables {
        macro_rules! facts {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    request_id,
                    table = table.table,
                    n_receipts = table.n_receipts,
                    n_committed = table.n_committed,
                    n_known = table.n_known,
                    n_quarantined = table.n_quarantined,
                    n_retried = table.n_retried,
                    n_files = table.n_files,
                    n_rows = table.n_rows,
                    file_bytes = table.file_bytes,
                    n_attempts = table.n_attempts,
                    n_expired_snapshots = table.n_expired_snapshots,
                    snapshot_id = table.snapshot_id,
                    elapsed_ms = table.elapsed_ms,
                    error = table.error,
                    $message
                )
            };
        }
        match (table.n_retried, table.n_quarantined) {
            (0, 0) => facts!(info, "receipts committed"),
            (0, _) => facts!(warn, "receipts quarantined"),
            _ => facts!(error, "receipts not committed"),
        }
    }
    tracing::info!(
        request_id,
        n_messages = report.n_messages,
        n_tables = report.tables.len(),
        n_committed = report.n_committed,
        n_known = report.n_known,
        n_quarantined = report.n_quarantined,
        n_retried = report.n_retried,
        message_bytes = report.message_bytes,
        receipt_bytes = report.receipt_bytes,
        oldest_message_ms = report.oldest_message_ms,
        read_ms = report.elapsed_ms.read,
        total_ms = report.elapsed_ms.total,
        "messages answered"
    );
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

/// The facts of a run as lines in CloudWatch's embedded metric format: one, and with routes one more for each table.
pub fn embedded_metrics(report: &Report, now_ms: i64) -> Vec<String> {
    // Serialising structs of plain values into JSON values cannot fail.
    let of_run = serde_json::to_value(report).unwrap_or_default();
    let is_routed = !report.tables.is_empty();
    let is_of_table = |name: &str| LANDED_METRICS.contains(&name);
    let of_all = METRICS.into_iter();
    let of_all: Vec<_> = of_all
        .filter(|(name, _)| !(is_routed && is_of_table(name)))
        .collect();
    let mut lines = vec![if is_routed {
        run_line(None, &of_run, report.source, &of_all, now_ms)
    } else {
        run_line(Some(&report.table), &of_run, report.source, &of_all, now_ms)
    }];
    let of_tables = METRICS.into_iter();
    let of_tables: Vec<_> = of_tables.filter(|(name, _)| is_of_table(name)).collect();
    lines.extend(report.tables.iter().map(|table| {
        let facts = serde_json::to_value(table).unwrap_or_default();
        run_line(
            Some(&table.table),
            &facts,
            report.source,
            &of_tables,
            now_ms,
        )
    }));
    lines
}

/// One line of the facts of a run.
fn run_line(
    table: Option<&str>,
    facts: &Value,
    source: &str,
    metrics: &[(&str, &str)],
    now_ms: i64,
) -> String {
    let declared = metrics
        .iter()
        .map(|(name, unit)| json!({ "Name": name, "Unit": unit }));
    let dimensions = match table {
        Some(_) => json!([["table"], ["table", "source"]]),
        None => json!([["source"]]),
    };
    let mut line = json!({
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": dimensions,
                "Metrics": declared.collect::<Vec<_>>(),
            }],
        },
        "source": source,
    });
    if let Some(table) = table {
        line["table"] = table.into();
    }
    for (name, _) in metrics {
        line[*name] = match name.strip_suffix("_ms") {
            Some(stage) => facts["elapsed_ms"][stage].clone(),
            None => facts[*name].clone(),
        };
    }
    line.to_string()
}

/// The facts of a run of the committer in the same format, one line for each table and one for all.
pub fn commit_metrics(report: &CommitterReport, now_ms: i64) -> Vec<String> {
    let line = |facts: &Value, dimensions: Value, metrics: &[(&str, &str)]| {
        let declared: Vec<Value> = metrics
            .iter()
            .map(|(name, unit)| json!({ "Name": name, "Unit": unit }))
            .collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now_ms,
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [dimensions],
                    "Metrics": declared,
                }],
            },
        });
        if facts["table"].is_string() {
            line["table"] = facts["table"].clone();
        }
        for (name, _) in metrics {
            let fact = name.strip_prefix("commit_").unwrap_or(name);
            line[*name] = facts[fact].clone();
        }
        line.to_string()
    };
    // Serialising structs of plain values into JSON values cannot fail.
    let of = |table| serde_json::to_value(table).unwrap_or_default();
    let tables = report.tables.iter();
    let mut lines: Vec<String> = tables
        .map(|table| line(&of(table), json!(["table"]), &TABLE_METRICS))
        .collect();
    let all = serde_json::to_value(report).unwrap_or_default();
    lines.push(line(&all, json!([]), &MESSAGE_METRICS));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that a report gives, of which each metric is a number.
    fn lines_of(report: &Report) -> Vec<Value> {
        let lines = embedded_metrics(report, 7).into_iter();
        let lines = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        lines.inspect(check).collect()
    }

    #[track_caller]
    fn check(line: &Value) {
        let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
        for metric in declared.unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}");
        }
        assert_eq!(line["_aws"]["Timestamp"], 7);
    }

    #[test]
    fn every_metric_is_a_number_of_the_report() {
        let lines = lines_of(&Report::default());
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
        assert_eq!(declared.unwrap().len(), METRICS.len());
    }

    #[test]
    fn with_routes_each_table_has_metrics_of_its_own_and_none_is_counted_twice() {
        let table = |name: &str, n_rows| LandedTable {
            table: name.to_owned(),
            n_rows,
            ..LandedTable::default()
        };
        let report = Report {
            table: "a.events".to_owned(),
            n_rows: 5,
            tables: vec![table("a.events", 2), table("a.clicks", 3)],
            ..Report::default()
        };
        let lines = lines_of(&report);
        let of = |line: &Value| (line["table"].clone(), line["n_rows"].clone());
        assert_eq!(of(&lines[0]), (Value::Null, Value::Null));
        assert_eq!(of(&lines[1]), ("a.events".into(), 2.into()));
        assert_eq!(of(&lines[2]), ("a.clicks".into(), 3.into()));
        assert_eq!(lines[0]["n_records"], 0);
    }

    #[test]
    fn every_metric_of_the_committer_is_a_number_of_its_report() {
        let report = CommitterReport {
            tables: vec![crate::TableReport::default()],
            ..CommitterReport::default()
        };
        let lines = commit_metrics(&report, 7);
        assert_eq!(lines.len(), 2);
        for line in lines {
            check(&serde_json::from_str(&line).unwrap());
        }
    }
}
