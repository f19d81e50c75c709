//! Why `calve local` cannot start or go on.

use super::instance::InvokeError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why `calve local` cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// A function does not start.
    #[error(transparent)]
    Start(InvokeError),
    /// Nothing says where receipts are.
    #[error("`--commit` needs the queue of receipts")]
    NoReceiptsQueue,
    /// A queue or stream cannot be asked.
    #[error("cannot {operation} `{source_name}`")]
    Ask {
        operation: &'static str,
        source_name: String,
        source: Cause,
    },
    /// First-in-first-out queues have batches of their own.
    #[error("`{queue}` is a FIFO queue")]
    Fifo { queue: String },
    /// AWS refuses this, too.
    #[error(
        "`{queue}` hides a message for {visibility_s} s, and `{function}` may take {timeout_s} s"
    )]
    Visibility {
        queue: String,
        function: &'static str,
        visibility_s: u64,
        timeout_s: u64,
    },
    /// AWS refuses this, too.
    #[error("batches of {batch_size} messages need a window of a second at least")]
    NoWindow { batch_size: usize },
    /// The signals that end it cannot be listened to.
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
}

impl LocalError {
    /// An error of asking a queue or stream for something.
    pub(super) fn ask(
        operation: &'static str,
        source_name: &str,
        source: impl Into<Cause>,
    ) -> Self {
        Self::Ask {
            operation,
            source_name: source_name.to_owned(),
            source: source.into(),
        }
    }

    /// What a person can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Start(InvokeError::Spawn { .. }) => {
                Some("name the function's program, like `target/quick/ingest`")
            }
            Self::Start(_) => {
                Some("its own message stands above; it takes the settings of this command")
            }
            Self::NoReceiptsQueue => {
                Some("name it with `--receipts-queue URL` or the setting `receipt_queue_url`")
            }
            Self::Ask { .. } => Some(
                "is it there, and does `--endpoint URL` name what plays AWS? Without one the queue's own host is asked",
            ),
            Self::Fifo { .. } => Some("Calve reads standard queues"),
            Self::Visibility { .. } => Some(
                "raise the queue's visibility timeout (six times that of the function is what AWS advises), or lower `--timeout-s`",
            ),
            Self::NoWindow { .. } => Some("add `--window-s 1` or `--commit-window-s 1`"),
            Self::Signals(_) => None,
        }
    }
}
