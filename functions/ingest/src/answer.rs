//! What a trigger is told: the records to deliver again, an HTTP response, or the report.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use pipeline::{Disposition, LandedTable, PipelineError, Report, telemetry};
use serde_json::{Value, json};

use crate::Failure;

/// How a trigger wants to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The messages to deliver again: SQS.
    Messages,
    /// The first record to deliver again: Kinesis delivers all after it, too.
    Checkpoint,
    /// An HTTP response, which names this request.
    Http {
        /// The request.
        request_id: String,
    },
    /// The report; a failure is an error of the invocation: direct invoke, EventBridge, SNS.
    Report,
}

/// The answer when the run went through.
///
/// # Errors
///
/// When a record has to be delivered again and its trigger has no other way to be told.
pub(crate) fn landed(reply: &Reply, report: &Report) -> Result<Value, Failure> {
    match reply {
        Reply::Messages => Ok(deliver_again(report.retried())),
        Reply::Checkpoint => Ok(deliver_again(report.retried().take(1))),
        Reply::Http { request_id } => Ok(http_landed(request_id, report)),
        Reply::Report if report.n_records_retried > 0 => Err(not_all(report.n_records_retried)),
        // Serialising a struct of plain values into a JSON value cannot fail.
        Reply::Report => Ok(serde_json::to_value(report).unwrap_or_default()),
    }
}

/// The failure that makes a trigger deliver everything again, since it cannot deliver a part.
pub(crate) fn not_all(n_records: u64) -> Failure {
    Failure {
        kind: "NotLanded",
        message: format!("{n_records} records did not land: the log says why"),
    }
}

/// The answer when the run failed as a whole: everything is delivered again.
pub(crate) fn failed(
    reply: &Reply,
    ids: &[String],
    error: &PipelineError,
) -> Result<Value, Failure> {
    let ids = ids.iter().map(String::as_str);
    match reply {
        Reply::Messages => Ok(deliver_again(ids)),
        Reply::Checkpoint => Ok(deliver_again(ids.take(1))),
        Reply::Http { request_id } => Ok(http_failed(request_id, error)),
        Reply::Report => {
            let hint = error
                .hint()
                .map(|hint| format!("; hint: {hint}"))
                .unwrap_or_default();
            let message = format!("{}{hint}", telemetry::error_chain(error));
            let kind = match error.disposition() {
                Disposition::Retry => "NotLanded",
                Disposition::Fatal => "CannotLand",
            };
            Err(Failure { kind, message })
        }
    }
}

/// The messages with these ids come again.
pub(crate) fn messages(ids: &[String]) -> Value {
    deliver_again(ids.iter().map(String::as_str))
}

/// A partial batch response.
fn deliver_again<'a>(ids: impl Iterator<Item = &'a str>) -> Value {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = ids
        .map(|id| {
            let mut failure = BatchItemFailure::default();
            id.clone_into(&mut failure.item_identifier);
            failure
        })
        .collect();
    // A list of strings is always JSON.
    serde_json::to_value(response).unwrap_or_default()
}

fn http_landed(request_id: &str, report: &Report) -> Value {
    if report.n_records_retried > 0 {
        return unavailable(request_id);
    }
    let mut body = json!({
        "request_id": request_id,
        "n_events": report.n_events,
        "n_rows": report.n_rows,
        "n_refused": report.n_refused,
    });
    if !report.refusals.is_empty() {
        let refusals = report.refusals.iter().map(|refusal| {
            json!({
                "index": refusal.source_index,
                "offset": refusal.offset,
                "kind": refusal.kind,
                "reason": refusal.reason,
            })
        });
        body["refusals"] = refusals.collect();
    }
    if report.n_rows > 0 {
        body["n_quarantined"] = report.n_quarantined.into();
        if report.tables.is_empty() {
            body["table"] = report.table.as_str().into();
        } else {
            body["tables"] = report.tables.iter().map(of_table).collect();
        }
        if report.is_staged {
            return http(202, &body); // Durable, and still to become visible.
        }
        body["snapshot_id"] = report.snapshot_id.into();
        body["is_repeat"] = report.is_repeat.into();
        return http(200, &body);
    }
    let is_too_large = |kind: &str| matches!(kind, "too_large" | "too_long");
    let all_too_large = report.n_refused > 0
        && report
            .n_refused_by_kind
            .keys()
            .all(|kind| is_too_large(kind));
    let (status, message) = match (all_too_large, report.n_refused) {
        (true, _) => (413, "the events are too large"),
        (false, 0) => (400, "the body holds no event"),
        (false, _) => (400, "nothing in the body is an event"),
    };
    body["message"] = message.into();
    http(status, &body)
}

/// What the sender is told of one of several tables.
fn of_table(table: &LandedTable) -> Value {
    json!({
        "table": table.table,
        "n_rows": table.n_rows,
        "snapshot_id": table.snapshot_id,
    })
}

/// Nothing was stored and the sender still has the events, so it is always told to come again: sooner when waiting may
/// help, later when a person has to.
fn http_failed(request_id: &str, error: &PipelineError) -> Value {
    match error.disposition() {
        Disposition::Retry => unavailable(request_id),
        Disposition::Fatal => {
            let message = "the events were not stored: the operator has to look at the log; send them again later";
            come_again(request_id, message, "60")
        }
    }
}

/// Not stored, but may be when sent again.
fn unavailable(request_id: &str) -> Value {
    come_again(
        request_id,
        "the events were not stored: send them again",
        "5",
    )
}

fn come_again(request_id: &str, message: &str, after_seconds: &str) -> Value {
    let body = json!({ "request_id": request_id, "message": message });
    let mut response = http(503, &body);
    response["headers"]["retry-after"] = after_seconds.into();
    response
}

/// A response that API Gateway v1, v2 and Function URLs all understand.
pub(crate) fn http(status: u16, body: &Value) -> Value {
    json!({
        "statusCode": status,
        "headers": { "content-type": "application/json" },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_that_cannot_deliver_a_part_again_is_told_of_a_failure() {
        let report = Report {
            n_records: 2,
            n_records_committed: 1,
            n_records_retried: 1,
            ..Report::default()
        };
        assert_eq!(landed(&Reply::Report, &report), Err(not_all(1)));
        assert!(landed(&Reply::Messages, &report).is_ok());
    }

    #[test]
    fn whatever_fails_the_sender_is_told_to_come_again() {
        let fatal = PipelineError::NoTable {
            table: "a.b".to_owned(),
        };
        let passing = PipelineError::Deadline {
            table: "a.b".to_owned(),
            n_records: 1,
        };
        let reply = Reply::Http {
            request_id: "r1".to_owned(),
        };
        for (error, after_seconds) in [(fatal, "60"), (passing, "5")] {
            let answer = failed(&reply, &[], &error).unwrap();
            assert_eq!(answer["statusCode"], 503);
            assert_eq!(answer["headers"]["retry-after"], after_seconds);
            assert!(!answer.to_string().contains("a.b"), "{answer}");
        }
    }
}
