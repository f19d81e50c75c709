use std::time::Duration;

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(2);

/// How the window of [`RaceWaits`] grows with each lost race, and how many attempts long it becomes.
const GROWTH: f64 = 1.5;
const LONGEST_IN_ATTEMPTS: f64 = 64.0;
/// No window is longer than this, however slow the catalog is.
const LONGEST_WINDOW: Duration = Duration::from_secs(30);

/// Waits of random length that grow with each failure, so that those who wait for the same thing spread out in time.
///
/// Each wait lies between the shortest one and three times the one before ("decorrelated jitter").
#[derive(Debug)]
pub struct Backoff {
    random: SplitMix,
    last: Duration,
}

impl Backoff {
    /// Returns waits that differ by the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: SplitMix(seed),
            last: SHORTEST,
        }
    }

    /// Waits, but never beyond the deadline.
    pub async fn wait(&mut self, deadline: Option<Instant>) {
        let wait = self.next_wait();
        let until = Instant::now() + wait;
        tokio::time::sleep_until(deadline.map_or(until, |deadline| deadline.min(until))).await;
    }

    /// Waits, but never shorter than that.
    pub(crate) async fn wait_at_least(&mut self, shortest: Duration) {
        let wait = self.next_wait().max(shortest);
        tokio::time::sleep(wait).await;
    }

    fn next_wait(&mut self) -> Duration {
        let longest = (self.last * 3).min(LONGEST);
        self.last = SHORTEST + self.random.below(longest.saturating_sub(SHORTEST));
        self.last
    }
}

/// Waits after lost races for a table, as long as the attempts themselves ask for.
///
/// Each try keeps the catalog busy, and by that makes the tries of all others longer, so what is a short wait for one catalog
/// is a stampede for another. A wait is drawn from a window that begins with as long as the attempt took, from loading the
/// table to the answer, grows by half with every race lost, and ends at 64 times the attempt (exponential backoff, as in
/// ALOHA networks).
#[derive(Debug)]
pub(crate) struct RaceWaits {
    random: SplitMix,
    n_lost: i32,
}

impl RaceWaits {
    /// Returns waits that differ by the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: SplitMix(seed),
            n_lost: 0,
        }
    }

    /// Waits after an attempt that took that long and lost; for no more than half of what is left beside another attempt.
    pub(crate) async fn wait(&mut self, attempt: Duration, deadline: Option<Instant>) {
        let now = Instant::now();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        tokio::time::sleep_until(now + self.next_wait(attempt, left)).await;
    }

    fn next_wait(&mut self, attempt: Duration, left: Option<Duration>) -> Duration {
        let n_attempts = GROWTH.powi(self.n_lost).min(LONGEST_IN_ATTEMPTS);
        self.n_lost = self.n_lost.saturating_add(1);
        let window = attempt.mul_f64(n_attempts).clamp(SHORTEST, LONGEST_WINDOW);
        let window = left.map_or(window, |left| window.min(left.saturating_sub(attempt) / 2));
        self.random.below(window)
    }
}

/// A small generator for jitter and ids; not for secrets.
#[derive(Debug)]
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A time up to this one, in whole microseconds.
    fn below(&mut self, longest: Duration) -> Duration {
        let longest_us = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.next() % (longest_us + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_in_bounds_and_differ_by_seed() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..200).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        assert!(
            waits(1)
                .iter()
                .all(|wait| (SHORTEST..=LONGEST).contains(wait))
        );
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    const ATTEMPT: Duration = Duration::from_millis(100);

    /// The longest of the waits after that many lost races, drawn by many writers.
    fn longest_wait(n_lost: i32, attempt: Duration, left: Option<Duration>) -> Duration {
        let waits = (0..1_000).map(|seed| {
            let mut waits = RaceWaits::new(seed);
            waits.n_lost = n_lost;
            waits.next_wait(attempt, left)
        });
        waits.max().unwrap()
    }

    #[track_caller]
    fn check_window(n_lost: i32, attempt: Duration, left: Option<Duration>, window: Duration) {
        let longest = longest_wait(n_lost, attempt, left);
        assert!(longest <= window, "{longest:?} is beyond {window:?}");
        assert!(
            longest > window.mul_f64(0.95),
            "{longest:?} is far from {window:?}"
        );
    }

    #[test]
    fn the_window_after_a_lost_race_is_some_attempts_long() {
        for (n_lost, n_attempts) in [(0, 1.0), (1, 1.5), (2, 2.25), (11, 64.0), (i32::MAX, 64.0)] {
            check_window(n_lost, ATTEMPT, None, ATTEMPT.mul_f64(n_attempts));
        }
    }

    #[test]
    fn the_window_has_bounds_and_leaves_time_to_try_again() {
        check_window(0, Duration::from_micros(10), None, SHORTEST);
        check_window(99, Duration::from_secs(5), None, LONGEST_WINDOW);
        check_window(99, ATTEMPT, Some(ATTEMPT * 5), ATTEMPT * 2);
        let no_time = Some(ATTEMPT / 2);
        assert_eq!(longest_wait(0, ATTEMPT, no_time), Duration::ZERO);
    }
}
