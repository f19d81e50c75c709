//! `calve ingest`: files through the same pipeline as the function's.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use indicatif::ProgressBar;
use jiff::Timestamp;
use pipeline::{
    Invocation, Payload, Pipeline, Record, RefusalNote, Report, Settings, SourceBatch,
    pieces::{self, Piece, PieceError, Pieces},
    settings::{ByteSize, Mode},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::args::IngestArguments;
use crate::error::CliError;
use crate::files::{self, PIECES};
use crate::printer::{Printer, count, size, thousands};

/// How many refusals are told one by one.
const MAX_REFUSALS_TOLD: usize = 10;

/// Ingests every file in turn and prints what became of the events.
///
/// A file that cannot be opened stops everything before anything is written. One that cannot be read to its end does not
/// keep the others from being ingested; a table that does not take the events does. What landed is summed up in any case.
///
/// # Errors
///
/// When a file was not ingested whole.
pub(crate) async fn run(
    arguments: &IngestArguments,
    settings: &Settings,
    printer: Printer,
) -> Result<(), CliError> {
    let begun = Instant::now();
    let table = settings.table.name.clone();
    let sources = arguments
        .files
        .iter()
        .map(|path| Source::open(path, arguments.arrival));
    let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
    let mut settings = settings.clone();
    // The pieces of a file must not depend on settings, else it would be another one when they change.
    settings.max_payload_inflated_bytes = ByteSize::new(PIECES.payload_bytes());
    // Whoever waits at the desk gets a snapshot, not a receipt for one.
    settings.mode = Mode::Direct;
    let opened = Pipeline::open(settings).await;
    let pipeline = opened.map_err(|source| CliError::OpenTable {
        table: table.clone(),
        source: source.into(),
    })?;
    let n_files = sources.len();
    let mut summary = Summary {
        table,
        ..Summary::default()
    };
    let mut errors = Vec::new();
    for source in sources {
        let ingested = ingest(source, &pipeline, printer, &mut summary).await;
        let Err(error) = ingested else { continue };
        let is_of_file = matches!(error, CliError::ReadFile { .. });
        if n_files > 1 {
            Printer::error(&error);
        }
        errors.push(error);
        if !is_of_file {
            break;
        }
    }
    summary.elapsed_ms = begun.elapsed().as_secs_f64() * 1e3;
    for note in &summary.refusals {
        printer.note(format_args!(
            "refused: {} at byte {}: {}",
            note.source_id, note.offset, note.reason
        ));
    }
    if errors.is_empty() || summary.n_files > 0 || summary.n_events > 0 {
        printer.result(&summary, &summary)?;
    }
    let n_whole = summary.n_files;
    match errors.pop() {
        None => Ok(()),
        Some(error) if n_files == 1 => Err(error),
        Some(_) => Err(CliError::NotAllFiles { n_whole, n_files }),
    }
}

/// Something to ingest, opened.
struct Source {
    /// What a person calls it.
    name: String,
    /// What rows call it; the same file has the same name from any directory, and every pipe has one.
    identity: String,
    arrival_us: i64,
    /// As stored, when that is known.
    n_bytes: Option<u64>,
    reader: Box<dyn Read + Send>,
}

/// What rows call the bytes of a pipe, with their hash behind.
const PIPE: &str = "pipe";

impl Source {
    fn open(path: &Path, arrival: Option<Timestamp>) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let arrival_us = arrival.map(Timestamp::as_microsecond);
        if name == "-" {
            let name = "standard input".to_owned();
            return Ok(Self::pipe(name, arrival_us, Box::new(io::stdin())));
        }
        let failed = |source| CliError::OpenFile {
            file: name.clone(),
            source,
        };
        let (file, metadata) = files::open(path).map_err(failed)?;
        // `/dev/stdin`, a named pipe, or `<(command)` in a shell: such a path means something else each time.
        if !metadata.is_file() {
            return Ok(Self::pipe(name, arrival_us, Box::new(file)));
        }
        let identity = path.canonicalize().map_err(failed)?.display().to_string();
        let modified = metadata.modified().map_err(failed)?;
        let modified =
            Timestamp::try_from(modified).map_err(|error| failed(io::Error::other(error)))?;
        Ok(Self {
            name,
            identity,
            arrival_us: arrival_us.unwrap_or(modified.as_microsecond()),
            n_bytes: Some(metadata.len()),
            reader: Box::new(file),
        })
    }

    /// A pipe has no path that would be the same again: it is known by its bytes alone.
    fn pipe(name: String, arrival_us: Option<i64>, reader: Box<dyn Read + Send>) -> Self {
        Self {
            name,
            identity: PIPE.to_owned(),
            arrival_us: arrival_us.unwrap_or_else(|| Timestamp::now().as_microsecond()),
            n_bytes: None,
            reader,
        }
    }
}

/// Ingests one file, piece by piece.
async fn ingest(
    source: Source,
    pipeline: &Pipeline,
    printer: Printer,
    summary: &mut Summary,
) -> Result<(), CliError> {
    let Source {
        name,
        identity,
        arrival_us,
        n_bytes,
        reader,
    } = source;
    let n_rows_before = summary.n_rows;
    let unreadable = |source: PieceError, n_rows| CliError::ReadFile {
        file: name.clone(),
        n_rows,
        source,
    };
    let progress = printer.progress(n_bytes).with_message(name.clone());
    let reader = Counted {
        inner: reader,
        progress: progress.clone(),
    };
    let reader = pieces::inflated(reader)
        .map_err(|source| unreadable(PieceError::Read { offset: 0, source }, 0))?;
    let mut pieces = Pieces::new(reader, PIECES);
    loop {
        let piece = pieces
            .next_piece()
            .map_err(|source| unreadable(source, summary.n_rows - n_rows_before))?;
        let Some(piece) = piece else { break };
        let offset = piece.offset;
        let report = pipeline
            .run(payload(piece, &identity, arrival_us), &invocation())
            .await;
        let report = report.map_err(|source| CliError::Ingest {
            file: name.clone(),
            offset,
            n_rows: summary.n_rows - n_rows_before,
            source: source.into(),
        })?;
        summary.add(report);
    }
    progress.finish_and_clear();
    summary.n_files += 1;
    Ok(())
}

/// One piece as the pipeline takes it: the same bytes at the same place of the same file are the same batch.
fn payload(piece: Piece, identity: &str, arrival_us: i64) -> Payload {
    use fmt::Write as _;
    let Piece {
        offset,
        body,
        is_lines,
    } = piece;
    let content_sha256 = Sha256::digest(&body)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}"); // Writing to a string cannot fail.
            hex
        });
    let source_id = format!("{identity}@{}#{offset}", &content_sha256[..12]);
    let source = SourceBatch::file(identity, &content_sha256, offset, is_lines);
    let record = Record {
        delivery_id: source_id.clone(),
        source_id,
        arrival_us,
        body: body.into(),
        is_base64: false,
    };
    Payload {
        records: vec![record],
        source,
    }
}

/// The clock and the dice, read here at the edge.
pub(crate) fn invocation() -> Invocation {
    Invocation {
        now_us: Timestamp::now().as_microsecond(),
        deadline: None,
        seed: random(),
    }
}

/// A number that no other process has.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Tells the progress bar what was read of the file as it is stored.
struct Counted<R> {
    inner: R,
    progress: ProgressBar,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.progress.inc(n_read as u64);
        Ok(n_read)
    }
}

/// What became of the events of all files.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    table: String,
    /// With routes the rows of each table.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    n_rows_by_table: BTreeMap<String, u64>,
    n_files: u64,
    n_events: u64,
    n_rows: u64,
    n_rows_delivered_before: u64,
    n_refused: u64,
    n_quarantined: u64,
    n_refused_by_kind: BTreeMap<&'static str, u64>,
    n_rescued: u64,
    n_new_columns: u64,
    inflated_bytes: u64,
    n_data_files: u64,
    data_file_bytes: u64,
    n_snapshots: u64,
    elapsed_ms: f64,
    quarantine: Vec<String>,
    refusals: Vec<RefusalNote>,
}

impl Summary {
    fn add(&mut self, report: Report) {
        for table in &report.tables {
            let of_table = self.n_rows_by_table.entry(table.table.clone());
            let of_table = of_table.or_default();
            if table.is_repeat {
                self.n_rows_delivered_before += table.n_rows;
            } else {
                self.n_rows += table.n_rows;
                *of_table += table.n_rows;
            }
            self.n_snapshots += u64::from(table.snapshot_id.is_some());
        }
        if report.tables.is_empty() {
            if report.is_repeat {
                self.n_rows_delivered_before += report.n_rows;
            } else {
                self.n_rows += report.n_rows;
            }
            self.n_snapshots += u64::from(report.snapshot_id.is_some());
        }
        self.n_data_files += report.n_files;
        self.data_file_bytes += report.file_bytes;
        self.n_events += report.n_events;
        self.n_refused += report.n_refused;
        self.n_quarantined += report.n_quarantined;
        self.n_rescued += report.n_rescued;
        self.n_new_columns += report.n_new_columns;
        self.inflated_bytes += report.inflated_bytes;
        for (kind, n_refused) in report.n_refused_by_kind {
            *self.n_refused_by_kind.entry(kind).or_default() += n_refused;
        }
        let places = report
            .tables
            .into_iter()
            .filter_map(|table| table.quarantine);
        let places: Vec<String> = places.collect();
        if places.is_empty() {
            self.quarantine.extend(report.quarantine);
        }
        self.quarantine.extend(places);
        let room = MAX_REFUSALS_TOLD.saturating_sub(self.refusals.len());
        self.refusals.extend(report.refusals.into_iter().take(room));
    }
}

impl Summary {
    /// Where the rows are.
    fn tables(&self) -> String {
        let mut tables = self.n_rows_by_table.keys();
        match (tables.next(), tables.len()) {
            (None, _) => format!("`{}`", self.table),
            (Some(only), 0) => format!("`{only}`"),
            (Some(_), others) => count(others as u64 + 1, "table"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed_ms / 1e3;
        let (rows, events) = (thousands(self.n_rows), count(self.n_events, "event"));
        writeln!(
            f,
            "{rows} rows from {events} of {} in {}",
            count(self.n_files, "file"),
            self.tables()
        )?;
        if self.n_rows_by_table.len() > 1 {
            for (table, n_rows) in &self.n_rows_by_table {
                writeln!(f, "  {:<12}  `{table}`", thousands(*n_rows))?;
            }
        }
        if self.n_rows_delivered_before > 0 {
            let known = thousands(self.n_rows_delivered_before);
            writeln!(f, "  not repeated  {known} rows were in the table before")?;
        }
        if self.n_refused > 0 {
            let kinds = self
                .n_refused_by_kind
                .iter()
                .map(|(kind, n)| format!("{kind} {}", thousands(*n)));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            writeln!(f, "  refused       {} ({kinds})", thousands(self.n_refused))?;
        }
        for location in &self.quarantine {
            writeln!(f, "  quarantine    {location}")?;
        }
        if self.n_rescued > 0 {
            writeln!(
                f,
                "  rescued       {} to `_doc`",
                count(self.n_rescued, "value")
            )?;
        }
        if self.n_new_columns > 0 {
            writeln!(f, "  new columns   {}", thousands(self.n_new_columns))?;
        }
        let (data_files, snapshots) = (
            count(self.n_data_files, "data file"),
            count(self.n_snapshots, "snapshot"),
        );
        writeln!(
            f,
            "  written       {} in {data_files}, {snapshots}",
            size(self.data_file_bytes)
        )?;
        let mib_per_s = self.inflated_bytes as f64 / f64::from(1 << 20) / seconds.max(1e-3);
        writeln!(
            f,
            "  read          {} in {seconds:.2} s, {mib_per_s:.1} MiB/s",
            size(self.inflated_bytes)
        )
    }
}
