//! A file of any size as pieces of bounded size, each of whole events.
//!
//! NDJSON is cut behind a line, an array between two elements. The cuts depend on the bytes alone and on no setting, so the
//! same file always gives the same pieces. Memory is bounded by the largest piece, not by the file.

use std::io::{self, BufRead as _, BufReader, Read};

use crate::{
    EVENT_BYTES, Flaw, Frames,
    frame::{frame, frame_lines},
};

/// How large pieces get.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A piece has about this many bytes, unless one event is larger.
    pub piece_bytes: usize,
    /// It has no more lines or elements than this.
    pub piece_events: usize,
    /// An event that does not end within this many bytes cannot be told from the rest.
    pub event_bytes: usize,
}

impl Limits {
    /// What the pipeline must allow a payload so that every piece has room.
    pub fn payload_bytes(self) -> u64 {
        let event_bytes = self.event_bytes.max(self.piece_bytes);
        event_bytes.max(self.piece_events * EVENT_BYTES) as u64
    }
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Whole events that follow each other in a file: lines, or an array of their own.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins, in bytes of the inflated file.
    pub offset: u64,
    /// The bytes.
    pub body: Vec<u8>,
    /// Whether it goes on with lines. What a body is, is told by its first byte, and that of the whole file counts.
    pub is_lines: bool,
}

impl Piece {
    /// Where its events are.
    pub fn frames(&self) -> Frames {
        if self.is_lines {
            frame_lines(&self.body, usize::MAX)
        } else {
            frame(&self.body, usize::MAX)
        }
    }
}

/// Why a file gives no further pieces.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PieceError {
    /// The file cannot be read, or is not what its first bytes say.
    #[error("cannot read on after {offset} bytes")]
    Read {
        /// What was read before.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// One event is so large that it cannot be told from the rest.
    #[error("the event at byte {offset} does not end within {limit_bytes} bytes")]
    TooLong {
        /// Where it begins.
        offset: u64,
        /// How long an event may be.
        limit_bytes: usize,
    },
    /// The array cannot be told apart any more; what came before was a piece.
    #[error("the array is broken at byte {offset}: {reason}")]
    BrokenArray {
        /// Where.
        offset: u64,
        /// How.
        reason: Flaw,
    },
}

/// The pieces of one file, in order.
#[derive(Debug)]
pub struct Pieces<R> {
    reader: R,
    /// Bytes read and not yet given out.
    buffer: Vec<u8>,
    /// Where the buffer begins in the inflated file.
    offset: u64,
    limits: Limits,
    /// Known once something other than white space was read.
    is_array: Option<bool>,
    has_begun: bool,
    is_at_end: bool,
    broken: Option<PieceError>,
}

/// Inflates gzip or zstd, known by their first bytes; anything else is passed on.
///
/// # Errors
///
/// When nothing can be read.
pub fn inflated(raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut raw = BufReader::with_capacity(1 << 20, raw);
    let head = raw.fill_buf()?;
    Ok(if head.starts_with(&GZIP) {
        Box::new(flate2::bufread::MultiGzDecoder::new(raw))
    } else if head.starts_with(&ZSTD) {
        Box::new(zstd::stream::read::Decoder::with_buffer(raw)?)
    } else {
        Box::new(raw)
    })
}

impl<R: Read> Pieces<R> {
    /// The pieces of what the reader gives.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            offset: 0,
            limits,
            is_array: None,
            has_begun: false,
            is_at_end: false,
            broken: None,
        }
    }

    /// The next piece, `None` behind the last.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or told apart, any further.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, PieceError> {
        if let Some(error) = self.broken.take() {
            self.is_at_end = true;
            self.buffer.clear();
            return Err(error);
        }
        let mut wanted = self.limits.piece_bytes;
        loop {
            self.fill(wanted)?;
            if self.buffer.trim_ascii_start().is_empty() && self.is_at_end {
                return Ok(None);
            }
            let is_array = self.find_form();
            let cut = if is_array {
                self.cut_array()
            } else {
                self.cut_lines()
            };
            if let Some((offset, body)) = cut {
                let is_lines = self.has_begun && !is_array;
                self.has_begun = true;
                return Ok(Some(Piece {
                    offset,
                    body,
                    is_lines,
                }));
            }
            let limit_bytes = self.limits.event_bytes;
            if wanted >= limit_bytes {
                let offset = self.offset;
                return Err(PieceError::TooLong {
                    offset,
                    limit_bytes,
                });
            }
            wanted = wanted.saturating_mul(2).min(limit_bytes);
        }
    }

    /// Reads until the buffer has this many bytes or the file ends.
    fn fill(&mut self, wanted: usize) -> Result<(), PieceError> {
        let missing = wanted.saturating_sub(self.buffer.len());
        if missing == 0 || self.is_at_end {
            return Ok(());
        }
        let at = self.offset + self.buffer.len() as u64;
        self.buffer.reserve(missing);
        let read = self
            .reader
            .by_ref()
            .take(missing as u64)
            .read_to_end(&mut self.buffer);
        let n_read = read.map_err(|source| PieceError::Read { offset: at, source })?;
        self.is_at_end = n_read < missing;
        if at == 0 && self.buffer.starts_with(&BOM) {
            self.drop_front(BOM.len());
        }
        Ok(())
    }

    /// Decides by the first byte that is no white space, once.
    fn find_form(&mut self) -> bool {
        let first = self.buffer.trim_ascii_start().first().copied();
        *self.is_array.get_or_insert(first == Some(b'['))
    }

    /// Cuts behind the last line that is whole, or the last one that a piece may have.
    fn cut_lines(&mut self) -> Option<(u64, Vec<u8>)> {
        let ends = self.buffer.iter().enumerate();
        let mut ends = ends.filter(|(_, byte)| **byte == b'\n');
        let end = match ends.nth(self.limits.piece_events - 1) {
            Some((last, _)) => last + 1,
            None if self.is_at_end => self.buffer.len(),
            None => self.buffer.iter().rposition(|&byte| byte == b'\n')? + 1,
        };
        Some((self.offset, self.drop_front(end)))
    }

    /// Cuts behind the last element that is whole, and makes two arrays of one.
    fn cut_array(&mut self) -> Option<(u64, Vec<u8>)> {
        let frames = frame(&self.buffer, self.limits.piece_events);
        let offset = self.offset;
        let Some(broken) = frames.broken else {
            let end = self.buffer.len();
            let rest_may_follow = !self.is_at_end;
            let body = self.drop_front(end);
            self.is_array = rest_may_follow.then_some(false);
            return Some((offset, body));
        };
        let may_go_on = match broken.flaw {
            Flaw::TooMany => true,
            Flaw::NoEnd | Flaw::ElementWithoutEnd => !self.is_at_end,
            _ => false,
        };
        if !may_go_on {
            if !self.is_at_end {
                let at = self.offset + broken.offset as u64;
                self.broken = Some(PieceError::BrokenArray {
                    offset: at,
                    reason: broken.flaw,
                });
            }
            let end = self.buffer.len();
            return Some((offset, self.drop_front(end)));
        }
        // An element that the buffer ends with may go on: `12` of `123`.
        let n_cut = usize::from(broken.offset == self.buffer.len());
        let end = frames.events().rev().nth(n_cut)?.end;
        let mut body = self.drop_front(end);
        body.push(b']');
        // The comma behind the element opens the array of the next piece, at the same offset.
        let comma = self.buffer.iter().position(|&byte| byte == b',')?;
        self.buffer[comma] = b'[';
        Some((offset, body))
    }

    /// Takes bytes off the front of the buffer.
    fn drop_front(&mut self, n_bytes: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(n_bytes);
        self.offset += n_bytes as u64;
        std::mem::replace(&mut self.buffer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a text as texts, then the error if there is one.
    #[track_caller]
    fn check(text: &str, piece_bytes: usize, expected: &[&str]) {
        check_with(
            text,
            Limits {
                piece_bytes,
                piece_events: 1_000,
                event_bytes: 40,
            },
            expected,
        );
    }

    #[track_caller]
    fn check_with(text: &str, limits: Limits, expected: &[&str]) {
        let mut pieces = Pieces::new(text.as_bytes(), limits);
        let mut found = Vec::new();
        loop {
            match pieces.next_piece() {
                Ok(Some(piece)) => found.push(String::from_utf8(piece.body).unwrap()),
                Ok(None) => break,
                Err(error) => {
                    found.push(error.to_string());
                    break;
                }
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_small_file_is_one_piece_as_it_is() {
        check("{\"a\":\n1}", 40, &["{\"a\":\n1}"]);
        check(" [1, 2]\n", 40, &[" [1, 2]\n"]);
        check("", 40, &[]);
        check(" \n ", 40, &[]);
    }

    #[test]
    fn lines_are_cut_behind_the_last_whole_one() {
        check("{1}\n{2}\n{3}\n{4}", 10, &["{1}\n{2}\n", "{3}\n{4}"]);
        check(
            "{1}\n{22222222222222}\n{3}\n",
            6,
            &["{1}\n", "{22222222222222}\n{3}\n"],
        );
    }

    #[test]
    fn an_array_is_cut_between_elements_and_stays_one_in_each_piece() {
        check(
            "[{1}, {2} , {3},{4}]",
            10,
            &["[{1}]", "[ {2}]", " [ {3}]", "[{4}]"],
        );
        check("[123,456,789]", 6, &["[123]", "[456]", "[789]"]);
        check("[\"a,]\",\"b\\\"c\"]", 9, &["[\"a,]\"]", "[\"b\\\"c\"]"]);
    }

    #[test]
    fn a_piece_has_no_more_events_than_it_may() {
        let limits = Limits {
            piece_bytes: 40,
            piece_events: 2,
            event_bytes: 40,
        };
        check_with("1\n2\n3\n4\n5", limits, &["1\n2\n", "3\n4\n", "5"]);
        check_with("[1,2,3,4]", limits, &["[1,2]", "[3,4]"]);
        check_with("[1,2,3,4,5]", limits, &["[1,2]", "[3,4]", "[5]"]);
    }

    #[test]
    fn every_piece_has_room_in_a_payload() {
        let few = Limits {
            piece_bytes: 64 << 20,
            piece_events: 1 << 20,
            event_bytes: 256 << 20,
        };
        assert_eq!(few.payload_bytes(), 256 << 20);
        let many = Limits {
            piece_events: 5 << 20,
            ..few
        };
        assert_eq!(many.payload_bytes(), 320 << 20);
    }

    #[test]
    fn the_byte_order_mark_is_no_part_of_a_piece() {
        check("\u{feff}{1}\n", 40, &["{1}\n"]);
    }

    #[test]
    fn an_event_beyond_the_limit_is_an_error_that_says_where() {
        let long = format!("{{1}}\n{{{}}}\n", "2".repeat(60));
        check(
            &long,
            10,
            &["{1}\n", "the event at byte 4 does not end within 40 bytes"],
        );
        let long = format!("[1,\"{}\"]", "2".repeat(60));
        check(
            &long,
            10,
            &["[1]", "the event at byte 2 does not end within 40 bytes"],
        );
    }

    #[test]
    fn a_broken_array_gives_what_was_read_of_it_and_then_the_place() {
        let broken = "the array is broken at byte 4: no comma behind the element";
        check("[1, 2 3, 4, 5, 6, 7]", 10, &["[1, 2 3, 4", broken]);
        check("[1, 2", 10, &["[1, 2"]);
    }

    #[test]
    fn pieces_of_any_size_hold_the_same_events_at_the_same_offsets() {
        let events: Vec<String> = (0..200)
            .map(|n| format!("{{\"n\":{n},\"s\":\"],[\"}}"))
            .collect();
        for text in [events.join("\n"), format!("[{}]", events.join(" ,\n"))] {
            for piece_bytes in [30, 31, 64, 100, 1000, 100_000] {
                let limits = Limits {
                    piece_bytes,
                    piece_events: 50,
                    event_bytes: 1 << 20,
                };
                let mut pieces = Pieces::new(text.as_bytes(), limits);
                let mut found = Vec::new();
                while let Some(piece) = pieces.next_piece().unwrap() {
                    let Piece { offset, body, .. } = piece;
                    for event in frame(&body, usize::MAX).events() {
                        let start = usize::try_from(offset).unwrap() + event.start;
                        assert_eq!(
                            text.as_bytes()[start..start + event.len()],
                            body[event.clone()]
                        );
                        found.push(String::from_utf8(body[event].to_vec()).unwrap());
                    }
                }
                assert_eq!(found, events);
            }
        }
    }

    #[test]
    fn lines_that_look_like_an_array_or_a_value_are_lines_wherever_a_piece_begins() {
        let lines: Vec<String> = (0..40)
            .map(|n| match n % 4 {
                1 => format!("[{n},{n}]"),
                2 => format!("{{\"broken\":{n},"),
                _ => format!("{{\"n\":{n}}}"),
            })
            .collect();
        let text = lines.join("\n");
        for piece_bytes in 14..60 {
            let limits = Limits {
                piece_bytes,
                piece_events: 50,
                event_bytes: 1 << 20,
            };
            let mut pieces = Pieces::new(text.as_bytes(), limits);
            let mut found = Vec::new();
            while let Some(piece) = pieces.next_piece().unwrap() {
                let frames = piece.frames();
                assert_eq!(frames.broken, None);
                for event in frames.events() {
                    found.push(String::from_utf8(piece.body[event].to_vec()).unwrap());
                }
            }
            assert_eq!(found, lines, "{piece_bytes}");
        }
    }

    #[test]
    fn gzip_and_zstd_are_read_as_streams() {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"{1}").unwrap();
        let gzip = gzip.finish().unwrap();
        for file in [
            gzip,
            zstd::bulk::compress(b"{1}", 3).unwrap(),
            b"{1}".to_vec(),
        ] {
            let mut read = Vec::new();
            inflated(io::Cursor::new(file))
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, b"{1}");
        }
    }
}
