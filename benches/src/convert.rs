//! One round of ours.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use crate::{BenchTable, Converted, Result, lines};

/// What one round of ours took, and where.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// The whole of it.
    pub converted: Converted,
    /// Flattening, in seconds.
    pub flatten_s: f64,
    /// Encoding and writing the file, in seconds.
    pub encode_s: f64,
}

/// From a file of events to a Parquet file, as a peer does it.
///
/// `ndjson` is kept from round to round, as peers keep their buffers. Flattening is done by the current rayon pool.
///
/// # Errors
///
/// Those of files, flattening and encoding.
pub fn convert(
    table: &BenchTable,
    events: &Path,
    output: &Path,
    ndjson: &mut Vec<u8>,
) -> Result<Round> {
    let started = Instant::now();
    ndjson.clear();
    File::open(events)?.read_to_end(ndjson)?;
    let events_of_file = lines(ndjson);
    let read_s = started.elapsed().as_secs_f64();
    let flattened = table.flatten(&events_of_file)?;
    let flattened_s = started.elapsed().as_secs_f64();
    let (mut n_rows, mut file_bytes) = (0, 0);
    table.encode(&flattened.batches, |file| {
        std::fs::write(output, &file.bytes)?;
        n_rows += file.data_file.n_rows;
        file_bytes += file.bytes.len() as u64;
        Ok(())
    })?;
    // What a part holds is let go as it is in a function: inside the time.
    drop(flattened);
    let seconds = started.elapsed().as_secs_f64();
    Ok(Round {
        converted: Converted {
            seconds,
            n_rows,
            file_bytes,
        },
        flatten_s: flattened_s - read_s,
        encode_s: seconds - flattened_s,
    })
}
