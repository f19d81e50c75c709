//! The cold start of the ingest function: logs, settings, lake and table, then one handler for every invocation.

use std::{collections::BTreeMap, io::Write as _, process::ExitCode};

use ingest::{Bodies, Context, Moment, handle};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use pipeline::settings::LogLevel;
use pipeline::{PipelineError, Settings, telemetry};

/// Where the Lambda service, or what stands in for it, hands out invocations.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// How much memory the function has, in MiB.
const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

#[tokio::main]
async fn main() -> ExitCode {
    // What is not UTF-8 is none of ours.
    let variables = std::env::vars_os();
    let variables: BTreeMap<String, String> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let is_lambda = variables.contains_key(RUNTIME_API);
    let memory_mib = variables.get(MEMORY).and_then(|mib| mib.parse().ok());
    let settings = match Settings::load(variables).map_err(PipelineError::from) {
        Ok(settings) => settings.within(memory_mib.unwrap_or(u64::MAX)),
        Err(error) => return refuse(&telemetry::error_chain(&error), error.hint().as_deref()),
    };
    if !is_lambda {
        // Before anything is made: whoever starts this by hand wants no warehouse.
        let cause = format!("`{RUNTIME_API}` is not set: this is a Lambda function");
        return refuse(
            &cause,
            Some("run it with `cargo lambda watch`, or try `./scripts/run.sh`"),
        );
    }
    start_logging(settings.log_level);
    let context = match Context::open(settings).await {
        Ok(context) => context,
        Err(error) => return refuse(&telemetry::error_chain(&error), error.hint().as_deref()),
    };
    let bodies = Bodies::default();
    let handler = |event: LambdaEvent<()>| {
        let event = LambdaEvent::new(bodies.take(), event.context);
        handle(&context, event, now())
    };
    let runtime = Runtime::new(service_fn(handler)).layer(bodies.clone());
    match runtime.layer(TracingLayer::new()).run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the Lambda runtime API does not answer");
            ExitCode::FAILURE
        }
    }
}

/// One JSON object per line. A panic is logged by its place only: its message may quote an event.
fn start_logging(level: LogLevel) {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(level.filter())
        .init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// Says why the function cannot start, with what would be right, where the operator looks: the log.
fn refuse(cause: &str, hint: Option<&str>) -> ExitCode {
    let mut text = format!("error: cannot start `ingest`\n  caused by: {cause}\n");
    if let Some(hint) = hint {
        text.extend(["\nhint: ", hint, "\n"]);
    }
    // There is nowhere else to say that this could not be said.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}

/// The one reading of the clock, and of randomness, per invocation.
fn now() -> Moment {
    let now_us = jiff::Timestamp::now().as_microsecond();
    let (seed, _) = uuid::Uuid::new_v4().as_u64_pair();
    Moment { now_us, seed }
}
