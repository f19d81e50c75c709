//! One seeded stream of events.

use crate::hostile::{self, Kind};
use crate::json::{raw, uuid};
use crate::random::Random;
use crate::site::{Site, random_ms};
use crate::time::{self, DAY_MS, DEFAULT_START_MS};
use crate::{deep, sparse, wide};

/// What an event looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Visitors of a shop: eight types of event, about 0.9 KB each (the default).
    #[default]
    Default,
    /// 200 columns in one flat object.
    Wide,
    /// 9 to 40 objects in each other.
    Deep,
    /// 20 of 2,000 possible keys.
    Sparse,
    /// What goes wrong: broken JSON, wrong types, missing and absurd times, colliding names, huge strings.
    Hostile,
}

/// What decides the bytes. Equal settings give equal events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The seed. Default: 7.
    pub seed: u64,
    /// What events look like. Default: [`Shape::Default`].
    pub shape: Shape,
    /// The earliest event time, in milliseconds since 1970-01-01T00:00:00Z. Default: [`DEFAULT_START_MS`].
    pub start_ms: i64,
    /// Over how many days event times are spread, at least one. Default: 3.
    pub n_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 7,
            shape: Shape::Default,
            start_ms: DEFAULT_START_MS,
            n_days: 3,
        }
    }
}

/// An endless stream of events.
///
/// The bytes depend on the settings alone: not on how many events are asked for, nor in how many calls.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    random: Random,
    site: Site,
    start_ms: i64,
    span_ms: u64,
    n_written: u64,
}

impl Shape {
    /// All shapes, the default one first.
    pub const ALL: [Self; 5] = [
        Self::Default,
        Self::Wide,
        Self::Deep,
        Self::Sparse,
        Self::Hostile,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Wide => "wide",
            Self::Deep => "deep",
            Self::Sparse => "sparse",
            Self::Hostile => "hostile",
        }
    }
}

impl Generator {
    /// The stream that these settings decide.
    pub fn new(settings: &Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let span_ms = u64::from(settings.n_days.max(1)) * DAY_MS.unsigned_abs();
        // Visits go on for some minutes after they began: the last ones begin an hour before the span ends.
        let site = Site::new(settings.start_ms, span_ms - 3_600_000, &mut random);
        Self {
            shape: settings.shape,
            random,
            site,
            start_ms: settings.start_ms,
            span_ms,
            n_written: 0,
        }
    }

    /// Appends the next event and a new line; says what is wrong with the event, if anything.
    pub fn write_event(&mut self, out: &mut Vec<u8>) -> Kind {
        let n = self.n_written;
        self.n_written += 1;
        match self.shape {
            Shape::Default => self.site.write_event(&mut self.random, out),
            Shape::Hostile => {
                let kind = hostile::draw(n, &mut self.random);
                if matches!(kind, Kind::Sound | Kind::Broken) {
                    self.site.write_event(&mut self.random, out);
                }
                hostile::write_event(
                    kind,
                    || (self.start_ms, self.span_ms),
                    &mut self.random,
                    out,
                );
                return kind;
            }
            Shape::Wide => {
                self.write_head(out);
                wide::write_rest(&mut self.random, out);
            }
            Shape::Deep => {
                self.write_head(out);
                deep::write_rest(&mut self.random, out);
            }
            Shape::Sparse => {
                self.write_head(out);
                sparse::write_rest(&mut self.random, out);
            }
        }
        Kind::Sound
    }

    /// Appends the next `n` events, each with a new line behind it.
    pub fn write_events(&mut self, n: usize, out: &mut Vec<u8>) {
        for _ in 0..n {
            self.write_event(out);
        }
    }

    /// Id, type and time; the string of the time is still open.
    fn write_head(&mut self, out: &mut Vec<u8>) {
        let time_ms = self.start_ms + random_ms(&mut self.random, self.span_ms);
        raw(out, r#"{"event_id":""#);
        uuid(out, self.random.bits(), self.random.bits());
        raw(out, r#"","event_type":""#);
        raw(
            out,
            ["measurement", "status", "alarm"][self.random.skewed(3) as usize],
        );
        raw(out, r#"","event_time":""#);
        time::write(out, time_ms);
    }
}
