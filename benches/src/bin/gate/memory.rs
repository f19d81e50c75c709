//! Memory by payload size, each in a fresh process.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use benches::{Bound, Figure, Line, Result, Stage, mib};
use generator::Corpus;
use serde_json::Value;

use crate::{
    show::in_mib,
    speed::{N_SMALL, first_events},
};

/// Payloads in KiB. An object of S3 is read in pieces larger than what Lambda hands over.
const PAYLOADS_KIB: [usize; 7] = [100, 1_024, 2_048, 4_096, LAMBDA_KIB, 12_288, 24_576];

/// The most that Lambda hands over.
const LAMBDA_KIB: usize = 6_144;

/// What the peak above idle stays on or below.
///
/// Measured is about 3.3 MiB and 2.0 more for each MiB of payload: its bytes, its rows, and what is encoded of them. The room
/// above that is for the allocator; one more copy of the payload does not fit into it.
const LINE: Line = Line {
    base_mib: 6.0,
    slope: 2.5,
};

/// The most above idle for 100 events.
const SMALL: Bound = Bound::at_most(8.0);

/// The most above idle for any payload that Lambda hands over.
pub(crate) const PAYLOAD: Bound = Bound::at_most(48.0);

/// Peaks above idle.
pub(crate) fn figures(corpus: &Corpus, stage: &Stage, folder: &Path) -> Result<Vec<Figure>> {
    let columns = stage.columns_file();
    let file = folder.join("payload.ndjson");
    let idle = peak_of("parquet", &columns, None)?.peak_bytes;
    let above_idle = |payload: &[u8]| -> Result<f64> {
        std::fs::write(&file, payload)?;
        let peak = peak_of("parquet", &columns, Some(&file))?.peak_bytes;
        Ok(mib(peak.saturating_sub(idle)))
    };

    let small = above_idle(first_events(corpus, N_SMALL))?;
    let mut figures = vec![
        Figure::told("peak memory of an idle process", in_mib(mib(idle))),
        Figure::held("peak memory above idle, 100 events", SMALL, small, in_mib),
    ];
    let mut measured = Vec::new();
    for payload_kib in PAYLOADS_KIB {
        let Some(payload) = first_lines(corpus, payload_kib << 10) else {
            break; // The short form has fewer events.
        };
        let payload_mib = payload_kib as f64 / 1_024.0;
        let peak = above_idle(payload)?;
        measured.push((payload_mib, peak));
        let name = format!("  a payload of {payload_mib:.1} MiB, on or below the line");
        let bound = Bound::at_most(LINE.at(payload_mib));
        figures.push(Figure::held(&name, bound, peak, in_mib));
        if payload_kib == LAMBDA_KIB {
            let name = "  the same, the largest that Lambda hands over";
            figures.push(Figure::held(name, PAYLOAD, peak, in_mib));
        }
    }
    if let Some(line) = Line::through(&measured) {
        let line = format!("{:.1} MiB + {:.2} a MiB", line.base_mib, line.slope);
        figures.push(Figure::told("  through the first and the last", line));
    }
    Ok(figures)
}

/// The first lines that have no more than so many bytes together; `None` when there are not so many.
pub(crate) fn first_lines(corpus: &Corpus, limit_bytes: usize) -> Option<&[u8]> {
    let payload = corpus.ndjson().get(..limit_bytes)?;
    let end = payload.iter().rposition(|&byte| byte == b'\n')?;
    Some(&payload[..=end])
}

/// What a fresh process tells of itself.
#[derive(Debug)]
pub(crate) struct Peak {
    /// The most memory that it ever had.
    pub(crate) peak_bytes: u64,
    /// What it found, in an invocation.
    pub(crate) answer: Value,
}

/// Starts the program `peak_memory` beside this one, and waits for its end.
pub(crate) fn peak_of(mode: &str, place: &Path, work: Option<&Path>) -> Result<Peak> {
    let program = std::env::current_exe()?.with_file_name("peak_memory");
    let output = Command::new(&program)
        .arg(mode)
        .arg(place)
        .args(work.map(OsStr::new))
        .output()
        .map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let peak_bytes = answer["peak_bytes"]
        .as_u64()
        .ok_or("`peak_memory` says no peak")?;
    Ok(Peak { peak_bytes, answer })
}

#[cfg(test)]
mod tests {
    use generator::Shape;

    use super::*;
    use crate::corpus;

    #[test]
    fn a_payload_is_whole_lines_below_its_size() {
        let corpus = corpus(Shape::Default, 2_000);
        let payload = first_lines(&corpus, 1 << 20).unwrap();
        assert!(payload.ends_with(b"\n"));
        assert!(payload.len() <= 1 << 20);
        assert!(payload.len() > (1 << 20) - 16_384, "{}", payload.len());
        assert!(first_lines(&corpus, 24 << 20).is_none());
    }

    #[test]
    fn the_line_leaves_room_for_the_largest_payload_of_lambda() {
        assert!(LINE.at(6.0) <= 48.0);
        assert!(LINE.at(0.1) <= 8.0);
    }
}
