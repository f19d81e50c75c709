//! What the benches and the gate measure: events into rows into Parquet, on a table whose columns are settled.
//!
//! * `cargo bench -p benches`: flattening, encoding, and both, over the shapes of the generator.
//! * the binary `gate`: the figures that must be reached, as ratios to DuckDB and to parsing alone in the same run.
//! * the binary `peers`: ours beside other tools, and beside parsing and encoding alone (the package `rust_peers` has those in Rust).
//! * the binary `levels`: what each Zstandard level costs and saves.
//! * the binary `peak_memory`: the memory of a fresh process, which `gate` starts.
//! * the binary `instructions`: flattening and encoding, for callgrind to count their instructions.

mod columns;
mod contest;
mod convert;
mod ending;
mod figure;
mod memory;
mod peer;
mod picture;
mod show;
mod table;

pub use columns::PathColumn;
pub use contest::{Contestant, Stage, rust_peer, script};
pub use convert::{Round, convert};
pub use ending::ended;
pub use figure::{Bound, Figure};
pub use memory::{Line, mib, peak_bytes};
pub use peer::{Converted, Peer, Work, peer_columns};
pub use picture::{Bar, bars};
pub use show::{events_per_s, mb_per_s, median, thousands};
pub use table::{BenchTable, lines, on_one_thread, pool_of};

/// What goes wrong here ends the run; nobody handles it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
