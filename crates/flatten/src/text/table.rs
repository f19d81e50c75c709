//! Which texts a column has met.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::Texts;

/// The key of each text that has been met: open addressing over a power of two of slots.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    /// By key.
    digests: Vec<Digest>,
    seeds: Seeds,
}

/// Drawn per table, so that nobody can choose texts that collide; the order of the slots is never looked at.
#[derive(Debug)]
struct Seeds {
    /// For texts of up to 16 bytes.
    head: u64,
    tail: u64,
    /// For longer ones.
    long: RandomState,
}

/// What is known of one text without looking at it. Up to 16 bytes that is all there is to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    /// The first eight bytes, filled up with zeros, or the hash of a long text.
    head: u64,
    /// The next eight bytes, filled up with zeros.
    tail: u64,
    text_bytes: u32,
}

/// Small, so that the slots of all columns stay in the cache: what a text is stands in `digests`.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Bits of the hash that say nothing about the place.
    tag: u32,
    /// The key plus one; 0 is free.
    taken: u32,
}

/// A text that has not been met, and the free slot where it belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unknown {
    digest: Digest,
    tag: u32,
    place: usize,
}

/// How many slots a table begins with.
const FIRST_SLOTS: usize = 64;

/// How many texts it takes before it grows.
pub(super) const FIRST_TEXTS: usize = FIRST_SLOTS / 2;

impl Table {
    /// No texts yet.
    pub(super) fn new() -> Self {
        let long = RandomState::default();
        Self {
            slots: vec![Slot::default(); FIRST_SLOTS],
            digests: Vec::with_capacity(FIRST_TEXTS),
            seeds: Seeds {
                head: long.hash_one(0_u64),
                tail: long.hash_one(1_u64),
                long,
            },
        }
    }

    /// The key of the text, which is the first `n_bytes` bytes, or where it is to be added.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "no frame for each text")]
    pub(super) fn find(&self, ahead: &[u8], n_bytes: usize, texts: &Texts) -> Result<i32, Unknown> {
        let digest = Digest::of(ahead, n_bytes, &self.seeds);
        let (mut place, tag) = digest.place(&self.seeds);
        loop {
            place &= self.slots.len() - 1;
            let slot = self.slots[place];
            if slot.taken == 0 {
                return Err(Unknown { digest, tag, place });
            }
            let key = (slot.taken - 1) as usize;
            if slot.tag == tag
                && self.digests[key] == digest
                && (digest.is_all() || texts.get(key) == &ahead[..n_bytes])
            {
                return Ok((slot.taken - 1).cast_signed());
            }
            place += 1;
        }
    }

    /// The key of a text that has not been met; it is added to `texts`.
    pub(super) fn add(&mut self, unknown: Unknown, text: &[u8], texts: &mut Texts) -> i32 {
        let Unknown { digest, tag, place } = unknown;
        texts.push(text, 0);
        self.digests.push(digest);
        let taken = u32::try_from(self.digests.len()).unwrap_or(u32::MAX);
        self.slots[place] = Slot { tag, taken };
        // At most half of the slots are taken, so that a search is short, and ends.
        if self.digests.len() * 2 >= self.slots.len() {
            self.grow();
        }
        (taken - 1).cast_signed()
    }

    #[cold]
    fn grow(&mut self) {
        let n_slots = self.slots.len() * 4;
        let mut slots = vec![Slot::default(); n_slots];
        // As many as come before it grows again.
        self.digests.reserve_exact(n_slots / 2 - self.digests.len());
        for (taken, digest) in (1..).zip(&self.digests) {
            let (mut place, tag) = digest.place(&self.seeds);
            place &= n_slots - 1;
            while slots[place].taken != 0 {
                place = (place + 1) & (n_slots - 1);
            }
            slots[place] = Slot { tag, taken };
        }
        self.slots = slots;
    }
}

impl Digest {
    #[inline]
    fn of(ahead: &[u8], n_bytes: usize, seeds: &Seeds) -> Self {
        let (head, tail) = if n_bytes > 16 {
            (seeds.long.hash_one(&ahead[..n_bytes]), 0)
        } else if let Some(words) = ahead.first_chunk::<16>() {
            padded(words, n_bytes)
        } else {
            let mut words = [0; 16];
            words[..n_bytes].copy_from_slice(&ahead[..n_bytes]);
            padded(&words, n_bytes)
        };
        Self {
            head,
            tail,
            text_bytes: text_bytes(n_bytes),
        }
    }

    /// Whether no other text has this digest.
    #[inline]
    fn is_all(self) -> bool {
        self.text_bytes <= 16
    }

    /// Where a search begins, and a tag that tells most other texts. The product's upper half depends on all bits of both
    /// factors, its lower half on the low ones.
    #[inline]
    fn place(self, seeds: &Seeds) -> (usize, u32) {
        let (a, b) = (self.head ^ seeds.head, self.tail ^ seeds.tail);
        let product = u128::from(a) * u128::from(b ^ u64::from(self.text_bytes) << 56);
        #[expect(clippy::cast_possible_truncation, reason = "folded on purpose")]
        let folded = (product >> 64) as u64 ^ product as u64;
        #[expect(clippy::cast_possible_truncation, reason = "two halves")]
        (folded as u32 as usize, (folded >> 32) as u32)
    }
}

/// `max_event_bytes` is at most 256 MiB.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "said above")]
fn text_bytes(n_bytes: usize) -> u32 {
    debug_assert!(u32::try_from(n_bytes).is_ok());
    n_bytes as u32
}

/// The first `n_bytes` bytes, at most 16, as two words; zeros instead of what stands behind them. Without a branch, since
/// lengths are hard to predict.
#[inline]
fn padded(bytes: &[u8; 16], n_bytes: usize) -> (u64, u64) {
    const LOW: u128 = u64::MAX as u128;
    let words = u128::from_le_bytes(*bytes) & MASKS[n_bytes];
    ((words & LOW) as u64, (words >> 64) as u64)
}

/// By a number of bytes, these bytes.
const MASKS: [u128; 17] = {
    let mut masks = [0; 17];
    let mut n_bytes = 1;
    while n_bytes < masks.len() {
        masks[n_bytes] = masks[n_bytes - 1] << 8 | 0xFF;
        n_bytes += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_collide_under_known_seeds_are_found_at_once() {
        let digest = |text: &str, seeds: &Seeds| Digest::of(text.as_bytes(), text.len(), seeds);
        let known = Seeds {
            head: 0x9E37_79B9_7F4A_7C15,
            tail: 0xD1B5_4A32_D192_ED03,
            long: RandomState::default(),
        };
        let texts = (0..).map(|n| format!("{n:08x}"));
        let collide = texts.filter(|text| digest(text, &known).place(&known).0 & 0xFFFF < 16);
        let (mut table, mut entries) = (Table::new(), Texts::new());
        for text in collide.take(1000) {
            if let Err(unknown) = table.find(text.as_bytes(), text.len(), &entries) {
                table.add(unknown, text.as_bytes(), &mut entries);
            }
        }
        let last = table.slots.len() - 1;
        let taken = table.slots.iter().enumerate();
        let steps = taken.filter(|(_, slot)| slot.taken != 0).map(|(at, slot)| {
            let digest = table.digests[slot.taken as usize - 1];
            at.wrapping_sub(digest.place(&table.seeds).0) & last
        });
        let n_steps: usize = steps.sum();
        assert!(n_steps < 4 * 1000, "{n_steps}");
    }
}
