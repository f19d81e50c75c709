//! Events to the standard output or a file.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use generator::{Generator, Shape};

use crate::args::{Args, Target};
use crate::progress::Progress;
use crate::summary::Summary;

/// How much is written at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Why events could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("cannot create `{path}`: {source}")]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot write to {to} after {n_events} events: {source}")]
    Write {
        to: String,
        n_events: u64,
        source: io::Error,
    },
}

/// Writes the events. `None` when the reader of the standard output went away.
pub(crate) fn run(args: &Args) -> Result<Option<Summary>, StreamError> {
    let mut sink: Box<dyn Write> = match &args.to {
        Target::File(path) => Box::new(create(path)?),
        _ => Box::new(io::stdout().lock()),
    };
    let mut written = Written {
        n_events: 0,
        bytes: 0,
        elapsed: Duration::ZERO,
    };
    match write_all(args, &mut *sink, &mut written) {
        Ok(()) => Ok(Some(Summary {
            to: args.to.to_string(),
            shape: Shape::from(args.shape).name(),
            seed: args.seed,
            n_events: written.n_events,
            event_bytes: written.bytes,
            elapsed: written.elapsed,
            requests: None,
            n_failed_requests: 0,
        })),
        Err(error) if error.kind() == ErrorKind::BrokenPipe && args.to == Target::Stdout => {
            Ok(None)
        }
        Err(source) => Err(StreamError::Write {
            to: args.to.to_string(),
            n_events: written.n_events,
            source,
        }),
    }
}

/// How far writing came.
struct Written {
    n_events: u64,
    bytes: u64,
    elapsed: Duration,
}

fn create(path: &Path) -> Result<File, StreamError> {
    File::create(path).map_err(|source| StreamError::Create {
        path: path.to_owned(),
        source,
    })
}

/// Writes until the number or the time is reached, at the rate asked for.
fn write_all(args: &Args, sink: &mut dyn Write, written: &mut Written) -> io::Result<()> {
    let mut generator = Generator::new(&args.settings());
    let mut chunk = Vec::with_capacity(2 * CHUNK_BYTES);
    let progress = Progress::new(args);
    let time_limit = args.seconds.map(Duration::from_secs_f64);
    // At a low rate a chunk is a tenth of a second's events, so that they flow.
    let n_chunk_events = args
        .rate
        .map_or(u64::MAX, |rate| u64::from(rate).div_ceil(10));
    let started = Instant::now();

    while written.n_events < args.n_events()
        && time_limit.is_none_or(|limit| started.elapsed() < limit)
    {
        if let Some(rate) = args.rate {
            let due = Duration::from_secs_f64(written.n_events as f64 / f64::from(rate));
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
        let n_wanted = n_chunk_events.min(args.n_events() - written.n_events);
        let mut n_made = 0;
        chunk.clear();
        while n_made < n_wanted && chunk.len() < CHUNK_BYTES {
            generator.write_event(&mut chunk);
            n_made += 1;
        }
        sink.write_all(&chunk)?;
        written.n_events += n_made;
        written.bytes += chunk.len() as u64;
        progress.update(written.n_events, started.elapsed());
    }
    sink.flush()?;
    written.elapsed = started.elapsed();
    progress.finish();
    Ok(())
}
