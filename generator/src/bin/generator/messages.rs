//! Events packed into messages, and messages cut into requests.

use std::io::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::args::Compress;

/// What the keys of sessions stand behind in a default event.
const SESSION: &[u8] = b"\"session\":{\"id\":\"";

/// One message or record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// What is sent.
    pub(crate) body: Vec<u8>,
    /// How many events are in it.
    pub(crate) n_events: u64,
    /// The session of its first event, or a text of its own: messages of one key stay in order.
    pub(crate) key: String,
}

/// Packs events into messages of so many, compressed if asked for. For a queue, which takes nothing but text, what is
/// compressed is base64, and bytes that are not UTF-8 are replaced.
pub(crate) fn pack(
    ndjson: &[u8],
    n_events_of_message: usize,
    compress: Compress,
    is_text: bool,
) -> Vec<Message> {
    let events: Vec<&[u8]> = ndjson.split_inclusive(|&byte| byte == b'\n').collect();
    let messages = events.chunks(n_events_of_message.max(1)).enumerate();
    let messages = messages.map(|(n, events)| {
        let joined = events.concat();
        let plain = joined.strip_suffix(b"\n").unwrap_or(&joined);
        Message {
            body: body(plain, compress, is_text),
            n_events: events.len() as u64,
            key: session_of(plain).unwrap_or_else(|| n.to_string()),
        }
    });
    messages.collect()
}

fn body(plain: &[u8], compress: Compress, is_text: bool) -> Vec<u8> {
    let compressed = match compress {
        Compress::None if is_text => return String::from_utf8_lossy(plain).into_owned().into(),
        Compress::None => return plain.to_vec(),
        Compress::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            // Writing to memory cannot fail.
            let written = encoder.write_all(plain);
            written.and_then(|()| encoder.finish()).unwrap_or_default()
        }
        // Compressing in memory cannot fail either.
        Compress::Zstd => zstd::bulk::compress(plain, 1).unwrap_or_default(),
    };
    if is_text {
        BASE64_STANDARD.encode(compressed).into()
    } else {
        compressed
    }
}

fn session_of(event: &[u8]) -> Option<String> {
    let line = event.split(|&byte| byte == b'\n').next()?;
    let begin = line
        .windows(SESSION.len())
        .position(|bytes| bytes == SESSION)?
        + SESSION.len();
    let rest = line.get(begin..)?;
    let end = rest.iter().position(|&byte| byte == b'"')?;
    let key = String::from_utf8(rest.get(..end)?.to_vec()).ok()?;
    (1..=256).contains(&key.len()).then_some(key)
}

/// Cuts messages into as few requests as may be sent, each of so many messages and bytes at most.
pub(crate) fn requests(
    lengths: impl Iterator<Item = usize>,
    most: usize,
    most_bytes: usize,
) -> Vec<Range<usize>> {
    let mut requests: Vec<Range<usize>> = Vec::new();
    let mut n_bytes = 0;
    for (position, length) in lengths.enumerate() {
        n_bytes += length;
        match requests.last_mut() {
            Some(request) if request.len() < most && n_bytes <= most_bytes => {
                request.end = position + 1;
            }
            _ => {
                n_bytes = length;
                requests.push(position..position + 1);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &[u8] =
        b"{\"a\":1,\"session\":{\"id\":\"s1\"}}\n{\"b\":\"\xff\"}\n{\"c\":3,\"session\":{\"id\":\"s2\"}}\n";

    #[test]
    fn each_message_holds_as_many_events_as_asked_for_and_none_is_lost() {
        let messages = pack(EVENTS, 2, Compress::None, false);
        let facts: Vec<(u64, &str)> = messages
            .iter()
            .map(|message| (message.n_events, message.key.as_str()))
            .collect();
        assert_eq!(facts, [(2, "s1"), (1, "s2")]);
        let joined: Vec<u8> = messages
            .iter()
            .flat_map(|message| [&message.body[..], b"\n"].concat())
            .collect();
        assert_eq!(joined, EVENTS);
        assert_eq!(pack(EVENTS, 1, Compress::None, false)[1].key, "1");
    }

    #[test]
    fn what_goes_to_a_queue_is_text() {
        for compress in [Compress::None, Compress::Gzip, Compress::Zstd] {
            let [message] = &pack(EVENTS, 3, compress, true)[..] else {
                panic!("one message")
            };
            let text = std::str::from_utf8(&message.body).unwrap();
            assert!(
                compress == Compress::None || text.bytes().all(|byte| byte.is_ascii_graphic()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_compressed_can_be_inflated() {
        let [message] = &pack(EVENTS, 3, Compress::Zstd, true)[..] else {
            panic!("one message")
        };
        let bytes = BASE64_STANDARD.decode(&message.body).unwrap();
        let plain = zstd::bulk::decompress(&bytes, 1 << 20).unwrap();
        assert_eq!(plain, EVENTS.strip_suffix(b"\n").unwrap());
    }

    #[test]
    fn a_request_is_bounded_in_messages_and_bytes() {
        let check = |lengths: &[usize], expected: &[Range<usize>]| {
            let found = requests(lengths.iter().copied(), 3, 100);
            assert_eq!(found, expected, "{lengths:?}");
        };
        check(&[], &[]);
        check(&[1; 4], &[0..3, 3..4]);
        check(&[60, 40, 1], &[0..2, 2..3]);
        check(&[200, 1], &[0..1, 1..2]);
    }
}
