//! Composes `flatten` and `lake`: payloads, settings, quarantine, outcomes, reports.
//!
//! ```text
//! payload → inflate → frame → flatten → data files → quarantine → commit → one outcome per record
//! ```
//!
//! Nothing here reads the wall clock, the environment or a source of randomness: they are arguments.

mod committer;
mod cpu;
mod dedupe;
mod error;
mod events;
mod frame;
mod inflate;
mod known;
mod land;
mod lots;
mod objects;
mod open_lake;
mod open_table;
pub mod pieces;
mod pipeline;
pub mod quarantine;
mod read;
mod receipts;
mod replay;
mod report;
mod route;
pub mod settings;
mod source;
mod steps;
mod stored;
mod tables;
mod tally;
pub mod telemetry;

// What the command line looks at tables with: it imports no other crate of ours.
pub use flatten::{Shape, ShapeError};
pub use lake::{
    DedupeReport, Lake, LakeError, ObjectPart, ObjectPartError, ObjectVersion, SequenceNumber,
    Table, TableDefinition, TableName,
};

pub use committer::{
    Committer, CommitterElapsedMs, CommitterReport, MessageOutcome, QuarantinedReceipt,
    ReadReceiptError, ReceiptAnswer, ReceiptMessage, TableReport,
};
pub use dedupe::{DedupeBy, DedupeScope, dedupe};
pub use error::{Disposition, PipelineError};
pub use frame::{Broken, Flaw, Frames, MAX_BODY_BYTES, frame};
pub use inflate::{InflateError, inflate};
pub use objects::{ObjectReader, SourceObject};
pub use open_lake::{open_lake, open_lake_to_read};
pub use open_table::table_properties;
pub use pipeline::{Invocation, Pipeline};
pub use quarantine::QuarantinedEvent;
pub use read::EVENT_BYTES;
pub use receipts::{
    MAX_MESSAGE_BYTES, ReceiptSink, SendError, SqsQueue, UnreadableReceipt, check_queue,
    queue_config,
};
pub use replay::{ReplayOptions, ReplayOutcome, ReplayReport};
pub use report::{ElapsedMs, LandedTable, Outcome, RecordOutcome, RefusalNote, Report};
pub use settings::{Settings, SettingsError};
pub use source::{Identity, Payload, Record, SourceBatch};
pub use stored::{Contents, Quarantine, Stored, StoredIn};
