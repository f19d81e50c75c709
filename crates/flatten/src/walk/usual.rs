//! Values that are what those of their path nearly always are: from their bytes into their column in one step.

use super::{TimeFound, TimeRule, Walk};
use crate::number::Number;
use crate::scan::Scanner;
use crate::trie::Usual;

impl Walk<'_> {
    /// Puts a value that is as the values of its path nearly always are into their column. False: nothing was done, and
    /// [`Self::value`] is to look at it.
    #[inline]
    pub(super) fn usual_value(&mut self, scanner: &mut Scanner<'_>, usual: Usual) -> bool {
        // By how frequent they are: comparing is cheaper than a jump that is hard to predict.
        if let Usual::Text(column) = usual {
            self.usual_text(scanner, column)
        } else if let Usual::Long(column) = usual {
            self.usual_long(scanner, column)
        } else if let Usual::Double(column) = usual {
            self.usual_double(scanner, column)
        } else if let Usual::Boolean(column) = usual {
            self.usual_boolean(scanner, column)
        } else if let Usual::Time(rank) = usual {
            self.usual_time(scanner, rank)
        } else {
            false
        }
    }

    /// The event time that is expected, as it is written most often.
    #[inline]
    fn usual_time(&mut self, scanner: &mut Scanner<'_>, rank: u8) -> bool {
        if self.time_rule != TimeRule::Guess(rank) {
            return false;
        }
        let Some((reading, n_bytes)) = self.day.read_quoted(scanner.rest()) else {
            return false;
        };
        scanner.at += n_bytes;
        self.time_found = TimeFound::Read(rank, reading);
        true
    }

    /// A text without escapes.
    #[inline]
    fn usual_text(&mut self, scanner: &mut Scanner<'_>, column: u32) -> bool {
        let column = column as usize;
        let Some(text) = scanner.plain_text() else {
            return false;
        };
        let ahead = &scanner.bytes[text.start..];
        self.columns[column].put_text(self.n_rows, ahead, text.len());
        true
    }

    /// An integer of few digits.
    #[inline]
    fn usual_long(&mut self, scanner: &mut Scanner<'_>, column: u32) -> bool {
        let Some((long, n_bytes)) = Number::short_long(scanner.rest()) else {
            return false;
        };
        scanner.at += n_bytes;
        let column = column as usize;
        self.columns[column].put_long(self.n_rows, long);
        true
    }

    /// A number of few digits.
    #[inline]
    fn usual_double(&mut self, scanner: &mut Scanner<'_>, column: u32) -> bool {
        let Some((double, n_bytes)) = Number::short_double(scanner.rest()) else {
            return false;
        };
        scanner.at += n_bytes;
        let column = column as usize;
        self.columns[column].put_double(self.n_rows, double);
        true
    }

    /// A word of the two.
    #[inline]
    fn usual_boolean(&mut self, scanner: &mut Scanner<'_>, column: u32) -> bool {
        let (boolean, n_bytes) = match scanner.rest() {
            [b't', b'r', b'u', b'e', ..] => (true, 4),
            [b'f', b'a', b'l', b's', b'e', ..] => (false, 5),
            _ => return false,
        };
        scanner.at += n_bytes;
        let column = column as usize;
        self.columns[column].put_boolean(self.n_rows, boolean);
        true
    }
}
