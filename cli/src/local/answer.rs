//! What a function answers to a batch: the records to deliver again, or nothing.

use serde_json::Value;

/// Why an answer counts as the failure of the whole batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the answer is no JSON")]
    NotJson,
    #[error("the answer is no partial batch response")]
    NotAResponse,
    #[error("`batchItemFailures` holds something without an `itemIdentifier`")]
    NoIdentifier,
    #[error("`batchItemFailures` names `{id}`, which is not in the batch")]
    Unknown { id: String },
}

/// The positions of the records to deliver again, in the order of the batch, each once.
///
/// As with AWS an empty answer, `null`, an object without failures or with `null` for them mean that all went well.
///
/// # Errors
///
/// When the answer cannot be understood: then everything is to be delivered again.
pub(super) fn failed_positions(answer: &[u8], ids: &[String]) -> Result<Vec<usize>, AnswerError> {
    if answer.is_empty() {
        return Ok(Vec::new());
    }
    let answer: Value = serde_json::from_slice(answer).map_err(|_| AnswerError::NotJson)?;
    let failures = match answer {
        Value::Null => return Ok(Vec::new()),
        Value::Object(mut members) => match members.remove("batchItemFailures") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(failures)) => failures,
            Some(_) => return Err(AnswerError::NotAResponse),
        },
        _ => return Err(AnswerError::NotAResponse),
    };
    let mut positions = Vec::with_capacity(failures.len());
    for failure in &failures {
        let id = failure["itemIdentifier"].as_str().unwrap_or_default();
        if id.is_empty() {
            return Err(AnswerError::NoIdentifier);
        }
        // A message that came twice into one batch has failed twice.
        let n_before = positions.len();
        positions.extend((0..ids.len()).filter(|position| ids[*position] == id));
        if positions.len() == n_before {
            return Err(AnswerError::Unknown { id: id.to_owned() });
        }
    }
    positions.sort_unstable();
    positions.dedup();
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: &Result<Vec<usize>, AnswerError>) {
        let ids = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            &failed_positions(answer.as_bytes(), &ids),
            expected,
            "{answer}"
        );
    }

    #[test]
    fn an_answer_without_failures_means_that_all_went_well() {
        for answer in [
            "",
            "null",
            "{}",
            r#"{"other":1}"#,
            r#"{"batchItemFailures":null}"#,
            r#"{"batchItemFailures":[]}"#,
        ] {
            check(answer, &Ok(vec![]));
        }
    }

    #[test]
    fn the_records_that_an_answer_names_are_found_once_and_in_order() {
        let answer = r#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}"#;
        check(answer, &Ok(vec![0, 2]));
    }

    #[test]
    fn a_message_that_came_twice_into_a_batch_has_failed_twice() {
        let ids = ["a", "b", "a"].map(str::to_owned);
        let answer = br#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#;
        assert_eq!(failed_positions(answer, &ids), Ok(vec![0, 2]));
    }

    #[test]
    fn an_answer_that_cannot_be_understood_fails_the_whole_batch() {
        check("{", &Err(AnswerError::NotJson));
        check("[]", &Err(AnswerError::NotAResponse));
        check(r#""done""#, &Err(AnswerError::NotAResponse));
        check(
            r#"{"batchItemFailures":"a"}"#,
            &Err(AnswerError::NotAResponse),
        );
        for failure in [
            "{}",
            "null",
            r#"{"itemIdentifier":""}"#,
            r#"{"itemIdentifier":null}"#,
            r#"{"id":"a"}"#,
        ] {
            let answer = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"a"}},{failure}]}}"#);
            check(&answer, &Err(AnswerError::NoIdentifier));
        }
        check(
            r#"{"batchItemFailures":[{"itemIdentifier":"d"}]}"#,
            &Err(AnswerError::Unknown { id: "d".to_owned() }),
        );
    }
}
