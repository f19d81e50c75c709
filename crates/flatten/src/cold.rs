//! The rare cases, by slow and simple means: repeated keys, event times out of the usual place, values hidden inside
//! others. None of it is reached by an event like the one before it.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::escape::unescape;
use crate::scan::{Scanner, Stop};
use crate::time::{self, Reading};
use crate::trie::{NodeId, ROOT, Trie};
use crate::{DeclaredType, Pointer};

/// A member of an object, as it stands in the event.
#[derive(Debug)]
pub(crate) struct Member {
    /// The key with its quotes.
    pub(crate) raw_key: Range<usize>,
    /// The key.
    pub(crate) key: Vec<u8>,
    pub(crate) value: Range<usize>,
}

/// The members of the object that begins at `start`, without those that a later one of the same key replaces; and where it ends.
pub(crate) fn members(bytes: &[u8], start: usize) -> Result<(Vec<Member>, usize), Stop> {
    let (all, replaced, end) = all_members(bytes, start)?;
    let kept = all
        .into_iter()
        .enumerate()
        .filter(|(position, _)| !replaced.contains(position));
    Ok((kept.map(|(_, member)| member).collect(), end))
}

fn all_members(bytes: &[u8], start: usize) -> Result<(Vec<Member>, Vec<usize>, usize), Stop> {
    let mut scanner = Scanner { bytes, at: start };
    let mut all: Vec<Member> = Vec::new();
    let mut replaced = Vec::new();
    let mut last = std::collections::HashMap::new();
    scanner.expect(b'{')?;
    if scanner.take(b'}') {
        return Ok((all, replaced, scanner.at));
    }
    loop {
        scanner.expect(b'"')?;
        let key_at = scanner.at - 1;
        let text = scanner.text()?;
        let raw_key = key_at..scanner.at;
        let mut key = Vec::new();
        unescape(&bytes[text.inner], &mut key);
        scanner.expect(b':')?;
        // The nesting has been or will be checked by the walk; here it only bounds the recursion.
        let value = scanner.skip(0)?;
        if let Some(earlier) = last.insert(key.clone(), all.len()) {
            replaced.push(earlier);
        }
        all.push(Member {
            raw_key,
            key,
            value,
        });
        if scanner.take(b'}') {
            return Ok((all, replaced, scanner.at));
        }
        scanner.expect(b',')?;
    }
}

/// Where the keys of members stand that a later member of the same object replaces, in ascending order.
///
/// Objects inside arrays are not looked at: arrays are copied as they are.
pub(crate) fn replaced_members(bytes: &[u8]) -> Result<Vec<usize>, Stop> {
    let mut scanner = Scanner::new(bytes);
    scanner.peek_token();
    // The whole event first: it bounds the nesting for everything below.
    let event = scanner.clone().skip(0)?;
    let mut found = Vec::new();
    let mut objects = vec![event.start];
    while let Some(start) = objects.pop() {
        let (all, replaced, _) = all_members(bytes, start)?;
        found.extend(replaced.iter().map(|&position| all[position].raw_key.start));
        let inner = all.iter().map(|member| member.value.start);
        objects.extend(inner.filter(|&at| bytes[at] == b'{'));
    }
    found.sort_unstable();
    Ok(found)
}

/// What the list of event times finds in an event.
#[derive(Debug, Default)]
pub(crate) struct TimeLookup {
    /// The first pointer of the list that is readable.
    pub(crate) chosen: Option<(u8, Reading)>,
    /// The pointers that are present.
    pub(crate) present: Vec<u8>,
}

/// Looks for the event time in a valid event.
pub(crate) fn look_up_time(
    bytes: &[u8],
    pointers: &[Pointer],
    trie: &Trie,
    assume_offset_s: Option<i32>,
) -> Result<TimeLookup, Stop> {
    let mut lookup = TimeLookup::default();
    for (rank, pointer) in (0..).zip(pointers) {
        let Some((range, hashed)) = find(bytes, pointer, trie)? else {
            continue;
        };
        let value = &bytes[range];
        if value == b"null" {
            continue;
        }
        lookup.present.push(rank);
        let reading = match value.first() {
            _ if hashed => time::read_text(&sha256_hex(value), assume_offset_s),
            Some(b'"') => {
                let mut text = Vec::new();
                unescape(&value[1..value.len() - 1], &mut text);
                time::read_text(&text, assume_offset_s)
            }
            Some(b'-' | b'0'..=b'9') => time::read_number(Scanner::new(value).number()?),
            _ => None,
        };
        if lookup.chosen.is_none() {
            lookup.chosen = reading.map(|reading| (rank, reading));
        }
    }
    Ok(lookup)
}

/// The value at a path, and whether it is to be hashed; none below what is dropped or hashed.
fn find(
    bytes: &[u8],
    pointer: &Pointer,
    trie: &Trie,
) -> Result<Option<(Range<usize>, bool)>, Stop> {
    let mut scanner = Scanner::new(bytes);
    let mut value = scanner.skip(0)?;
    let mut node = Some(ROOT);
    let mut hashed = false;
    for key in pointer.keys() {
        if hashed || bytes[value.start] != b'{' {
            return Ok(None);
        }
        let (members, _) = members(bytes, value.start)?;
        let Some(member) = members
            .into_iter()
            .find(|member| member.key == key.as_bytes())
        else {
            return Ok(None);
        };
        value = member.value;
        node = node.and_then(|node| trie.find(node, key.as_bytes()));
        match node.and_then(|node| trie.nodes[node as usize].declared) {
            Some(DeclaredType::Drop) => return Ok(None),
            declared => hashed = declared == Some(DeclaredType::Sha256),
        }
    }
    Ok(Some((value, hashed)))
}

/// Whether all members of the object at `start` are gone by rules 1 and 2 of section 3.
pub(crate) fn is_emptied(
    bytes: &[u8],
    start: usize,
    node: NodeId,
    trie: &Trie,
) -> Result<bool, Stop> {
    let (members, _) = members(bytes, start)?;
    Ok(members.iter().all(|member| {
        let child = trie.find(node, &member.key);
        let declared = child.and_then(|child| trie.nodes[child as usize].declared);
        declared == Some(DeclaredType::Drop) || bytes[member.value.clone()] == *b"null"
    }))
}

/// The object at `range` without what is declared `drop` below it, and with hashes for what is declared `sha256`; `None` when there is neither.
pub(crate) fn without_hidden(
    bytes: &[u8],
    range: &Range<usize>,
    node: NodeId,
    trie: &Trie,
) -> Result<Option<Vec<u8>>, Stop> {
    if bytes[range.start] != b'{' || !trie.nodes[node as usize].hides_below {
        return Ok(None);
    }
    let (all, replaced, _) = all_members(bytes, range.start)?;
    let mut changed = false;
    let mut out = vec![b'{'];
    for (position, member) in all.into_iter().enumerate() {
        let value = &bytes[member.value.clone()];
        let child = trie.find(node, &member.key);
        let declared = child.and_then(|child| trie.nodes[child as usize].declared);
        let inner = match (declared, child) {
            (Some(DeclaredType::Drop), _) => {
                changed = true;
                continue;
            }
            (Some(DeclaredType::Sha256), _) if value != b"null" => Some(quoted(&sha256_hex(value))),
            (_, Some(child)) => without_hidden(bytes, &member.value, child, trie)?,
            (_, None) => None,
        };
        // Also what a later member replaces must not be copied with the rest.
        changed |= inner.is_some();
        if replaced.contains(&position) {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(&bytes[member.raw_key]);
        out.push(b':');
        out.extend_from_slice(inner.as_deref().unwrap_or(value));
    }
    out.push(b'}');
    Ok(changed.then_some(out))
}

/// The SHA-256 of a value in hex: of the unescaped content of a string, of the original bytes of anything else.
pub(crate) fn sha256_hex(value: &[u8]) -> [u8; 64] {
    let mut content = Vec::new();
    if let Some(text) = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    {
        unescape(text, &mut content);
    } else {
        content.extend_from_slice(value);
    }
    let mut hex = [0; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha256::digest(&content)) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    hex
}

/// The text between quotes.
pub(crate) fn quoted(text: &[u8]) -> Vec<u8> {
    [b"\"", text, b"\""].concat()
}
