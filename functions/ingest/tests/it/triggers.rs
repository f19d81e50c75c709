//! Every trigger, by the payloads that AWS documents: what lands, and what the trigger is told.

use crate::common::{Function, NOW, body_of, fixture, row};
use serde_json::{Value, json};

#[tokio::test]
async fn sqs_messages_land_and_only_what_must_come_again_is_named() {
    let function = Function::start().await;
    let answer = function.invoke("r1", &fixture("sqs.json")).await.unwrap();

    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let first = "059f36b4-87a3-44ab-83d2-661975830a7d";
    let third = "19dd0b57-b21e-4ac1-bd88-01bbb068cb78";
    assert_eq!(
        function.rows(),
        [
            row(first, 0, "2025-11-20T10:00:00Z", "/event_time rfc3339/0/Z"),
            row(third, 0, "2025-11-20T10:00:01Z", "/event_time rfc3339/0/Z"),
            row(third, 1, "2025-11-20T10:00:02Z", "/event_time rfc3339/0/Z"),
        ]
    );
    assert_eq!(
        function.quarantined(),
        [
            "2e1424d4-f796-459a-8184-9c92662be6da: not an event",
            &format!("{third}: {{oops")
        ]
    );
}

#[tokio::test]
async fn a_broken_event_of_a_message_harms_no_other_event_or_message() {
    let function = Function::start().await;
    let event = |id: &str| format!(r#"{{"id":"{id}","event_time":"2025-11-20T10:00:00Z"}}"#);
    let message = |id: &str, body: &str| {
        let body = serde_json::to_string(body).unwrap();
        // An escape of an escape becomes the escape itself: half of a pair, cut in two by its sender.
        let body = body.replace("\\\\ud83d", "\\ud83d");
        format!(r#"{{"eventSource":"aws:sqs","messageId":"{id}","body":{body}}}"#)
    };
    let lines = format!("{}\n{}\n{}", event("a"), event(r"\ud83d"), event("b"));
    let messages = [message("m1", &lines), message("m2", &event("c"))];
    let envelope = format!(r#"{{"Records":[{}]}}"#, messages.join(","));
    let answer = function.invoke_bytes("r1", envelope).await.unwrap();

    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(function.column("id"), ["a", "b", "c"]);
    let [event] = &function.quarantined_events()[..] else {
        panic!("one event");
    };
    assert_eq!((&event.source_id[..], event.source_index), ("m1", Some(1)));
    let bytes = event.payload();
    assert!(bytes.starts_with(b"{\"id\":\"\xed\xa0\xbd\","));
    assert_eq!(event.kind, "not_json");
    assert_eq!(
        event.reason,
        r"not JSON: invalid unicode code point at line 1 column 8: `\ud83d` at byte 7 is half of a surrogate pair, so no text"
    );
}

#[tokio::test]
async fn a_record_of_a_stream_that_is_not_base64_ends_in_the_quarantine_alone() {
    let function = Function::start().await;
    function
        .invoke("r1", &fixture("kinesis.json"))
        .await
        .unwrap();
    let (rows, n_quarantined) = (function.rows(), function.quarantined().len());

    let function = Function::start().await;
    let mut payload = fixture("kinesis.json");
    let first = payload["Records"][0]["kinesis"]["data"].take();
    let mut broken = first.as_str().unwrap().to_owned();
    broken.insert(1, '!');
    payload["Records"][0]["kinesis"]["data"] = broken.as_str().into();
    let answer = function.invoke("r1", &payload).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(function.rows(), rows[1..]);
    let events = function.quarantined_events();
    assert_eq!(events.len(), n_quarantined + 1);
    let event = events.iter().find(|event| event.kind == "not_base64");
    let event = event.unwrap();
    assert_eq!(event.payload(), broken.as_bytes());
    assert!(event.envelope_is_base64);
    assert_eq!(
        event.reason,
        "the body is not base64: Invalid symbol 33, offset 1."
    );
}

#[tokio::test]
async fn an_sns_envelope_in_an_sqs_message_is_unwrapped() {
    let function = Function::start().await;
    function
        .invoke("r1", &fixture("sns_in_sqs.json"))
        .await
        .unwrap();
    let message = "059f36b4-87a3-44ab-83d2-661975830a7d";
    let expected = row(
        message,
        0,
        "2025-11-20T10:00:00Z",
        "/event_time rfc3339/0/Z",
    );
    assert_eq!(function.rows(), [expected]);
}

#[tokio::test]
async fn a_message_of_sns_lands() {
    let function = Function::start().await;
    let answer = function.invoke("r1", &fixture("sns.json")).await.unwrap();
    assert_eq!(answer["n_rows"], 1);
    let message = "95df01b4-ee98-5cb9-9903-4c221d41eb5e";
    let expected = row(
        message,
        0,
        "2025-11-20T10:00:00Z",
        "/event_time rfc3339/0/Z",
    );
    assert_eq!(function.rows(), [expected]);
}

#[tokio::test]
async fn kinesis_records_land_under_stream_shard_and_sequence() {
    let function = Function::start().await;
    let answer = function
        .invoke("r1", &fixture("kinesis.json"))
        .await
        .unwrap();

    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let of = |sequence: &str| format!("lambda-stream/shardId-000000000006/{sequence}");
    let first = of("49590338271490256608559692538361571095921575989136588898");
    let second = of("49590338271490256608559692540925702759324208523137515618");
    let time_source = "/event_time rfc3339/0/Z";
    assert_eq!(
        function.rows(),
        [
            row(&first, 0, "2025-11-20T10:00:00Z", time_source),
            row(&second, 0, "2025-11-20T10:00:01Z", time_source),
            row(&second, 1, "2025-11-20T10:00:02Z", time_source),
        ]
    );
    assert_eq!(function.quarantined().len(), 1);
}

#[tokio::test]
async fn kinesis_stops_at_the_first_record_that_must_come_again() {
    let function = Function::start_with(&[("CALVE_MAX_PAYLOAD_INFLATED_BYTES", "180")]).await;
    let answer = function
        .invoke("r1", &fixture("kinesis.json"))
        .await
        .unwrap();
    let first = "49590338271490256608559692538361571095921575989136588898";
    let second = "49590338271490256608559692540925702759324208523137515618";
    // The second inflates beyond the cap by itself, so it is quarantined; nothing has to come again.
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert!(
        function.rows()[0]["_source_id"]
            .as_str()
            .unwrap()
            .ends_with(first)
    );

    let function = Function::start_with(&[("CALVE_MAX_PAYLOAD_INFLATED_BYTES", "200")]).await;
    let answer = function
        .invoke("r1", &fixture("kinesis.json"))
        .await
        .unwrap();
    assert_eq!(
        answer,
        json!({ "batchItemFailures": [{ "itemIdentifier": second }] })
    );
    assert_eq!(function.rows().len(), 1);
    assert!(function.quarantined().is_empty());
}

#[tokio::test]
async fn records_of_a_shard_that_come_again_with_others_land_once() {
    let function = Function::start().await;
    let mut payload = fixture("kinesis.json");
    let third = payload["Records"].as_array_mut().unwrap().pop().unwrap();
    function.invoke("r1", &payload).await.unwrap();
    let (rows, n_rows) = (function.rows(), function.n_committed().await);

    let records = payload["Records"].as_array_mut().unwrap();
    records.remove(0);
    records.push(third);
    let answer = function.invoke("r2", &payload).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(function.rows(), rows);
    assert_eq!(function.n_committed().await, n_rows);
    assert_eq!(function.quarantined().len(), 1);
}

#[tokio::test]
async fn kinesis_records_that_are_no_range_of_one_shard_are_refused_with_the_reason() {
    let function = Function::start().await;
    let mut shards = fixture("kinesis.json");
    shards["Records"][1]["eventID"] = "shardId-000000000007:4959".into();
    let mut streams = fixture("kinesis.json");
    streams["Records"][1]["eventSourceARN"] = "arn:aws:kinesis:us-east-2:1:stream/other".into();
    let mut order = fixture("kinesis.json");
    order["Records"].as_array_mut().unwrap().swap(1, 2);
    let mut numbers = fixture("kinesis.json");
    numbers["Records"][2]["kinesis"]["sequenceNumber"] = "LATEST".into();
    for (payload, word) in [
        (shards, "more than one shard"),
        (streams, "more than one shard"),
        (order, "do not rise"),
        (numbers, "`LATEST` is not a sequence number"),
    ] {
        let failure = function.invoke("r1", &payload).await.unwrap_err();
        assert!(failure.message.contains(word), "{failure}");
    }
    assert_eq!(function.n_committed().await, 0);
}

#[tokio::test]
async fn an_event_of_eventbridge_is_the_whole_envelope() {
    let function = Function::start().await;
    let answer = function
        .invoke("r1", &fixture("eventbridge.json"))
        .await
        .unwrap();
    assert_eq!(answer["n_rows"], 1);
    let id = "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa";
    assert_eq!(
        function.rows(),
        [row(id, 0, "2025-11-20T10:00:00Z", "/time rfc3339/0/Z")]
    );
    assert_eq!(function.column("detail_order_id"), [json!("o-1")]);
    assert_eq!(function.column("source"), [json!("com.example.shop")]);
}

#[tokio::test]
async fn api_gateway_v1_v2_and_function_urls_are_answered_with_counts() {
    for (name, id, n_rows) in [
        (
            "api_gateway_v1.json",
            "66da07c1-2ab8-4f1a-9a1e-000000000001",
            2,
        ),
        ("api_gateway_v2.json", "JKJaXmPLvHcESHA=", 2),
        (
            "function_url.json",
            "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            3,
        ),
    ] {
        let function = Function::start().await;
        let answer = function.invoke("r1", &fixture(name)).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{name}: {answer}");
        assert_eq!(answer["headers"]["content-type"], "application/json");
        let body = body_of(&answer);
        assert_eq!(
            (&body["n_rows"], &body["n_refused"]),
            (&json!(n_rows), &json!(0))
        );
        assert_eq!(body["request_id"], id);
        assert_eq!(function.rows().len(), n_rows);
        assert_eq!(function.rows()[0]["_source_id"], id);
    }
}

#[tokio::test]
async fn an_idempotency_key_makes_a_second_request_the_same() {
    let function = Function::start().await;
    let mut request = fixture("api_gateway_v2.json");
    let first = body_of(&function.invoke("r1", &request).await.unwrap());
    request["requestContext"]["requestId"] = "another".into();
    let second = body_of(&function.invoke("r2", &request).await.unwrap());
    assert_eq!(
        (&first["is_repeat"], &second["is_repeat"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(function.n_committed().await, 2);

    request["headers"]
        .as_object_mut()
        .unwrap()
        .remove("idempotency-key");
    let third = body_of(&function.invoke("r3", &request).await.unwrap());
    assert_eq!(third["is_repeat"], false);
    assert_eq!(function.n_committed().await, 4);
}

/// A request with this key, or none, and this body.
fn request_with(fixture_name: &str, key: Option<&str>, body: &str) -> Value {
    let mut request = fixture(fixture_name);
    let headers = request["headers"].as_object_mut().unwrap();
    headers.remove("idempotency-key");
    if let Some(key) = key {
        headers.insert("Idempotency-Key".to_owned(), key.into());
    }
    request["body"] = body.into();
    request
}

#[tokio::test]
async fn a_key_names_a_request_together_with_its_body_and_an_empty_one_is_none() {
    for name in ["api_gateway_v1.json", "api_gateway_v2.json"] {
        let function = Function::start().await;
        let send = async |key, body| {
            let request = request_with(name, key, body);
            body_of(&function.invoke("r1", &request).await.unwrap())["is_repeat"] == true
        };
        assert!(!send(Some("k"), "{\"a\":1}").await);
        assert!(send(Some("k"), "{\"a\":1}").await);
        // The same key with another body is another batch: what is answered with 200 must not be lost.
        assert!(!send(Some("k"), "{\"a\":2}").await);
        assert!(!send(Some("k2"), "{\"a\":1}").await);
        assert_eq!(function.n_committed().await, 3);

        // Without a key the id of the request decides, and with an empty one too.
        assert!(!send(None, "{\"a\":1}").await);
        assert!(send(Some(""), "{\"a\":1}").await);
        assert_eq!(function.n_committed().await, 4);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused_with_the_reason() {
    for name in ["api_gateway_v1.json", "api_gateway_v2.json"] {
        let function = Function::start().await;
        for key in ["schl\u{fc}ssel", "\u{1f511}", "a\u{1}b"] {
            let request = request_with(name, Some(key), "{\"a\":1}");
            let answer = function.invoke("r1", &request).await.unwrap();
            assert_eq!(answer["statusCode"], 400, "{answer}");
            let message = body_of(&answer)["message"].as_str().unwrap().to_owned();
            assert!(message.contains("header"), "{message}");
        }
        assert_eq!(function.n_committed().await, 0);
    }

    let function = Function::start().await;
    let mut request = request_with("api_gateway_v1.json", Some("a"), "{\"a\":1}");
    request["multiValueHeaders"] = json!({ "idempotency-key": ["a", "b"] });
    let answer = function.invoke("r1", &request).await.unwrap();
    assert_eq!(answer["statusCode"], 400, "{answer}");
    request["multiValueHeaders"] = json!({ "idempotency-key": ["a"] });
    let answer = function.invoke("r1", &request).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
}

#[tokio::test]
async fn a_body_without_any_event_is_answered_with_reason_and_offset_and_kept_nowhere() {
    let function = Function::start().await;
    let ask = async |text: &str| {
        let mut request = fixture("api_gateway_v2.json");
        request["body"] = text.into();
        request["headers"]
            .as_object_mut()
            .unwrap()
            .remove("idempotency-key");
        let answer = function.invoke("r1", &request).await.unwrap();
        (answer["statusCode"].as_u64().unwrap(), body_of(&answer))
    };
    let (status, body) = ask("oops\n  {\"a\":").await;
    assert_eq!(status, 400);
    assert_eq!(body["refusals"][1]["offset"], 7);
    assert_eq!(body["refusals"][1]["kind"], "not_json");
    assert_eq!(ask("").await.0, 400);
    assert_eq!(ask("[]").await.0, 400);
    assert_eq!(
        ask(&format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)))
            .await
            .0,
        413
    );
    assert!(function.quarantined().is_empty());
    assert_eq!(function.n_committed().await, 0);

    let (status, body) = ask("{\"a\":1}\noops").await;
    assert_eq!(
        (status, &body["n_rows"], &body["n_quarantined"]),
        (200, &json!(1), &json!(1))
    );
    assert_eq!(function.quarantined().len(), 1);
}

#[tokio::test]
async fn a_body_that_inflates_beyond_the_cap_is_too_large() {
    let function = Function::start_with(&[("CALVE_MAX_PAYLOAD_INFLATED_BYTES", "100")]).await;
    let answer = function
        .invoke("r1", &fixture("function_url.json"))
        .await
        .unwrap();
    assert_eq!(answer["statusCode"], 413);
}

#[tokio::test]
async fn a_request_without_events_in_it_is_told_how_to_send_them() {
    let function = Function::start().await;
    let mut request = fixture("api_gateway_v2.json");
    request["requestContext"]["http"]["method"] = "GET".into();
    let answer = function.invoke("r1", &request).await.unwrap();
    assert_eq!(
        (&answer["statusCode"], &answer["headers"]["allow"]),
        (&json!(405), &json!("POST, PUT"))
    );
}

#[tokio::test]
async fn a_direct_invoke_takes_an_event_an_array_or_ndjson() {
    for (payload, n_rows) in [
        (json!({ "user": 1 }), 1),
        (json!([{ "user": 1 }, { "user": 2 }]), 2),
        (json!("{\"user\":1}\n{\"user\":2}\n{\"user\":3}\n"), 3),
    ] {
        let function = Function::start().await;
        let answer = function.invoke("r1", &payload).await.unwrap();
        assert_eq!(
            (&answer["n_rows"], &answer["source"]),
            (&json!(n_rows), &json!("direct"))
        );
        let rows = function.rows();
        assert_eq!(rows.len(), n_rows);
        assert_eq!(rows[0], row("r1", 0, NOW, "arrival"));
    }
}

#[tokio::test]
async fn a_direct_invoke_of_no_event_is_quarantined_and_told() {
    let function = Function::start().await;
    let answer = function.invoke("r1", &json!(7)).await.unwrap();
    assert_eq!(
        (&answer["n_rows"], &answer["n_quarantined"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(answer["refusals"][0]["kind"], "not_an_object");
    assert_eq!(function.quarantined(), ["r1: 7"]);
}

#[tokio::test]
async fn what_claims_to_be_a_trigger_inside_a_body_is_an_event() {
    let function = Function::start().await;
    let mut request = fixture("sqs.json");
    for record in request["Records"].as_array_mut().unwrap() {
        record["body"] = fixture("s3.json").to_string().into();
    }
    let answer = function.invoke("r1", &request).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(function.rows().len(), 3);
}

#[tokio::test]
async fn a_warehouse_that_cannot_be_written_gives_every_message_back() {
    let function = Function::start().await;
    function.block_data();
    let answer = function.invoke("r1", &fixture("sqs.json")).await.unwrap();
    let ids: Vec<Value> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| failure["itemIdentifier"].clone())
        .collect();
    let sent: Vec<Value> = fixture("sqs.json")["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["messageId"].clone())
        .collect();
    assert_eq!(ids, sent);

    let answer = function
        .invoke("r2", &fixture("kinesis.json"))
        .await
        .unwrap();
    let first = &fixture("kinesis.json")["Records"][0]["kinesis"]["sequenceNumber"];
    assert_eq!(
        answer,
        json!({ "batchItemFailures": [{ "itemIdentifier": first }] })
    );

    let answer = function
        .invoke("r3", &fixture("api_gateway_v1.json"))
        .await
        .unwrap();
    assert_eq!(answer["statusCode"], 503, "{answer}");
    assert!(answer["headers"]["retry-after"].is_string(), "{answer}");
    assert!(!answer.to_string().contains(function.path()), "{answer}");

    let failure = function
        .invoke("r4", &json!({ "user": 1 }))
        .await
        .unwrap_err();
    assert!(failure.message.contains(function.path()), "{failure}");
}

#[tokio::test]
async fn no_time_left_is_a_503_with_retry_after() {
    let function = Function::start().await;
    let answer = function
        .invoke_late("r1", &fixture("api_gateway_v1.json"))
        .await
        .unwrap();
    assert_eq!(
        (&answer["statusCode"], &answer["headers"]["retry-after"]),
        (&json!(503), &json!("5"))
    );
    let failure = function
        .invoke_late("r1", &json!({ "user": 1 }))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, "NotLanded");
}
