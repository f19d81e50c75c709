//! Which texts a column has met.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::Texts;

/// The key of each text that has been met: open addressing over a power of two of slots.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
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

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    digest: Digest,
    /// The key plus one; 0 is free.
    taken: u32,
}

impl Table {
    /// No texts yet.
    pub(super) fn new() -> Self {
        let long = RandomState::default();
        Self {
            slots: Vec::new(),
            seeds: Seeds {
                head: long.hash_one(0_u64),
                tail: long.hash_one(1_u64),
                long,
            },
        }
    }

    /// The key of the text; a new one is added to `texts`.
    #[inline]
    pub(super) fn key(&mut self, text: &[u8], ahead: &[u8], texts: &mut Texts) -> i32 {
        // At most half of the slots are taken, so that a search is short.
        if texts.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let digest = Digest::of(text, ahead, &self.seeds);
        let last = self.slots.len() - 1;
        let mut place = digest.place(&self.seeds) & last;
        loop {
            let slot = &mut self.slots[place];
            if slot.taken == 0 {
                texts.push(text, 0);
                slot.digest = digest;
                slot.taken = u32::try_from(texts.len()).unwrap_or(u32::MAX);
                return (slot.taken - 1).cast_signed();
            }
            let key = slot.taken - 1;
            if slot.digest == digest && (digest.is_all() || texts.get(key as usize) == text) {
                return key.cast_signed();
            }
            place = (place + 1) & last;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let n_slots = (self.slots.len() * 4).max(64);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); n_slots]);
        for slot in old.into_iter().filter(|slot| slot.taken != 0) {
            let mut place = slot.digest.place(&self.seeds) & (n_slots - 1);
            while self.slots[place].taken != 0 {
                place = (place + 1) & (n_slots - 1);
            }
            self.slots[place] = slot;
        }
    }
}

impl Digest {
    #[inline]
    fn of(text: &[u8], ahead: &[u8], seeds: &Seeds) -> Self {
        let (head, tail) = if text.len() > 16 {
            (seeds.long.hash_one(text), 0)
        } else if let Some(words) = ahead.first_chunk::<16>() {
            padded(words, text.len())
        } else {
            let mut words = [0; 16];
            words[..text.len()].copy_from_slice(text);
            padded(&words, text.len())
        };
        Self {
            head,
            tail,
            text_bytes: text_bytes(text),
        }
    }

    /// Whether no other text has this digest.
    #[inline]
    fn is_all(self) -> bool {
        self.text_bytes <= 16
    }

    /// Where a search begins. The product's upper half depends on all bits of both factors, its lower half on the low ones.
    #[inline]
    fn place(self, seeds: &Seeds) -> usize {
        let (a, b) = (self.head ^ seeds.head, self.tail ^ seeds.tail);
        let product = u128::from(a) * u128::from(b ^ u64::from(self.text_bytes) << 56);
        #[expect(clippy::cast_possible_truncation, reason = "folded on purpose")]
        let folded = (product >> 64) as u64 ^ product as u64;
        usize::try_from(folded).unwrap_or_default()
    }
}

/// `max_event_bytes` is at most 256 MiB.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "said above")]
fn text_bytes(text: &[u8]) -> u32 {
    debug_assert!(u32::try_from(text.len()).is_ok());
    text.len() as u32
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
        let digest = |text: &str, seeds: &Seeds| Digest::of(text.as_bytes(), &[], seeds);
        let known = Seeds {
            head: 0x9E37_79B9_7F4A_7C15,
            tail: 0xD1B5_4A32_D192_ED03,
            long: RandomState::default(),
        };
        let texts = (0..).map(|n| format!("{n:08x}"));
        let collide = texts.filter(|text| digest(text, &known).place(&known) & 0xFFFF < 16);
        let (mut table, mut entries) = (Table::new(), Texts::new());
        for text in collide.take(1000) {
            table.key(text.as_bytes(), &[], &mut entries);
        }
        let last = table.slots.len() - 1;
        let taken = table.slots.iter().enumerate();
        let steps = taken
            .filter(|(_, slot)| slot.taken != 0)
            .map(|(at, slot)| at.wrapping_sub(slot.digest.place(&table.seeds)) & last);
        let n_steps: usize = steps.sum();
        assert!(n_steps < 4 * 1000, "{n_steps}");
    }
}
