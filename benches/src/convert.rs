//! One round of ours.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use arrow_array::RecordBatch;

use crate::table::lines_from;
use crate::{BenchTable, Converted, Result};

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

/// So much of the file is read at once: enough chunks for some threads, and still in the cache when it is flattened.
const PIECE_BYTES: usize = 8 << 20;

/// From a file of events to a Parquet file, as a peer does it: the file is read piece by piece, and flattened meanwhile.
///
/// `buffers` are kept from round to round, as peers keep theirs. Reading and flattening are done by the current rayon pool.
///
/// # Errors
///
/// Those of files, flattening and encoding.
pub fn convert(
    table: &BenchTable,
    events: &Path,
    output: &Path,
    buffers: &mut [Vec<u8>; 2],
) -> Result<Round> {
    let started = Instant::now();
    let mut file = File::open(events)?;
    let mut batches = Vec::new();
    let (mut n_events, mut flatten_s) = (0, 0.0);
    let [piece, next] = buffers;
    piece.clear();
    read_piece(&mut file, &[], piece)?;
    while !piece.is_empty() {
        let end = memchr::memrchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
        let (lines, rest) = piece.split_at(end);
        let (read, flattened) = rayon::join(
            || read_piece(&mut file, rest, next),
            || flatten(table, lines, n_events),
        );
        read?;
        let Flattened {
            rows,
            n_events: n_lines,
            seconds,
        } = flattened?;
        batches.extend(rows);
        n_events += n_lines;
        flatten_s += seconds;
        std::mem::swap(piece, next);
    }
    let encoding = Instant::now();
    let (mut n_rows, mut file_bytes) = (0, 0);
    table.encode(&batches, |file| {
        std::fs::write(output, &file.bytes)?;
        n_rows += file.data_file.n_rows;
        file_bytes += file.bytes.len() as u64;
        Ok(())
    })?;
    // What a part holds is let go as it is in a function: inside the time.
    drop(batches);
    Ok(Round {
        converted: Converted {
            seconds: started.elapsed().as_secs_f64(),
            n_rows,
            file_bytes,
        },
        flatten_s,
        encode_s: encoding.elapsed().as_secs_f64(),
    })
}

/// What is left of the last piece, and as much of the file behind it; nothing at its end.
fn read_piece(file: &mut File, rest: &[u8], piece: &mut Vec<u8>) -> Result<()> {
    piece.clear();
    piece.extend_from_slice(rest);
    file.take(PIECE_BYTES as u64).read_to_end(piece)?;
    Ok(())
}

/// The rows of some lines, the number of these, and how long it took.
struct Flattened {
    rows: Vec<RecordBatch>,
    n_events: usize,
    seconds: f64,
}

fn flatten(table: &BenchTable, ndjson: &[u8], first: usize) -> Result<Flattened> {
    let started = Instant::now();
    let events = lines_from(ndjson, first);
    let flattened = table.flatten(&events)?;
    Ok(Flattened {
        rows: flattened.batches,
        n_events: events.len(),
        seconds: started.elapsed().as_secs_f64(),
    })
}
