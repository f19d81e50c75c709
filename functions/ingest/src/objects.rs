//! The objects that notifications tell of, and the records beside them.

use std::collections::BTreeSet;

use pipeline::{Invocation, Payload, PipelineError, SourceObject, telemetry};
use serde_json::Value;

use crate::{Context, Failure, answer, answer::Reply, tell};

/// Lands one object after another, and then the records. What cannot be landed comes again; it harms no other.
pub(crate) async fn land(
    context: &Context,
    objects: Vec<SourceObject>,
    payload: Option<Payload>,
    reply: &Reply,
    invocation: &Invocation,
    request_id: &str,
) -> Result<Value, Failure> {
    let mut again = BTreeSet::new();
    let mut failure: Option<PipelineError> = None;
    let mut reports = Vec::with_capacity(objects.len());
    // Messages first: an object may take all the time that is left.
    if let Some(payload) = payload {
        let records = payload.records.iter();
        let ids: Vec<String> = records.map(|record| record.delivery_id.clone()).collect();
        match context.pipeline.run(payload, invocation).await {
            Ok(report) => {
                tell(context, &report, request_id, invocation.now_us);
                again.extend(report.retried().map(str::to_owned));
            }
            Err(error) => {
                telemetry::log_failure(&error, request_id);
                again.extend(ids);
                failure.get_or_insert(error);
            }
        }
    }
    for (number, object) in (0..).zip(&objects) {
        let own = Invocation {
            seed: invocation.seed.wrapping_add(number << 40),
            ..*invocation
        };
        match context.pipeline.run_object(object, &own).await {
            Ok(report) => {
                tell(context, &report, request_id, invocation.now_us);
                reports.push(report);
            }
            Err(error) => {
                telemetry::log_failure(&error, request_id);
                again.insert(object.delivery_id.clone());
                failure.get_or_insert(error);
            }
        }
    }
    let ids: Vec<String> = again.into_iter().collect();
    match (reply, failure) {
        (Reply::Messages, _) => Ok(answer::messages(&ids)),
        (_, Some(error)) => answer::failed(reply, &ids, &error),
        (_, None) if !ids.is_empty() => Err(answer::not_all(ids.len() as u64)),
        // Serialising a struct of plain values into a JSON value cannot fail.
        (_, None) => Ok(serde_json::to_value(reports).unwrap_or_default()),
    }
}
