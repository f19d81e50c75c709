use std::time::Duration;

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_millis(10);
/// The longest wait for a server that may have trouble.
const LONGEST: Duration = Duration::from_secs(2);
/// The longest wait after a lost race. Tries that lose keep the catalog as busy as those that win, so n writers whose commits
/// take 40 ms have to wait for n × 40 ms in the mean: this is enough for some 64 of them. Longer waits leave the table idle
/// when the others are done.
const LONGEST_OF_RACES: Duration = Duration::from_secs(5);

/// Waits of random length that grow with each failure, so that many who try spread out in time.
///
/// Each wait lies between the shortest one and a bound that doubles ("full jitter"). Bounds of three times the wait before
/// ("decorrelated jitter") grow too slowly to be fair: their logarithm grows by a tenth in the mean, so that of 64 writers of
/// one table some lose a hundred races while others, who have just begun, try again at once.
#[derive(Debug)]
pub struct Backoff {
    random: SplitMix,
    bound: Duration,
    longest: Duration,
}

impl Backoff {
    /// Returns waits of 2 s at most that differ by the seed, for asking a server again.
    pub fn new(seed: u64) -> Self {
        Self {
            random: SplitMix(seed),
            bound: SHORTEST,
            longest: LONGEST,
        }
    }

    /// Returns waits for commits that others were faster than: they may grow longer, with the number of writers.
    pub(crate) fn after_races(seed: u64) -> Self {
        Self {
            longest: LONGEST_OF_RACES,
            ..Self::new(seed)
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
        self.bound = (self.bound * 2).min(self.longest);
        let range_us =
            u64::try_from(self.bound.saturating_sub(SHORTEST).as_micros()).unwrap_or(u64::MAX);
        SHORTEST + Duration::from_micros(self.random.next() % (range_us + 1))
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

    #[track_caller]
    fn check(backoff: impl Fn(u64) -> Backoff, longest: Duration) {
        let waits = |seed| {
            let mut backoff = backoff(seed);
            (0..200).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        let is_bounded = |wait| (SHORTEST..=longest).contains(wait);
        assert!(waits(1).iter().all(is_bounded), "{:?}", waits(1));
        let n_long = waits(1).iter().filter(|wait| **wait > longest / 2).count();
        assert!(n_long > 20, "{n_long} of 200");
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    #[test]
    fn waits_grow_stay_in_bounds_and_differ_by_seed() {
        check(Backoff::new, LONGEST);
        check(Backoff::after_races, LONGEST_OF_RACES);
    }
}
