//! What can be asked for on the command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use generator::{Settings, Shape, parse_start_ms};
use reqwest::Url;

use crate::clock;

/// Make realistic mock events, the same for the same seed, and write or send them.
///
/// Without options, 100,000 events go to the standard output as NDJSON.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many events to make [default: 100000, unless --seconds is given]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) events: Option<u64>,

    /// How long to go on, in seconds; with --events, whichever comes first
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,

    /// What events look like
    #[arg(long, value_enum, default_value_t = ShapeName::Default)]
    pub(crate) shape: ShapeName,

    /// The seed; equal seeds give equal bytes
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,

    /// The earliest event time: RFC 3339, a day, or `now` for days that end at this moment
    #[arg(long, default_value = "2026-01-15T00:00:00Z", value_name = "TIME")]
    pub(crate) start: Start,

    /// Over how many days event times are spread
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,

    /// Where events go: `-`, a file, an http(s) URL, `sqs:QUEUE_URL` or `kinesis:STREAM`; a URL that ends in
    /// `/2015-03-31/functions/NAME/invocations` is that of a Lambda function
    #[arg(long, default_value = "-", value_name = "TARGET")]
    pub(crate) to: Target,

    /// What a Lambda function is given: the events as a JSON array, a request to its function URL, or
    /// SQS messages of one event each
    #[arg(long = "as", value_enum, default_value_t = Wrapper::FunctionUrl)]
    pub(crate) wrapper: Wrapper,

    /// Events per second; latency then counts from the moment at which a request was due [default: as fast as possible]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,

    /// Requests under way at the same time
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub(crate) concurrency: u16,

    /// Events in one request
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch: u32,

    /// Compress the bodies of requests
    #[arg(long)]
    pub(crate) gzip: bool,

    /// Sign requests for this service of AWS, with the credentials and, where the URL names none, the
    /// region of the environment
    #[arg(long, value_enum, value_name = "SERVICE")]
    pub(crate) sign: Option<Service>,

    /// Events in one message of a queue or record of a stream, as NDJSON
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) pack: u32,

    /// How messages and records are compressed; in a queue they are base64 then
    #[arg(long, value_enum, default_value_t = Compress::None, value_name = "HOW")]
    pub(crate) compress: Compress,

    /// What speaks SQS or Kinesis, when it is not AWS [default: the queue's own host, or `AWS_ENDPOINT_URL`]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// File to write for each message that was taken: its id, when it was due, and its number of events, as NDJSON
    #[arg(long, value_name = "FILE")]
    pub(crate) log_messages: Option<PathBuf>,

    /// How often a failed request, or a message or record that was refused, is sent again before it counts as failed
    /// [default: 0; 5 for messages and records]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// How long one request may take, in seconds
    #[arg(long, default_value_t = 60.0, value_name = "S", value_parser = seconds)]
    pub(crate) timeout: f64,

    /// How the summary is printed: text on the standard error, or JSON on the standard output (on the
    /// standard error when the events go there)
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

const EXAMPLES: &str = "\
Examples:
  generator --events 1000000 > events.ndjson
  generator --events 20000 --shape hostile --to events.ndjson
  generator --seconds 10 --rate 5000 \\
      --to http://127.0.0.1:9000/2015-03-31/functions/ingest/invocations
  generator --seconds 60 --concurrency 16 --gzip --output json \\
      --sign lambda --to https://abc.lambda-url.eu-central-1.on.aws/
  generator --seconds 60 --rate 10000 --batch 1000 --pack 100 --compress zstd \\
      --to sqs:https://sqs.eu-central-1.amazonaws.com/123456789012/events

The exit code is 1 when a request failed. Colour is left out when
NO_COLOR is set, the progress bar when the standard error is no terminal.";

/// [`Shape`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShapeName {
    /// Visitors of a shop: eight types, about 0.9 KB each
    Default,
    /// 200 columns in one flat object
    Wide,
    /// 9 to 40 objects in each other
    Deep,
    /// 20 of 2,000 possible keys
    Sparse,
    /// Broken JSON, wrong types, missing and absurd times, colliding names, huge strings
    Hostile,
}

/// What the payload of an invocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wrapper {
    /// A JSON array of the events
    Direct,
    /// The envelope of a function URL, format 2.0, with the events as NDJSON in its body
    FunctionUrl,
    /// The envelope of SQS, one message per event
    Sqs,
}

/// How messages and records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compress {
    /// Not at all
    None,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

/// A service of AWS that checks signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// A Function URL with IAM auth, or the invoke API
    Lambda,
    /// An API of API Gateway with IAM auth
    ExecuteApi,
}

/// How the summary is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines for a person
    Text,
    /// One JSON object
    Json,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
    Http(Url),
    /// A queue of SQS, by its URL.
    Queue(String),
    /// A stream of Kinesis, by its name.
    Stream(String),
}

/// When the event times begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    At(i64),
    Now,
}

/// Options that do not go together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error(
        "`--as direct` sends a JSON array, and the broken events of `--shape hostile` cannot be elements of one\n\
         hint: send them `--as function-url` or `--as sqs`"
    )]
    BrokenInArray,
    #[error(
        "`--gzip` compresses the bodies of HTTP requests, and `{to}` is not reached by them\n\
         hint: pipe the events through gzip; for queues and streams there is `--compress`"
    )]
    GzipWithoutRequests { to: String },
    #[error(
        "`--sign` is for requests over HTTP, and `{to}` is not reached by them\n\
         hint: leave it out: what goes to queues and streams of AWS is signed anyhow"
    )]
    SignWithoutRequests { to: String },
    #[error(
        "`--gzip` compresses bodies, and `--as {wrapper}` has none\nhint: leave it out, or send `--as function-url`"
    )]
    GzipWithoutBody { wrapper: &'static str },
    #[error(
        "`--pack`, `--compress`, `--endpoint` and `--log-messages` are for queues and streams, and `{to}` is none\n\
         hint: leave them out, or send to `sqs:QUEUE_URL` or `kinesis:STREAM`"
    )]
    MessagesWithoutQueue { to: String },
}

impl Args {
    /// Refuses options that do not go together.
    pub(crate) fn check(&self) -> Result<(), ArgsError> {
        let invokes = self.to.is_invocation();
        match self.wrapper {
            Wrapper::Direct if invokes && self.shape == ShapeName::Hostile => {
                return Err(ArgsError::BrokenInArray);
            }
            Wrapper::Direct if invokes && self.gzip => {
                return Err(ArgsError::GzipWithoutBody { wrapper: "direct" });
            }
            Wrapper::Sqs if invokes && self.gzip => {
                return Err(ArgsError::GzipWithoutBody { wrapper: "sqs" });
            }
            _ => {}
        }
        let wants_messages = self.pack > 1
            || self.compress != Compress::None
            || self.endpoint.is_some()
            || self.log_messages.is_some();
        if wants_messages && !self.to.takes_messages() {
            return Err(ArgsError::MessagesWithoutQueue {
                to: self.to.to_string(),
            });
        }
        let is_http = matches!(self.to, Target::Http(_));
        let to = || self.to.to_string();
        if self.gzip && !is_http {
            return Err(ArgsError::GzipWithoutRequests { to: to() });
        }
        if self.sign.is_some() && !is_http {
            return Err(ArgsError::SignWithoutRequests { to: to() });
        }
        Ok(())
    }

    /// How many events are made at most.
    pub(crate) fn n_events(&self) -> u64 {
        match (self.events, self.seconds) {
            (Some(n), _) => n,
            (None, Some(_)) => u64::MAX,
            (None, None) => 100_000,
        }
    }

    /// How often what failed is sent again.
    pub(crate) fn n_retries(&self) -> u32 {
        let default = if self.to.takes_messages() { 5 } else { 0 };
        self.retries.unwrap_or(default)
    }

    /// What decides the bytes of the events.
    pub(crate) fn settings(&self) -> Settings {
        let start_ms = match self.start {
            Start::At(start_ms) => start_ms,
            Start::Now => clock::now_ms() - i64::from(self.days) * 86_400_000,
        };
        Settings {
            seed: self.seed,
            shape: self.shape.into(),
            start_ms,
            n_days: self.days,
        }
    }
}

impl From<ShapeName> for Shape {
    fn from(name: ShapeName) -> Self {
        match name {
            ShapeName::Default => Self::Default,
            ShapeName::Wide => Self::Wide,
            ShapeName::Deep => Self::Deep,
            ShapeName::Sparse => Self::Sparse,
            ShapeName::Hostile => Self::Hostile,
        }
    }
}

impl Service {
    /// Its name in a signature.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::ExecuteApi => "execute-api",
        }
    }
}

impl Target {
    /// Whether it is a queue or a stream.
    pub(crate) fn takes_messages(&self) -> bool {
        matches!(self, Self::Queue(_) | Self::Stream(_))
    }

    /// Whether a Lambda function is invoked, through the invoke API.
    pub(crate) fn is_invocation(&self) -> bool {
        matches!(self, Self::Http(url) if url.path().starts_with("/2015-03-31/functions/") && url.path().ends_with("/invocations"))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdout);
        }
        match text.split_once(':') {
            Some(("sqs", url)) if url.starts_with("https://") || url.starts_with("http://") => {
                return Ok(Self::Queue(url.to_owned()));
            }
            Some(("sqs", _)) => {
                return Err("write the URL of the queue: `sqs:https://…`".to_owned());
            }
            Some(("kinesis", name)) if !name.is_empty() && !name.contains(['/', ':']) => {
                return Ok(Self::Stream(name.to_owned()));
            }
            Some(("kinesis", _)) => {
                return Err("write the name of the stream: `kinesis:NAME`".to_owned());
            }
            _ => {}
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Self::File(PathBuf::from(text)));
        };
        if !matches!(scheme, "http" | "https") {
            return Err(format!(
                "`{scheme}` cannot be sent to: write `-`, a file, an http(s) URL, `sqs:QUEUE_URL` or `kinesis:STREAM`"
            ));
        }
        Url::parse(text)
            .map(Self::Http)
            .map_err(|error| error.to_string())
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File(path) => path.display().fmt(f),
            Self::Http(url) => url.fmt(f),
            Self::Queue(url) => write!(f, "sqs:{url}"),
            Self::Stream(name) => write!(f, "kinesis:{name}"),
        }
    }
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        parse_start_ms(text)
            .map(Self::At)
            .ok_or_else(|| "write `now`, a day or a time like `2026-01-15T00:00:00Z`".to_owned())
    }
}

/// Reads a number of seconds above zero.
fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.001..=1e7).contains(seconds))
        .ok_or_else(|| "write a number of seconds above 0, like `10` or `0.5`".to_owned())
}

#[cfg(test)]
mod tests;
