//! What the benches and the gate measure: events into rows into Parquet, on a table whose columns are settled.
//!
//! * `cargo bench -p benches`: flattening, encoding, and both, over the shapes of the generator.
//! * the binary `gate`: the figures that must be reached, against DuckDB in the same run.
//! * the binary `peak_memory`: the memory of a fresh process, which `gate` starts.

mod columns;
mod gate;
mod memory;
mod peer;
mod table;

pub use columns::PathColumn;
pub use gate::Figure;
pub use memory::peak_bytes;
pub use peer::{Converted, Peer, peer_columns};
pub use table::{BenchTable, lines, on_one_thread};

/// What goes wrong here ends the run; nobody handles it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
