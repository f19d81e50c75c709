//! JSON events into Arrow batches: pure, synchronous, the same result on any number of threads.
//!
//! The rules are those of `docs/flattening.md`; "section" below means a section of that page.
//!
//! ```
//! use flatten::{Event, Flattener, Input, Record, Schema, Shape};
//!
//! let flattener = Flattener::new(Schema::of_system_columns(), Shape::default()).unwrap();
//! let records = [Record { source_id: "a.ndjson", arrival_us: 1_760_000_000_000_000 }];
//! let events = [Event { bytes: br#"{"user":{"id":7}}"#, record: 0, index: 0 }];
//! let flattened = flattener.flatten(&Input {
//!     records: &records,
//!     events: &events,
//!     ingested_at_us: 1_760_000_000_000_000,
//! }).unwrap();
//!
//! assert_eq!(flattened.n_rows(), 1);
//! assert_eq!(flattened.new_columns[0].name, "user_id");
//! assert_eq!(flattened.new_columns[0].pointer, "/user/id");
//! ```

mod builder;
mod candidate;
mod chunk;
mod cold;
mod doc;
mod escape;
mod finder;
mod flattener;
mod gaps;
mod input;
mod number;
mod output;
mod plan;
mod pointer;
mod scan;
mod schema;
mod shape;
mod special;
mod text;
mod time;
mod trie;
mod walk;

pub use finder::Finder;
pub use flattener::Flattener;
pub use input::{Event, Input, Record};
pub use output::{FlattenError, Flattened, NewColumn, Refusal, Refused};
pub use pointer::Pointer;
pub use schema::{Column, Schema, SchemaError, system, timestamptz};
pub use shape::{Conflict, DeclaredType, Doc, Shape, ShapeError, UnreadableTime};
