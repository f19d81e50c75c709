//! The progress bar: on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Args;

/// What is left to do, drawn on the standard error. Each step is an event, or a millisecond when only the time is known.
pub(crate) struct Progress {
    bar: ProgressBar,
    counts_events: bool,
}

impl Progress {
    /// A bar over the events, or over the time when their number is open.
    pub(crate) fn new(args: &Args) -> Self {
        let counts_events = args.n_events() != u64::MAX;
        let (total, template) = if counts_events {
            (
                args.n_events(),
                "  sending  {wide_bar}  {human_pos}/{human_len} events  {msg}  {eta} left",
            )
        } else {
            let total_ms = (args.seconds.unwrap_or(0.0) * 1_000.0).ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the number of seconds was read as positive and below 10^7"
            )]
            (total_ms as u64, "  sending  {wide_bar}  {msg}  {elapsed}")
        };
        // Draws nothing when the standard error is no terminal.
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { bar, counts_events }
    }

    /// Shows how far things are.
    pub(crate) fn update(&self, n_events: u64, elapsed: Duration) {
        if self.bar.is_hidden() {
            return;
        }
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.bar.set_position(if self.counts_events {
            n_events
        } else {
            elapsed_ms
        });
        let events_per_s = n_events as f64 / elapsed.as_secs_f64().max(1e-3);
        self.bar.set_message(format!(
            "{} events/s",
            crate::summary::grouped(events_per_s)
        ));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
