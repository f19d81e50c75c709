//! Speed and compression on the default shape, in small batches, on two threads, and on the hostile shape.

use std::path::Path;
use std::time::Instant;

use benches::{
    BenchTable, Bound, Contestant, Converted, Figure, Result, Round, Stage, events_per_s, lines,
    mb_per_s, pool_of,
};
use generator::{Corpus, Shape};

use crate::{
    Args,
    bounds::{Bounds, COMPRESSION, COMPRESSION_OF_PEER, HOSTILE, LEAST_EVENTS_PER_S},
    corpus,
    show::{times, to_one},
};

/// Events of a small batch, as one request brings them.
pub(crate) const N_SMALL: usize = 100;

/// How many small batches there are in a round.
const N_SMALL_BATCHES: usize = 200;

const AGAINST_PARSING: &str = "  against the same of parsing alone";

/// Parsing alone, which shares nothing between threads, is so many times as fast on two where a second core is free.
const FREE_CORE: f64 = 1.5;

/// Measures round after round, all in turn.
pub(crate) fn figures(
    args: &Args,
    bounds: &Bounds,
    default: &Corpus,
    stage: &Stage,
    folder: &Path,
) -> Result<Vec<Figure>> {
    let hostile = corpus(Shape::Hostile, args.events / 5);
    let hostile = Stage::write(&hostile, folder.join("hostile"))?;
    let mut speed = Speed {
        ours: [stage.ours(1)?, stage.ours(2)?],
        duckdb: args.duckdb(stage)?,
        parsers: args.parsers(stage)?,
        small: small_batches(stage.table()?, default)?,
        hostile: hostile.ours(1)?,
    };
    for _ in 0..args.rounds {
        speed.take_turns()?;
    }
    let mut figures = speed.of_one_thread(bounds, stage);
    figures.extend(speed.of_two_threads(bounds, stage)?);
    figures.push(speed.of_hostile(stage, &hostile));
    Ok(figures)
}

/// All that are measured in turn.
struct Speed {
    /// On one thread and on two.
    ours: [Contestant; 2],
    duckdb: Option<Contestant>,
    /// On one thread and on two.
    parsers: Option<[Contestant; 2]>,
    small: Contestant,
    hostile: Contestant,
}

/// Batches of 100 events one by one on one thread.
fn small_batches(table: BenchTable, corpus: &Corpus) -> Result<Contestant> {
    let pool = pool_of(1)?;
    let n_batches = N_SMALL_BATCHES.min(corpus.n_events() / N_SMALL);
    let ndjson = first_events(corpus, n_batches * N_SMALL).to_vec();
    let n_rows = (n_batches * N_SMALL) as u64;
    Ok(Contestant::new("small batches", 1, n_rows, move || {
        pool.install(|| {
            let (mut n_rows, mut file_bytes) = (0, 0);
            let events = lines(&ndjson);
            let started = Instant::now();
            for batch in events.chunks_exact(N_SMALL) {
                let (n_of_batch, bytes_of_batch) = table.flatten_and_encode(batch)?;
                n_rows += n_of_batch;
                file_bytes += bytes_of_batch;
            }
            Ok(Round::of_peer(Converted {
                seconds: started.elapsed().as_secs_f64(),
                n_rows,
                file_bytes,
            }))
        })
    }))
}

/// The first so many events, each with its new line.
pub(crate) fn first_events(corpus: &Corpus, n_events: usize) -> &[u8] {
    let n_bytes: usize = corpus
        .events()
        .take(n_events)
        .map(|event| event.len() + 1)
        .sum();
    &corpus.ndjson()[..n_bytes]
}

impl Speed {
    fn take_turns(&mut self) -> Result<()> {
        let [one, two] = &mut self.ours;
        // Those that are compared stand side by side.
        if let Some(duckdb) = &mut self.duckdb {
            duckdb.take_turn()?;
        }
        one.take_turn()?;
        two.take_turn()?;
        for parser in self.parsers.iter_mut().flatten() {
            parser.take_turn()?;
        }
        self.small.take_turn()?;
        self.hostile.take_turn()?;
        Ok(())
    }

    fn of_one_thread(&self, bounds: &Bounds, stage: &Stage) -> Vec<Figure> {
        let (json_bytes, n_events) = (stage.json_bytes, stage.n_rows as f64);
        let (ours, small) = (&self.ours[0], &self.small);
        let small_events_per_s = small.n_rows as f64 / small.seconds();
        let compression = json_bytes / ours.file_bytes();
        let mut figures = vec![
            Figure::held(
                "JSON to Parquet on one core",
                LEAST_EVENTS_PER_S,
                n_events / ours.seconds(),
                events_per_s,
            ),
            Figure::told("  in bytes of JSON", mb_per_s(json_bytes / ours.seconds())),
            Figure::told(
                "  flattening alone",
                mb_per_s(json_bytes / ours.flatten_s()),
            ),
        ];
        let faster = "  times as fast as DuckDB";
        let denser = "  compression against DuckDB's";
        let small_name = "a batch of 100 events to Parquet on one core";
        let smaller = "  against DuckDB on all events at once";
        let small_figure = Figure::held(
            small_name,
            LEAST_EVENTS_PER_S,
            small_events_per_s,
            events_per_s,
        );
        let compression_figure = Figure::held(
            "compression against the JSON",
            COMPRESSION,
            compression,
            to_one,
        );
        let Some(duckdb) = &self.duckdb else {
            let unknown = |name, bound| Figure::not_measured(name, bound, times, "no DuckDB");
            figures.push(unknown(faster, bounds.default_shape));
            figures.extend([compression_figure, unknown(denser, COMPRESSION_OF_PEER)]);
            figures.extend([small_figure, unknown(smaller, bounds.small_batches)]);
            return figures;
        };
        let events_of_peer = n_events / duckdb.seconds();
        let compression_of_peer = json_bytes / duckdb.file_bytes();
        let held = |name, bound: Bound, ratio| Figure::held(name, bound, ratio, times);
        figures.extend([
            Figure::told(
                &format!("  {}, one thread, same columns and level", duckdb.name),
                format!(
                    "{}, {}",
                    events_per_s(events_of_peer),
                    mb_per_s(json_bytes / duckdb.seconds())
                ),
            ),
            held(faster, bounds.default_shape, ours.times_as_fast_as(duckdb)),
            compression_figure,
            Figure::told("  DuckDB's compression", to_one(compression_of_peer)),
            held(
                denser,
                COMPRESSION_OF_PEER,
                compression / compression_of_peer,
            ),
            small_figure,
            held(
                smaller,
                bounds.small_batches,
                small.times_as_fast_as(duckdb) * small.n_rows as f64 / n_events,
            ),
        ]);
        figures
    }

    /// How the second thread helps, beside what it does for parsing alone, which only reads.
    fn of_two_threads(&self, bounds: &Bounds, stage: &Stage) -> Result<Vec<Figure>> {
        let ours = scaling(&self.ours);
        let mut figures = vec![Figure::told("two threads against one", times(ours))];
        if let Some(parsers) = &self.parsers {
            let parsing = scaling(parsers);
            let told = format!("  {}, parsing alone", parsers[0].name);
            figures.push(Figure::told(&told, times(parsing)));
            figures.push(against_parsing(bounds.scaling, ours, parsing));
        } else {
            let reason = "the parser is not built";
            let figure = Figure::not_measured(AGAINST_PARSING, bounds.scaling, times, reason);
            figures.push(figure);
        }
        let is_same = stage.are_files_the_same()?;
        let bytes = if is_same { "yes" } else { "no" };
        figures.push(Figure::must(
            "  the same bytes from one thread and from two",
            is_same,
            bytes.to_owned(),
        ));
        Ok(figures)
    }

    fn of_hostile(&self, stage: &Stage, hostile: &Stage) -> Figure {
        let times_as_long = hostile.json_bytes / stage.json_bytes;
        let ratio = times_as_long * self.hostile.times_as_fast_as(&self.ours[0]);
        let name = "the hostile shape against the default one, in bytes";
        Figure::held(name, HOSTILE, ratio, times)
    }
}

/// How ours scales against parsing alone; nothing is held where parsing shows that no second core was to be had.
fn against_parsing(bound: Bound, ours: f64, parsing: f64) -> Figure {
    if parsing < FREE_CORE {
        let reason = "the second core is busy";
        return Figure::not_measured(AGAINST_PARSING, bound, times, reason);
    }
    Figure::held(AGAINST_PARSING, bound, ours / parsing, times)
}

/// Times as fast on two threads as on one.
fn scaling(on_one_and_two: &[Contestant; 2]) -> f64 {
    let [one, two] = on_one_and_two;
    two.times_as_fast_as(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_scaling(ours: f64, parsing: f64, is_ok: bool, expected: &str) {
        let figure = against_parsing(Bound::at_least(0.9).held_at(0.6), ours, parsing);
        assert_eq!(figure.is_ok(), is_ok);
        assert!(figure.to_string().contains(expected), "{figure}");
    }

    #[test]
    fn two_threads_are_held_where_there_is_a_second_core() {
        check_scaling(1.8, 1.8, true, "1.00×");
        check_scaling(1.35, 1.8, true, "0.75×");
        check_scaling(0.9, 1.8, false, "0.50×");
        // Where parsing does not gain from it, neither can ours.
        check_scaling(0.5, 1.0, true, "not measured: the second core is busy");
        check_scaling(1.0, f64::NAN, false, "NO");
    }

    #[test]
    fn the_first_events_are_whole_lines_and_no_more_than_there_are() {
        let corpus = corpus(Shape::Default, 10);
        let first = first_events(&corpus, 3);
        assert_eq!(lines(first).len(), 3);
        assert!(first.ends_with(b"\n"));
        assert_eq!(first_events(&corpus, 20), corpus.ndjson());
    }
}
