//! One figure of the gate: what is wanted, what is held, and what was measured.

use std::fmt;

/// What a figure has to reach.
///
/// The gate is what fails a run: it is set so that a busy machine reaches it too. What is wanted stands beside it, so that nobody
/// takes the one for the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    wanted: f64,
    gate: f64,
    is_least: bool,
}

impl Bound {
    /// So much is wanted, or more; the gate is the same.
    pub const fn at_least(wanted: f64) -> Self {
        Self {
            wanted,
            gate: wanted,
            is_least: true,
        }
    }

    /// So much is wanted, or less; the gate is the same.
    pub const fn at_most(wanted: f64) -> Self {
        Self {
            wanted,
            gate: wanted,
            is_least: false,
        }
    }

    /// The same, where only this is held.
    #[must_use]
    pub const fn held_at(self, gate: f64) -> Self {
        Self { gate, ..self }
    }

    fn is_reached(self, measured: f64, limit: f64) -> bool {
        // Not a number is neither: what could not be measured was not reached.
        if self.is_least {
            measured >= limit
        } else {
            measured <= limit
        }
    }

    fn shown(self, limit: f64, show: impl Fn(f64) -> String) -> String {
        let sign = if self.is_least { '≥' } else { '≤' };
        format!("{sign} {}", show(limit))
    }
}

/// A figure, what it has to reach, and what was measured.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    wanted: String,
    gate: String,
    measured: String,
    reached: Reached,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Wanted,
    OnlyGate,
    Nothing,
    /// It is told and not held, or was not measured.
    NotAsked,
}

impl Figure {
    /// A figure that must reach the gate of this bound.
    pub fn held(name: &str, bound: Bound, measured: f64, show: impl Fn(f64) -> String) -> Self {
        let reached = if !bound.is_reached(measured, bound.gate) {
            Reached::Nothing
        } else if bound.is_reached(measured, bound.wanted) {
            Reached::Wanted
        } else {
            Reached::OnlyGate
        };
        Self {
            name: name.to_owned(),
            wanted: bound.shown(bound.wanted, &show),
            gate: bound.shown(bound.gate, &show),
            measured: show(measured),
            reached,
        }
    }

    /// Something that must be so.
    pub fn must(name: &str, is_so: bool, measured: String) -> Self {
        Self {
            name: name.to_owned(),
            wanted: "yes".to_owned(),
            gate: "yes".to_owned(),
            measured,
            reached: if is_so {
                Reached::Wanted
            } else {
                Reached::Nothing
            },
        }
    }

    /// A figure that is told and not held.
    pub fn told(name: &str, measured: String) -> Self {
        Self {
            name: name.to_owned(),
            wanted: "–".to_owned(),
            gate: "–".to_owned(),
            measured,
            reached: Reached::NotAsked,
        }
    }

    /// A figure that this run cannot hold, and why.
    pub fn not_measured(
        name: &str,
        bound: Bound,
        show: impl Fn(f64) -> String,
        reason: &str,
    ) -> Self {
        Self {
            name: name.to_owned(),
            wanted: bound.shown(bound.wanted, &show),
            gate: "–".to_owned(),
            measured: format!("not measured: {reason}"),
            reached: Reached::NotAsked,
        }
    }

    /// Whether its gate was reached, if it has one.
    pub fn is_ok(&self) -> bool {
        self.reached != Reached::Nothing
    }

    /// Whether its gate was reached, and what is wanted was not.
    pub fn is_only_gate(&self) -> bool {
        self.reached == Reached::OnlyGate
    }

    /// The heading of the table that figures are the lines of.
    pub fn heading() -> String {
        let heading = line("figure", "wanted", "gate", "measured", "reached");
        let rule = line(&"-".repeat(58), "--:", "--:", "--:", "---");
        format!("{heading}\n{rule}")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = match self.reached {
            Reached::Wanted => "yes",
            Reached::OnlyGate => "gate",
            Reached::Nothing => "NO",
            Reached::NotAsked => "–",
        };
        let Self {
            name,
            wanted,
            gate,
            measured,
            ..
        } = self;
        f.write_str(&line(name, wanted, gate, measured, reached))
    }
}

fn line(name: &str, wanted: &str, gate: &str, measured: &str, reached: &str) -> String {
    format!("| {name:<58} | {wanted:>14} | {gate:>14} | {measured:>36} | {reached:<7} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bound: Bound, measured: f64, is_ok: bool, last_column: &str) {
        let figure = Figure::held("figure", bound, measured, |n| format!("{n}"));
        assert_eq!(figure.is_ok(), is_ok);
        let line = figure.to_string();
        let found = line.trim_end_matches(['|', ' ']).rsplit(' ').next();
        assert_eq!(found, Some(last_column), "{line}");
    }

    #[test]
    fn a_figure_on_its_gate_is_ok_and_one_beyond_it_is_not() {
        check(Bound::at_least(2.0), 2.0, true, "yes");
        check(Bound::at_least(2.0), 1.9, false, "NO");
        check(Bound::at_most(2.0), 2.0, true, "yes");
        check(Bound::at_most(2.0), 2.1, false, "NO");
        // What could not be measured was not reached.
        check(Bound::at_least(2.0), f64::NAN, false, "NO");
        check(Bound::at_most(2.0), f64::NAN, false, "NO");
    }

    #[test]
    fn what_is_held_and_what_is_wanted_are_told_apart() {
        let least = Bound::at_least(2.2).held_at(1.5);
        check(least, 2.2, true, "yes");
        check(least, 2.1, true, "gate");
        check(least, 1.4, false, "NO");
        let most = Bound::at_most(48.0).held_at(60.0);
        check(most, 48.0, true, "yes");
        check(most, 49.0, true, "gate");
        check(most, 61.0, false, "NO");
    }

    #[test]
    fn what_was_not_measured_fails_nothing_and_says_why() {
        let bound = Bound::at_least(0.9);
        let figure = Figure::not_measured("scaling", bound, |n| format!("{n}"), "no parser");
        assert!(figure.is_ok());
        assert!(!figure.is_only_gate());
        assert!(
            figure.to_string().contains("not measured: no parser"),
            "{figure}"
        );
    }
}
