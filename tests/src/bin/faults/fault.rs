//! What goes wrong: which fault, of which process, at which step.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use crate::step::{Server, Step};

/// Which function is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Ingest,
    Commit,
}

/// Who commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Direct,
    Staged,
}

/// Where the events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// SQS, which delivers what was not acknowledged again in other company: at least once.
    Queue,
    /// Kinesis, which reads on from the last acknowledged record: exactly once.
    Stream,
}

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The process is killed before the server hears of the request.
    KillBefore,
    /// The process is killed when the server has answered, before it hears so.
    KillAfter,
    /// Both ways take a while.
    Delay,
    /// The connection is reset before the server hears of the request.
    Reset,
    /// The server does nothing and answers 503.
    UnavailableBefore,
    /// The server does it, and 503 is answered.
    UnavailableAfter,
    /// The server does nothing and answers 500.
    BrokenBefore,
    /// The server does it, and 500 is answered.
    BrokenAfter,
    /// The server does it, and the connection is reset.
    AnswerLost,
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    name: &'static str,
    pub(crate) origin: Origin,
    pub(crate) mode: Mode,
    pub(crate) role: Role,
    pub(crate) action: Action,
    pub(crate) place: Place,
}

/// Where a fault strikes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Once, at one of the first requests of this step, by the seed: this many may be skipped.
    Once(Step, u32),
    /// At every so many requests of this step, by the seed.
    Often(Step),
    /// At every so many requests to this server, by the seed.
    Server(Server),
    /// Nowhere on the wire: the source and the queue deliver everything twice.
    Repeats,
}

/// Of how many requests [`Place::Often`] and [`Place::Server`] hit one.
const ONE_OF: u64 = 5;

use Action::{
    AnswerLost, BrokenAfter, BrokenBefore, Delay, KillAfter, KillBefore, Reset, UnavailableAfter,
    UnavailableBefore,
};
use Mode::{Direct, Staged};
use Place::{Often, Once, Repeats};
use Role::{Commit, Ingest};

const fn fault(name: &'static str, mode: Mode, role: Role, action: Action, place: Place) -> Fault {
    Fault {
        name,
        origin: Origin::Queue,
        mode,
        role,
        action,
        place,
    }
}

/// All faults: those of a queue, then those that matter to a stream too.
pub(crate) fn all() -> impl Iterator<Item = Fault> {
    let of_stream = FAULTS.iter().filter(|fault| !fault.is_about_network());
    let of_stream = of_stream.map(|fault| Fault {
        origin: Origin::Stream,
        ..*fault
    });
    FAULTS.iter().copied().chain(of_stream)
}

/// In the order in which an event goes.
#[rustfmt::skip] // One fault, one line.
const FAULTS: &[Fault] = &[
    fault("nothing goes wrong, staged", Staged, Ingest, Delay, Once(Step::Other, 0)),
    fault("nothing goes wrong, direct", Direct, Ingest, Delay, Once(Step::Other, 0)),
    fault("writer killed before the Parquet put", Staged, Ingest, KillBefore, Once(Step::DataFile, 3)),
    fault("writer killed between two files", Staged, Ingest, KillAfter, Once(Step::DataFile, 3)),
    fault("writer killed before new columns", Staged, Ingest, KillBefore, Once(Step::Schema, 0)),
    fault("writer killed after new columns", Staged, Ingest, KillAfter, Once(Step::Schema, 0)),
    fault("writer killed before the quarantine put", Staged, Ingest, KillBefore, Once(Step::Quarantine, 1)),
    fault("writer killed after the quarantine put", Staged, Ingest, KillAfter, Once(Step::Quarantine, 1)),
    fault("writer killed before the receipt", Staged, Ingest, KillBefore, Once(Step::Receipt, 2)),
    fault("writer killed after the receipt", Staged, Ingest, KillAfter, Once(Step::Receipt, 2)),
    fault("writer killed before the acknowledgement", Staged, Ingest, KillBefore, Once(Step::Answer, 2)),
    fault("direct writer killed before its commit", Direct, Ingest, KillBefore, Once(Step::Commit, 3)),
    fault("direct writer killed after its commit", Direct, Ingest, KillAfter, Once(Step::Commit, 3)),
    fault("direct writer killed before the acknowledgement", Direct, Ingest, KillBefore, Once(Step::Answer, 3)),
    fault("committer killed before loading", Staged, Commit, KillBefore, Once(Step::Load, 1)),
    fault("committer killed before a manifest", Staged, Commit, KillBefore, Once(Step::Manifest, 1)),
    fault("committer killed after a manifest", Staged, Commit, KillAfter, Once(Step::Manifest, 1)),
    fault("committer killed after the manifest list", Staged, Commit, KillAfter, Once(Step::ManifestList, 1)),
    fault("committer killed before the ledger", Staged, Commit, KillBefore, Once(Step::Ledger, 1)),
    fault("committer killed after the ledger", Staged, Commit, KillAfter, Once(Step::Ledger, 1)),
    fault("committer killed before the catalog's answer", Staged, Commit, KillBefore, Once(Step::Commit, 1)),
    fault("committer killed after the catalog's answer", Staged, Commit, KillAfter, Once(Step::Commit, 1)),
    fault("committer killed before the acknowledgement", Staged, Commit, KillBefore, Once(Step::Answer, 1)),
    fault("the answer of a commit is lost", Staged, Commit, AnswerLost, Often(Step::Commit)),
    fault("the answer of a direct commit is lost", Direct, Ingest, AnswerLost, Often(Step::Commit)),
    fault("503 after a commit landed", Staged, Commit, UnavailableAfter, Often(Step::Commit)),
    fault("503 before a commit", Staged, Commit, UnavailableBefore, Often(Step::Commit)),
    fault("500 after a direct commit landed", Direct, Ingest, BrokenAfter, Often(Step::Commit)),
    fault("the answer of new columns is lost", Staged, Ingest, AnswerLost, Often(Step::Schema)),
    fault("storage slow for the writer", Staged, Ingest, Delay, Place::Server(Server::Storage)),
    fault("storage resets the writer", Staged, Ingest, Reset, Place::Server(Server::Storage)),
    fault("storage answers 503 before the work", Staged, Ingest, UnavailableBefore, Place::Server(Server::Storage)),
    fault("storage answers 500 after the work", Staged, Ingest, BrokenAfter, Place::Server(Server::Storage)),
    fault("storage loses answers to the committer", Staged, Commit, AnswerLost, Place::Server(Server::Storage)),
    fault("catalog slow", Staged, Commit, Delay, Place::Server(Server::Catalog)),
    fault("catalog resets", Staged, Commit, Reset, Place::Server(Server::Catalog)),
    fault("catalog answers 503 before the work", Direct, Ingest, UnavailableBefore, Place::Server(Server::Catalog)),
    fault("catalog answers 500 before the work", Staged, Commit, BrokenBefore, Place::Server(Server::Catalog)),
    fault("catalog answers 503 after the work", Direct, Ingest, UnavailableAfter, Place::Server(Server::Catalog)),
    fault("queue slow", Staged, Ingest, Delay, Place::Server(Server::Queue)),
    fault("queue resets", Staged, Ingest, Reset, Place::Server(Server::Queue)),
    fault("queue answers 503 before the work", Staged, Ingest, UnavailableBefore, Place::Server(Server::Queue)),
    fault("queue answers 500 after the work", Staged, Ingest, BrokenAfter, Place::Server(Server::Queue)),
    fault("queue loses answers", Staged, Ingest, AnswerLost, Place::Server(Server::Queue)),
    fault("every message comes twice, staged", Staged, Ingest, Delay, Repeats),
    fault("every message comes twice, direct", Direct, Ingest, Delay, Repeats),
];

impl Fault {
    /// The name for people.
    pub(crate) fn name(&self) -> String {
        match self.origin {
            Origin::Queue => self.name.to_owned(),
            Origin::Stream => format!("stream: {}", self.name),
        }
    }

    /// Whether any repeated row is one too many, before `calve table dedupe` too.
    pub(crate) fn is_exact(&self) -> bool {
        self.origin == Origin::Stream
    }

    /// Whether it makes requests fail as such, whoever the events are from.
    fn is_about_network(&self) -> bool {
        matches!(self.place, Place::Server(_))
    }

    /// Whether it cannot be told whether it happened, since nothing does.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.place, Repeats | Once(Step::Other, _))
    }
}

/// The fault of one run, as the proxies of one process see it.
#[derive(Debug, Clone)]
pub(crate) struct Trap {
    fault: Fault,
    seed: u64,
    /// How many more requests of the step pass before it strikes once.
    skips: Arc<Mutex<Option<u32>>>,
    n_asked: Arc<AtomicUsize>,
    n_hits: Arc<AtomicUsize>,
    /// The process to kill.
    pid: Arc<AtomicU32>,
}

impl Trap {
    /// The trap of a fault; all processes of its role share it, each by [`Trap::of_process`].
    pub(crate) fn new(fault: Fault, seed: u64) -> Self {
        let skips = match fault.place {
            Once(_, most) => Some(u32::try_from(mix(seed) % u64::from(most + 1)).unwrap_or(0)),
            _ => None,
        };
        Self {
            fault,
            seed,
            skips: Arc::new(Mutex::new(skips)),
            n_asked: Arc::default(),
            n_hits: Arc::default(),
            pid: Arc::default(),
        }
    }

    /// The same trap for another process.
    pub(crate) fn of_process(&self) -> Self {
        Self {
            pid: Arc::default(),
            ..self.clone()
        }
    }

    pub(crate) fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::SeqCst);
    }

    pub(crate) fn n_hits(&self) -> usize {
        self.n_hits.load(Ordering::SeqCst)
    }

    /// What is to be done to this request, if anything. `server` is none for answers to the runtime API.
    pub(crate) fn strike(&self, role: Role, server: Option<Server>, step: Step) -> Option<Action> {
        if role != self.fault.role {
            return None;
        }
        let often = || {
            let n = self.n_asked.fetch_add(1, Ordering::SeqCst) as u64;
            // The first one is hit, so that each run meets the fault, and then some by chance.
            n == 0 || mix(self.seed ^ mix(n)).is_multiple_of(ONE_OF)
        };
        let hit = match self.fault.place {
            Once(Step::Other, _) | Repeats => false,
            Once(at, _) => at == step && self.is_due(),
            Often(at) => at == step && often(),
            Place::Server(at) => server == Some(at) && often(),
        };
        hit.then(|| {
            self.n_hits.fetch_add(1, Ordering::SeqCst);
            self.fault.action
        })
    }

    fn is_due(&self) -> bool {
        let mut skips = self.skips.lock().unwrap_or_else(PoisonError::into_inner);
        match *skips {
            Some(0) => {
                *skips = None;
                true
            }
            Some(n) => {
                *skips = Some(n - 1);
                false
            }
            None => false,
        }
    }

    /// Kills the process, as the kernel does when memory runs out.
    pub(crate) fn kill(&self) {
        let pid = self.pid.load(Ordering::SeqCst).to_string();
        // A process that has ended by itself is as dead.
        let _ = std::process::Command::new("kill")
            .args(["-9", &pid])
            .status();
    }
}

/// A number that looks random (`SplitMix64`, Steele et al. 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
