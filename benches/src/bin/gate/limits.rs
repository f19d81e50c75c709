//! Payloads that go to the limits: each through the whole pipeline, in a fresh process.

use std::io::Write;
use std::path::Path;

use benches::{Bound, Figure, Result, mib, thousands};
use generator::Corpus;
use pipeline::{EVENT_BYTES, Settings};

use crate::{
    memory::{PAYLOAD, Peak, first_lines, peak_of},
    show::in_mib,
    speed::first_events,
};

/// As much as Lambda hands over.
const PAYLOAD_BYTES: usize = 6_000_000;

/// Nearly what a small function takes, inflated.
const FULL_BYTES: usize = 30 << 20;

/// What is packed into one small body.
const ZERO_BYTES: usize = 1 << 30;

/// The memory of a small function: a quarter of it is what a payload may take, inflated.
const SMALL_MIB: u64 = 128;

/// What a function takes idle, and a little.
const IDLE_MIB: f64 = 16.0;

/// The memory of a function that takes what the settings allow by themselves.
const LARGE_MIB: u64 = 1_024;

/// What that is: 256 MiB once inflated.
const CAP_MIB: f64 = 256.0;

/// A payload, the bound of its peak, and whether nothing of it may become a row; otherwise all of it must.
struct Limit {
    memory_mib: u64,
    name: &'static str,
    payload: Vec<u8>,
    peak: Bound,
    is_refused: bool,
}

/// Peaks above an idle process that has opened its table.
pub(crate) fn figures(corpus: &Corpus, folder: &Path) -> Result<Vec<Figure>> {
    let warehouse = |number: usize| folder.join(format!("warehouse-{number}"));
    let idle = peak_of(&mode(SMALL_MIB), &warehouse(0), None)?.peak_bytes;
    let mut figures = vec![Figure::told(
        "peak memory of an idle pipeline",
        in_mib(mib(idle)),
    )];
    let mut memory_mib = 0;
    let takes = |memory_mib: u64| {
        let settings = Settings::default().within(memory_mib);
        mib(settings.max_payload_inflated_bytes.len() as u64)
    };
    for (number, limit) in limits(corpus)?.into_iter().enumerate() {
        if memory_mib != limit.memory_mib {
            memory_mib = limit.memory_mib;
            let name = format!("in a function of {memory_mib} MiB, a payload may take");
            figures.push(Figure::told(&name, in_mib(takes(memory_mib))));
        }
        let file = folder.join("payload");
        std::fs::write(&file, limit.payload)?;
        let peak = peak_of(&mode(memory_mib), &warehouse(number + 1), Some(&file))?;
        let above_idle = mib(peak.peak_bytes.saturating_sub(idle));
        let name = format!("  above idle, {}", limit.name);
        figures.push(Figure::held(&name, limit.peak, above_idle, in_mib));
        let (name, is_so) = if limit.is_refused {
            ("    it is refused", peak.is_refused())
        } else {
            ("    all its events are rows", peak.is_taken())
        };
        figures.push(Figure::must(name, is_so, peak.outcome()));
    }
    Ok(figures)
}

/// How `peak_memory` is told how much memory there is.
fn mode(memory_mib: u64) -> String {
    format!("invocation={memory_mib}")
}

fn limits(corpus: &Corpus) -> Result<Vec<Limit>> {
    let n_default = PAYLOAD_BYTES * corpus.n_events() / corpus.ndjson().len();
    let limit = |memory_mib, name, payload, is_refused, peak| Limit {
        memory_mib,
        name,
        payload,
        peak,
        is_refused,
    };
    let small = |name, payload, is_refused| limit(SMALL_MIB, name, payload, is_refused, PAYLOAD);
    let large = |name, payload, is_refused, peak| limit(LARGE_MIB, name, payload, is_refused, peak);
    let default = first_events(corpus, n_default).to_vec();
    let objects = b"{}\n".repeat(PAYLOAD_BYTES / 3);
    let numbers = b"1\n".repeat(PAYLOAD_BYTES / 2);
    let zeros = gzip_of_zeros()?;
    // Each of them is a row of its own, and so takes what an event counts for under the cap.
    let of_objects = PAYLOAD.held_at(48.0 + mib((objects.len() / 3 * EVENT_BYTES) as u64));
    // It is only known to be too large when the cap is full.
    let of_zeros = PAYLOAD.held_at(48.0 + CAP_MIB);
    let of_full = Bound::at_most(SMALL_MIB as f64 - IDLE_MIB);
    let full = |name, payload: &[u8]| {
        Ok::<_, std::io::Error>(limit(SMALL_MIB, name, gzip(payload)?, false, of_full))
    };
    let mut limits = vec![
        small("6 MB of default events", default, false),
        small("6 MB of one event", one_event(), true),
        small("6 MB of lines of `{}`", objects.clone(), true),
        small("6 MB of lines of `1`", numbers.clone(), true),
        small("a gzip of 1 GiB of zeros", zeros.clone(), true),
        full("a gzip of 30 MiB of texts of 1 MB", &long_texts())?,
    ];
    // The short form has fewer events.
    if let Some(events) = first_lines(corpus, FULL_BYTES) {
        limits.push(full("a gzip of 30 MiB of default events", events)?);
    }
    limits.extend([
        large("6 MB of lines of `{}`", objects, false, of_objects),
        large("6 MB of lines of `1`", numbers, true, PAYLOAD),
        large("a gzip of 1 GiB of zeros", zeros, true, of_zeros),
    ]);
    Ok(limits)
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body)?;
    gzip.finish()
}

/// Events of one long text each, which no two have in common.
fn long_texts() -> Vec<u8> {
    const TEXT_BYTES: usize = 1_000_000;
    let mut lines = Vec::with_capacity(FULL_BYTES);
    for number in 0..FULL_BYTES / (TEXT_BYTES + 100) {
        lines.extend_from_slice(
            format!(r#"{{"event_type":"page_view","text":"{number:08}"#).as_bytes(),
        );
        lines.resize(lines.len() + TEXT_BYTES, b'x');
        lines.extend_from_slice(b"\"}\n");
    }
    lines
}

/// One event that is longer than any may be.
fn one_event() -> Vec<u8> {
    let (head, tail) = (br#"{"event_type":"page_view","text":""#, b"\"}\n");
    let text = vec![b'x'; PAYLOAD_BYTES - head.len() - tail.len()];
    [head.as_slice(), &text, tail].concat()
}

/// Zeros in many members of gzip, which together are one body.
fn gzip_of_zeros() -> Result<Vec<u8>> {
    const MEMBER_BYTES: usize = 1 << 20;
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    member.write_all(&vec![0; MEMBER_BYTES])?;
    Ok(member.finish()?.repeat(ZERO_BYTES / MEMBER_BYTES))
}

impl Peak {
    fn count(&self, name: &str) -> u64 {
        self.answer[name].as_u64().unwrap_or(0)
    }

    /// Whether nothing became a row, for a reason.
    fn is_refused(&self) -> bool {
        let reasons = self.answer["refused_as"].as_array();
        self.count("n_rows") == 0 && reasons.is_some_and(|reasons| !reasons.is_empty())
    }

    /// Whether everything became a row, and there was something.
    fn is_taken(&self) -> bool {
        let n_rows = self.count("n_rows");
        n_rows > 0 && n_rows == self.count("n_events") && self.count("n_retried") == 0
    }

    /// Rows, or the reasons why there are none.
    fn outcome(&self) -> String {
        let kinds = self.answer["refused_as"].as_array().into_iter().flatten();
        let kinds: Vec<&str> = kinds.filter_map(|kind| kind.as_str()).collect();
        let (n_events, n_rows) = (self.count("n_events"), self.count("n_rows"));
        let [events, rows] = [n_events, n_rows].map(|n| thousands(n as f64));
        match kinds.as_slice() {
            [] => format!("{rows} rows of {events}"),
            kinds if self.is_refused() => format!("{events} refused: {}", kinds.join(", ")),
            kinds => format!("{rows} rows of {events}; {}", kinds.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(n_rows: u64, refused_as: &[&str], expected: &str) {
        let answer = json!({ "n_events": 3, "n_rows": n_rows, "refused_as": refused_as });
        let peak = Peak {
            peak_bytes: 0,
            answer,
        };
        assert_eq!(peak.outcome(), expected);
        assert_eq!(peak.is_refused(), n_rows == 0 && !refused_as.is_empty());
        assert_eq!(peak.is_taken(), n_rows == 3);
    }

    #[test]
    fn events_that_are_to_be_delivered_again_are_neither_taken_nor_refused() {
        let answer = json!({ "n_events": 0, "n_rows": 0, "n_retried": 1, "refused_as": [] });
        let peak = Peak {
            peak_bytes: 0,
            answer,
        };
        assert!(!peak.is_taken() && !peak.is_refused());
    }

    #[test]
    fn the_table_says_what_became_of_a_payload() {
        check(3, &[], "3 rows of 3");
        check(0, &["too_large"], "3 refused: too_large");
        check(2, &["not_an_object"], "2 rows of 3; not_an_object");
    }

    #[test]
    fn the_bound_of_zeros_is_what_a_large_function_lets_in() {
        let settings = Settings::default().within(LARGE_MIB);
        let cap_bytes = settings.max_payload_inflated_bytes.len() as u64;
        assert!((mib(cap_bytes) - CAP_MIB).abs() < 1e-9, "{cap_bytes}");
    }

    #[test]
    fn payloads_at_the_limits_are_as_large_as_they_say() {
        assert_eq!(one_event().len(), PAYLOAD_BYTES);
        let gzip = gzip_of_zeros().unwrap();
        assert!(gzip.len() < PAYLOAD_BYTES, "{}", gzip.len());
    }
}
