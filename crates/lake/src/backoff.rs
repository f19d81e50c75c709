use std::time::Duration;

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(2);

/// Waits of random length that grow with each lost race, so that many writers spread out in time.
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
        let range_us =
            u64::try_from(longest.saturating_sub(SHORTEST).as_micros()).unwrap_or(u64::MAX);
        self.last = SHORTEST + Duration::from_micros(self.random.next() % (range_us + 1));
        self.last
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
}
