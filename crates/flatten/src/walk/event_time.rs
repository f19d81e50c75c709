//! Rule 3: the event time, met on the walk.

use super::{Member, TimeFound, TimeRule, Walk};
use crate::builder::Scalar;
use crate::escape::unescape;
use crate::scan::Scanner;
use crate::time::{self, Form};
use crate::trie::NodeId;

impl Walk<'_> {
    /// Rule 3 for a value declared `json` or `rescue`; returns whether it is the event time.
    pub(super) fn event_time_of_whole(&mut self, member: &Member<'_>, value: &[u8]) -> bool {
        let mut content = Vec::new();
        let scalar = match value.first() {
            Some(b'"') => {
                unescape(&value[1..value.len() - 1], &mut content);
                Scalar::Text(&content)
            }
            Some(b'-' | b'0'..=b'9') => match Scanner::new(value).number() {
                Ok(number) => Scalar::Number(number),
                Err(_) => return false,
            },
            _ => Scalar::Boolean(false), // Anything that is no time.
        };
        self.event_time(member, scalar, value)
    }

    /// Rule 3: returns whether the value is the event time, and so needs no further place.
    pub(super) fn event_time(
        &mut self,
        member: &Member<'_>,
        scalar: Scalar<'_>,
        raw: &[u8],
    ) -> bool {
        let Some(rank) = self.trie.nodes[member.node as usize].time_rank else {
            return false;
        };
        match self.time_rule {
            TimeRule::Known(chosen) if chosen != Some(rank) => return false,
            TimeRule::Guess(guess) if guess < rank => {
                self.note_time_present();
                return false;
            }
            TimeRule::Known(_) | TimeRule::Guess(_) => {}
        }
        let reading = match scalar {
            Scalar::Text(text) => time::read_text(text, self.plan.assume_offset_s),
            Scalar::Number(number) => time::read_number(number),
            Scalar::Boolean(_) => None,
        };
        let Some(reading) = reading else {
            self.note_time_present();
            return false;
        };
        if matches!(self.time_rule, TimeRule::Guess(guess) if rank < guess) {
            // Readable, and before the guess: the guess is wrong, whatever the rest of the event says.
            self.time_found = TimeFound::Unclear;
            self.time_rule = TimeRule::Known(None);
            return false;
        }
        self.time_found = TimeFound::Read(rank, reading);
        if reading.form == Form::Other {
            self.doc.keep(member.bytes, member.raw_key, raw);
        }
        true
    }

    /// A pointer to an event time meets an object or array.
    #[inline]
    pub(super) fn note_unreadable_time(&mut self, node: NodeId) {
        if self.trie.nodes[node as usize].time_rank.is_some() {
            self.note_time_present();
        }
    }

    /// A pointer to an event time is present; which one counts is unclear unless the guess is read.
    fn note_time_present(&mut self) {
        if self.time_found == TimeFound::Absent {
            self.time_found = TimeFound::Unclear;
        }
    }
}
