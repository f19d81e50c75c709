//! Peers in Rust, each as `gate` and `peers` start them: `rust_peers PEER COLUMNS EVENTS OUTPUT ZSTD_LEVEL THREADS`.
//!
//! * `arrow-json`: the `arrow-json` and `parquet` crates as their documentation puts them together, structs taken apart. It
//!   does less than Calve: what its schema does not name, it drops.
//! * `sonic-rs`: parsing alone, into the values of the fastest parser, as the bound of whoever parses first.

use std::fs::File;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Array, ArrayRef, RecordBatch, StructArray, cast::AsArray};
use arrow_json::ReaderBuilder;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use serde::Deserialize;

/// How many rows arrow-json decodes at a time, as is usual.
const BATCH_ROWS: usize = 8192;

/// How many events a thread parses at a time.
const CHUNK_EVENTS: usize = 1024;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Args {
    columns: Vec<Column>,
    events: PathBuf,
    output: PathBuf,
    level: i32,
}

/// A column that the events have.
#[derive(Deserialize)]
struct Column {
    /// Its path, as an RFC 6901 pointer.
    pointer: String,
    /// `boolean`, `long`, `double`, `string`, `timestamptz` or `json`.
    #[serde(rename = "type")]
    kind: String,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [peer, columns, events, output, level, threads] = args.as_slice() else {
        return Err("usage: rust_peers PEER COLUMNS EVENTS OUTPUT ZSTD_LEVEL THREADS".into());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.parse()?)
        .build_global()?;
    let args = Args {
        columns: serde_json::from_slice(&std::fs::read(columns)?)?,
        events: events.into(),
        output: output.into(),
        level: level.parse()?,
    };
    match peer.as_str() {
        "arrow-json" => serve("arrow-json and parquet 58", || with_arrow_json(&args)),
        "sonic-rs" => {
            let ndjson = std::fs::read(&args.events)?;
            serve("sonic-rs 0.5", || parse(&ndjson))
        }
        _ => Err(format!("there is no peer `{peer}`").into()),
    }
}

/// Says who it is, and does a round for every line on the standard input, until one fails.
fn serve(version: &str, mut round: impl FnMut() -> Result<(u64, u64)>) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "version": version }))?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let started = Instant::now();
        let (n_rows, file_bytes) = match round() {
            Ok(converted) => converted,
            Err(error) => {
                let answer = serde_json::json!({ "error": error.to_string() });
                writeln!(out, "{answer}")?;
                return Err(error);
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        let answer =
            serde_json::json!({ "seconds": seconds, "n_rows": n_rows, "file_bytes": file_bytes });
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

/// Parses every event into a value; how many were objects.
fn parse(ndjson: &[u8]) -> Result<(u64, u64)> {
    use sonic_rs::JsonValueTrait;
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', ndjson).collect();
    let starts = std::iter::once(0).chain(ends.iter().map(|end| end + 1));
    let events: Vec<&[u8]> = starts
        .zip(&ends)
        .map(|(start, &end)| &ndjson[start..end])
        .collect();
    let n_objects: Result<Vec<u64>> = events
        .par_chunks(CHUNK_EVENTS)
        .map(|events| {
            let mut n_objects = 0;
            for event in events {
                let value: sonic_rs::Value = sonic_rs::from_slice(event)?;
                n_objects += u64::from(value.is_object());
            }
            Ok(n_objects)
        })
        .collect();
    Ok((n_objects?.iter().sum(), 0))
}

/// NDJSON to Parquet; rows and bytes of the file.
fn with_arrow_json(args: &Args) -> Result<(u64, u64)> {
    let ndjson = std::fs::read(&args.events)?;
    let schema = Arc::new(Schema::new(fields_of(&args.columns)));
    let mut decoder = ReaderBuilder::new(schema)
        .with_batch_size(BATCH_ROWS)
        .build_decoder()?;
    let mut writer: Option<ArrowWriter<File>> = None;
    let (mut n_rows, mut rest) = (0, ndjson.as_slice());
    loop {
        let n_taken = decoder.decode(rest)?;
        rest = &rest[n_taken..];
        let Some(batch) = decoder.flush()? else { break };
        let flat = flat(&batch)?;
        n_rows += flat.num_rows() as u64;
        if let Some(writer) = &mut writer {
            writer.write(&flat)?;
        } else {
            writer.insert(writer_of(args, &flat)?).write(&flat)?;
        }
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok((n_rows, std::fs::metadata(&args.output)?.len()))
}

fn writer_of(args: &Args, batch: &RecordBatch) -> Result<ArrowWriter<File>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(args.level)?))
        .build();
    let file = File::create(&args.output)?;
    Ok(ArrowWriter::try_new(
        file,
        batch.schema(),
        Some(properties),
    )?)
}

/// The columns as the objects that they stand in. Arrays are left out: it would have to be told what is in them.
fn fields_of(columns: &[Column]) -> Fields {
    let paths = columns.iter().filter_map(|column| {
        let data_type = match column.kind.as_str() {
            "boolean" => DataType::Boolean,
            "long" => DataType::Int64,
            "double" => DataType::Float64,
            "string" => DataType::Utf8,
            "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            _ => return None,
        };
        Some((column.pointer.trim_start_matches('/'), data_type))
    });
    below(paths.collect())
}

/// The fields of an object; those with the same first key stand together in it.
fn below(paths: Vec<(&str, DataType)>) -> Fields {
    let mut objects: Vec<(&str, Vec<(&str, DataType)>)> = Vec::new();
    for (path, data_type) in paths {
        let (key, rest) = path.split_once('/').unwrap_or((path, ""));
        match objects.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push((rest, data_type)),
            None => objects.push((key, vec![(rest, data_type)])),
        }
    }
    let fields = objects.into_iter().map(|(key, mut members)| {
        let data_type = match members.as_mut_slice() {
            [("", data_type)] => data_type.clone(),
            _ => DataType::Struct(below(members)),
        };
        Field::new(key, data_type, true)
    });
    fields.collect()
}

/// The batch with its structs taken apart.
fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    take_apart(
        &StructArray::from(batch.clone()),
        "",
        &mut fields,
        &mut columns,
    );
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

fn take_apart(
    members: &StructArray,
    prefix: &str,
    fields: &mut Vec<Field>,
    columns: &mut Vec<ArrayRef>,
) {
    for (field, column) in members.fields().iter().zip(members.columns()) {
        let name = format!("{prefix}{}", field.name());
        if let Some(inner) = column.as_struct_opt() {
            take_apart(inner, &format!("{name}_"), fields, columns);
        } else {
            fields.push(Field::new(name, column.data_type().clone(), true));
            columns.push(Arc::clone(column));
        }
    }
}
