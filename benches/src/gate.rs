//! One figure that must be reached.

use std::fmt;

/// A figure, its gate, and what was measured.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    gate: String,
    measured: String,
    ok: bool,
}

impl Figure {
    /// A figure that must be `least` or more.
    pub fn at_least(name: &str, least: f64, measured: f64, show: impl Fn(f64) -> String) -> Self {
        Self {
            name: name.to_owned(),
            gate: format!("≥ {}", show(least)),
            measured: show(measured),
            ok: measured >= least,
        }
    }

    /// A figure that must be `most` or less.
    pub fn at_most(name: &str, most: f64, measured: f64, show: impl Fn(f64) -> String) -> Self {
        Self {
            name: name.to_owned(),
            gate: format!("≤ {}", show(most)),
            measured: show(measured),
            ok: measured <= most,
        }
    }

    /// A figure that is told and not held.
    pub fn told(name: &str, measured: String) -> Self {
        Self {
            name: name.to_owned(),
            gate: "–".to_owned(),
            measured,
            ok: true,
        }
    }

    /// Whether it was reached.
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    /// The heading of the table that figures are the lines of.
    pub fn heading() -> String {
        line("figure", "gate", "measured", "ok")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(
            &self.name,
            &self.gate,
            &self.measured,
            if self.ok { "yes" } else { "NO" },
        ))
    }
}

fn line(name: &str, gate: &str, measured: &str, ok: &str) -> String {
    format!("| {name:<56} | {gate:>18} | {measured:>34} | {ok:<3} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_on_its_gate_is_ok_and_one_beyond_it_is_not() {
        let show = |n: f64| format!("{n}");
        assert!(Figure::at_least("speed", 2.0, 2.0, show).is_ok());
        assert!(!Figure::at_least("speed", 2.0, 1.9, show).is_ok());
        assert!(Figure::at_most("memory", 2.0, 2.0, show).is_ok());
        assert!(!Figure::at_most("memory", 2.0, 2.1, show).is_ok());
        // What could not be measured was not reached.
        assert!(!Figure::at_least("speed", 2.0, f64::NAN, show).is_ok());
    }
}
