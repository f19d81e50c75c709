//! Ours and others on the same events, in turns, so that a busy machine is busy for all of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use generator::Corpus;

use crate::{
    BenchTable, Converted, PathColumn, Peer, Result, Round, Work, convert, lines, median,
    peer_columns, pool_of,
};

/// What all contestants read, and where they write.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    columns: Vec<PathColumn>,
    /// The size of all events, in bytes.
    pub json_bytes: f64,
    /// How many of the events become rows.
    pub n_rows: u64,
}

impl Stage {
    /// Writes the events and the columns that they bring into a folder, which is made.
    ///
    /// # Errors
    ///
    /// Those of files and of flattening.
    pub fn write(corpus: &Corpus, folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let table = BenchTable::settled_for(corpus)?;
        let stage = Self {
            folder,
            columns: PathColumn::all_of(table.columns())?,
            json_bytes: corpus.ndjson().len() as f64,
            n_rows: (corpus.n_events() - corpus.n_refused()) as u64,
        };
        std::fs::write(stage.events(), corpus.ndjson())?;
        std::fs::write(stage.columns_file(), serde_json::to_vec(&stage.columns)?)?;
        let columns = peer_columns(table.columns(), &lines(corpus.ndjson()))?;
        std::fs::write(stage.peer_columns_file(), serde_json::to_vec(&columns)?)?;
        Ok(stage)
    }

    /// The file of the columns that paths own, as `peak_memory` reads it.
    pub fn columns_file(&self) -> PathBuf {
        self.folder.join("columns.json")
    }

    /// A table with all the columns that the events bring.
    ///
    /// # Errors
    ///
    /// When it cannot be made in the directory for temporary files.
    pub fn table(&self) -> Result<BenchTable> {
        BenchTable::with_schema(PathColumn::schema_with(&self.columns))
    }

    /// Ours on so many threads.
    ///
    /// # Errors
    ///
    /// When there is no table or no thread to be had.
    pub fn ours(&self, n_threads: usize) -> Result<Contestant> {
        let pool = pool_of(n_threads)?;
        let table = self.table()?.on_threads(Arc::clone(&pool));
        let (events, output) = (self.events(), self.file_of_ours(n_threads));
        // Kept from round to round, as the peers keep their buffers.
        let mut buffers = <[Vec<u8>; 2]>::default();
        Ok(Contestant::new(
            "Calve",
            n_threads,
            self.n_rows,
            move || pool.install(|| convert(&table, &events, &output, &mut buffers)),
        ))
    }

    /// Another program on so many threads.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn peer(&self, program: Command, name: &str, n_threads: usize) -> Result<Contestant> {
        let work = Work {
            columns: &self.peer_columns_file(),
            events: &self.events(),
            output: &self.folder.join(format!("{name}-{n_threads}.parquet")),
            zstd_level: lake::WriteOptions::default().zstd_level,
            n_threads,
        };
        let mut peer = Peer::start(program, &work)?;
        let version = peer.version().to_owned();
        Ok(Contestant::new(
            &version,
            n_threads,
            self.n_rows,
            move || Ok(Round::of_peer(peer.convert()?)),
        ))
    }

    /// Whether one thread of ours and two wrote the same bytes. Both have had their turns.
    ///
    /// # Errors
    ///
    /// When one of the files cannot be read.
    pub fn are_files_the_same(&self) -> Result<bool> {
        Ok(std::fs::read(self.file_of_ours(1))? == std::fs::read(self.file_of_ours(2))?)
    }

    fn events(&self) -> PathBuf {
        self.folder.join("events.ndjson")
    }

    fn peer_columns_file(&self) -> PathBuf {
        self.folder.join("peer_columns.json")
    }

    fn file_of_ours(&self, n_threads: usize) -> PathBuf {
        self.folder.join(format!("ours-{n_threads}.parquet"))
    }
}

/// One that is measured, and what its rounds gave.
pub struct Contestant {
    /// What it is, and of which version.
    pub name: String,
    /// How many threads it has.
    pub n_threads: usize,
    /// How many rows it finds in each turn.
    pub n_rows: u64,
    turn: Box<dyn FnMut() -> Result<Round>>,
    rounds: Vec<Round>,
}

impl Contestant {
    /// One that has to find so many rows in each turn.
    pub fn new(
        name: &str,
        n_threads: usize,
        n_rows: u64,
        turn: impl FnMut() -> Result<Round> + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            n_threads,
            n_rows,
            turn: Box::new(turn),
            rounds: Vec::new(),
        }
    }

    /// Does the work once.
    ///
    /// # Errors
    ///
    /// Those of the work, and when not all rows are there.
    pub fn take_turn(&mut self) -> Result<()> {
        let round = (self.turn)()?;
        let n_found = round.converted.n_rows;
        if n_found != self.n_rows {
            let (name, n_rows) = (&self.name, self.n_rows);
            return Err(format!("{name} has {n_found} rows, and not {n_rows}").into());
        }
        self.rounds.push(round);
        Ok(())
    }

    /// How long the middle one of its turns took, in seconds.
    pub fn seconds(&self) -> f64 {
        self.median_of(|round| round.converted.seconds)
    }

    /// How many times as fast as another it was in the middle one of their common rounds.
    ///
    /// Each round is compared by itself: those who stood side by side in it had the same neighbours.
    pub fn times_as_fast_as(&self, other: &Self) -> f64 {
        let rounds = self.rounds.iter().zip(&other.rounds);
        let ratio =
            |(ours, other): (&Round, &Round)| other.converted.seconds / ours.converted.seconds;
        median(rounds.map(ratio).collect())
    }

    /// Of ours: how much of that was flattening.
    pub fn flatten_s(&self) -> f64 {
        self.median_of(|round| round.flatten_s)
    }

    /// Of ours: how much of that was encoding.
    pub fn encode_s(&self) -> f64 {
        self.median_of(|round| round.encode_s)
    }

    /// The size of its Parquet file in bytes; 0 for one that only parses.
    pub fn file_bytes(&self) -> f64 {
        let round = self.rounds.first();
        round.map_or(f64::NAN, |round| round.converted.file_bytes as f64)
    }

    fn median_of(&self, part: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(part).collect())
    }
}

impl Round {
    /// A round of which nothing is known but the whole.
    pub fn of_peer(converted: Converted) -> Self {
        Self {
            converted,
            flatten_s: f64::NAN,
            encode_s: f64::NAN,
        }
    }
}

/// A script of `folder` for this Python.
pub fn script(python: &Path, folder: &Path, name: &str) -> Command {
    let mut program = Command::new(python);
    program.arg(folder.join(name));
    program
}

/// One of the peers in Rust.
pub fn rust_peer(rust_peers: &Path, name: &str) -> Command {
    let mut program = Command::new(rust_peers);
    program.arg(name);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that finds so many rows in so many seconds, turn after turn.
    fn contestant(turns: &'static [(f64, u64)]) -> Contestant {
        let mut turns = turns.iter();
        Contestant::new("peer", 1, 10, move || {
            let &(seconds, n_rows) = turns.next().ok_or("no turn is left")?;
            Ok(Round::of_peer(Converted {
                seconds,
                n_rows,
                file_bytes: 0,
            }))
        })
    }

    #[test]
    fn a_contestant_that_lost_a_row_ends_the_run_and_the_middle_turn_counts() {
        let mut contestant = contestant(&[(3.0, 10), (1.0, 10), (2.0, 10), (1.0, 9)]);
        for _ in 0..3 {
            contestant.take_turn().unwrap();
        }
        assert!((contestant.seconds() - 2.0).abs() < f64::EPSILON);
        let error = contestant.take_turn().unwrap_err().to_string();
        assert_eq!(error, "peer has 9 rows, and not 10");
    }

    #[test]
    fn two_are_compared_round_by_round() {
        // The machine was busy in the second round, and one of them was held up in the third.
        let mut ours = contestant(&[(1.0, 10), (4.0, 10), (8.0, 10)]);
        let mut peer = contestant(&[(2.0, 10), (8.0, 10), (2.0, 10)]);
        for _ in 0..3 {
            ours.take_turn().unwrap();
            peer.take_turn().unwrap();
        }
        assert!((ours.times_as_fast_as(&peer) - 2.0).abs() < f64::EPSILON);
        assert!((peer.times_as_fast_as(&ours) - 0.5).abs() < f64::EPSILON);
    }
}
