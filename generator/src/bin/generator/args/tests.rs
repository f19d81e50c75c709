//! Command lines.

use generator::DEFAULT_START_MS;

use super::*;

#[track_caller]
fn check(options: &str) -> Result<(), String> {
    let args = ["generator"].into_iter().chain(options.split_whitespace());
    let args = Args::try_parse_from(args).map_err(|error| error.to_string())?;
    args.check().map_err(|error| error.to_string())
}

const INVOKE: &str = "--to http://127.0.0.1:1/2015-03-31/functions/ingest/invocations";

#[test]
fn the_default_start_is_that_of_the_library() {
    let args = Args::parse_from(["generator"]);
    assert_eq!(args.start, Start::At(DEFAULT_START_MS));
    assert_eq!(args.settings(), Settings::default());
}

#[test]
fn without_a_limit_there_are_a_hundred_thousand_events_and_with_a_time_as_many_as_it_takes() {
    assert_eq!(Args::parse_from(["generator"]).n_events(), 100_000);
    assert_eq!(
        Args::parse_from(["generator", "--seconds", "1"]).n_events(),
        u64::MAX
    );
    assert_eq!(
        Args::parse_from(["generator", "--seconds", "1", "-n", "5"]).n_events(),
        5
    );
}

#[test]
fn options_that_contradict_each_other_are_refused_with_a_way_out() {
    for options in [
        format!("{INVOKE} --as direct --shape hostile"),
        format!("{INVOKE} --as direct --gzip"),
        format!("{INVOKE} --as sqs --gzip"),
        "--gzip --to events.ndjson".to_owned(),
        "--gzip --to kinesis:events".to_owned(),
        "--pack 10 --to events.ndjson".to_owned(),
        "--compress zstd --to http://127.0.0.1:1/".to_owned(),
        "--sign lambda --to kinesis:events".to_owned(),
        "--sign execute-api".to_owned(),
    ] {
        let error = check(&options).unwrap_err();
        assert!(error.contains("hint: "), "{options}: {error}");
    }
    assert_eq!(
        check(&format!(
            "{INVOKE} --as function-url --gzip --shape hostile"
        )),
        Ok(())
    );
}

#[test]
fn targets_that_nothing_can_be_sent_to_are_refused() {
    for options in [
        "--to s3://bucket/key",
        "--to http://",
        "--to sqs:events",
        "--to kinesis:",
        "--to kinesis:arn:aws:kinesis",
        "--start tomorrow",
        "--seconds 0",
        "--rate 0",
    ] {
        assert!(check(options).is_err(), "{options}");
    }
}

#[test]
fn queues_and_streams_are_told_by_their_scheme() {
    let read = |text: &str| text.parse::<Target>().unwrap();
    assert_eq!(
        read("sqs:http://127.0.0.1:1/0/q"),
        Target::Queue("http://127.0.0.1:1/0/q".to_owned())
    );
    assert_eq!(read("kinesis:events"), Target::Stream("events".to_owned()));
    assert_eq!(read("sqs"), Target::File("sqs".into()));
}

#[test]
fn only_the_invoke_api_is_an_invocation() {
    let is_invocation = |text: &str| text.parse::<Target>().unwrap().is_invocation();
    assert!(is_invocation(
        "http://127.0.0.1:9000/2015-03-31/functions/ingest/invocations"
    ));
    assert!(!is_invocation("http://127.0.0.1:9000/lambda-url/ingest"));
    assert!(!is_invocation("2015-03-31/functions/ingest/invocations"));
}
