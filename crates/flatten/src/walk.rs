//! The walk through the bytes of an event: each value goes to its column or to `_doc` (section 3).

mod event_time;
mod usual;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::builder::{ColumnBuilder, Fit, Scalar};
use crate::candidate::{Candidate, Evidence, Position, SiblingType};
use crate::cold;
use crate::doc::{DocWriter, KeySpan};
use crate::escape::{unescape, unescape_front};
use crate::number::Number;
use crate::plan::{Plan, Sibling};
use crate::scan::{MAX_NESTING, Scanner, Stop};
use crate::time::{LastDay, Reading};
use crate::trie::{NodeId, ROOT, Target, Trie, Usual};
use crate::{DeclaredType, Doc};

/// Which of the pointers to event times counts in this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeRule {
    /// Probably this one, as in the event before; the walk notices when it is another.
    Guess(u8),
    /// This one, or none: it has been looked up.
    Known(Option<u8>),
}

/// What the walk found out about the event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFound {
    /// The guess was right.
    Read(u8, Reading),
    /// No pointer of the list is present.
    Absent,
    /// It has to be looked up.
    Unclear,
}

/// What one event shows about paths and siblings without a column; it counts only once the event is accepted.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    candidates: Vec<(usize, usize, Evidence)>,
    siblings: Vec<(usize, SiblingType, usize)>,
    pub(crate) n_rescued: u64,
}

/// The rows of one chunk under construction.
#[derive(Debug)]
pub(crate) struct Walk<'p> {
    pub(crate) plan: &'p Plan,
    trie: Trie,
    pub(crate) columns: Vec<ColumnBuilder>,
    pub(crate) doc: DocWriter,
    /// How many rows are complete; the row under construction has this number.
    pub(crate) n_rows: usize,
    /// Counts the walks, for noticing repeated keys.
    generation: u32,
    /// Where the keys stand of members to leave out.
    replaced: Vec<usize>,
    time_rule: TimeRule,
    time_found: TimeFound,
    /// The day of the last event time.
    day: LastDay,
    notes: Notes,
    candidate_nodes: Vec<NodeId>,
    candidates: Vec<Option<Candidate>>,
    missing_siblings: BTreeMap<(usize, SiblingType), Position>,
    scratch: Vec<u8>,
}

/// What a chunk shows about paths and siblings without a column.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) candidates: Vec<(crate::Pointer, Candidate)>,
    pub(crate) missing_siblings: BTreeMap<(usize, SiblingType), Position>,
}

impl<'p> Walk<'p> {
    /// No rows yet, and at most `max_rows` to come.
    pub(crate) fn new(plan: &'p Plan, max_rows: usize) -> Self {
        let builder = |column: &crate::Column| {
            ColumnBuilder::new(&column.data_type, plan.assume_offset_s, max_rows)
        };
        Self {
            plan,
            trie: plan.trie.clone(),
            columns: plan.columns.iter().map(builder).collect(),
            doc: DocWriter::new(plan.shape.doc == Doc::LeftOver),
            n_rows: 0,
            generation: 0,
            replaced: Vec::new(),
            time_rule: TimeRule::Guess(0),
            time_found: TimeFound::Absent,
            day: LastDay::default(),
            notes: Notes::default(),
            candidate_nodes: Vec::new(),
            candidates: Vec::new(),
            missing_siblings: BTreeMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Walks through one event, leaving out the members whose keys stand at `replaced`, and returns what it found about the time.
    ///
    /// The row is complete only after [`Self::accept`]; [`Self::take_back`] undoes it.
    pub(crate) fn event(
        &mut self,
        bytes: &[u8],
        time_rule: TimeRule,
        replaced: Vec<usize>,
    ) -> Result<TimeFound, Stop> {
        self.generation += 1;
        self.replaced = replaced;
        self.time_rule = time_rule;
        self.time_found = TimeFound::Absent;
        self.doc.begin();
        let mut scanner = Scanner::new(bytes);
        scanner.expect(b'{')?;
        self.object(&mut scanner, ROOT, 1)?;
        self.doc.leave();
        if !scanner.at_end() {
            return Err(Stop::NotJson);
        }
        Ok(self.time_found)
    }

    /// Takes back the row under construction.
    pub(crate) fn take_back(&mut self) {
        for column in &mut self.columns {
            column.truncate(self.n_rows);
        }
        self.notes = Notes::default();
    }

    /// Completes the row: what it showed counts. Returns how many of its values were rescued.
    pub(crate) fn accept(&mut self, event: usize) -> u64 {
        self.n_rows += 1;
        for (candidate, offset, evidence) in self.notes.candidates.drain(..) {
            let position = (event, offset);
            let declared = self.trie.nodes[self.candidate_nodes[candidate] as usize].declared;
            self.candidates[candidate]
                .get_or_insert_with(|| Candidate::new(position, declared))
                .note(position, evidence);
        }
        for (column, kind, offset) in self.notes.siblings.drain(..) {
            self.missing_siblings
                .entry((column, kind))
                .or_insert((event, offset));
        }
        std::mem::take(&mut self.notes.n_rescued)
    }

    /// What the accepted events showed.
    pub(crate) fn findings(&mut self) -> Findings {
        let candidates = std::mem::take(&mut self.candidates);
        let found = candidates.into_iter().zip(&self.candidate_nodes);
        Findings {
            candidates: found
                .filter_map(|(candidate, &node)| Some((self.trie.pointer(node), candidate?)))
                .collect(),
            missing_siblings: std::mem::take(&mut self.missing_siblings),
        }
    }

    /// The tree with the paths met so far.
    pub(crate) fn trie(&self) -> &Trie {
        &self.trie
    }

    /// Walks through the members of an object behind its brace; returns whether any is kept (rules 1 and 2).
    fn object(
        &mut self,
        outer: &mut Scanner<'_>,
        node: NodeId,
        nesting: usize,
    ) -> Result<bool, Stop> {
        if nesting > MAX_NESTING {
            return Err(Stop::NotJson);
        }
        // One of its own, of which nobody has the address: its position then stays in a register, which each step waits for.
        let mut scanner = outer.clone();
        let mut any_kept = false;
        let mut previous = ROOT;
        if scanner.take(b'}') {
            outer.at = scanner.at;
            return Ok(false);
        }
        scanner.expect(b'"')?;
        let mut guess = self.trie.nodes[node as usize].first_child;
        loop {
            let key_at = scanner.at - 1;
            let guessed = self.trie.guess(guess, scanner.rest());
            if let Some((path, n_bytes)) = guessed
                && self.replaced.is_empty()
            {
                scanner.at += n_bytes;
                if std::mem::replace(&mut path.met_in, self.generation) == self.generation {
                    return Err(Stop::RepeatedKey);
                }
                let usual = path.usual;
                (previous, guess) = (guess, path.successor);
                if self.usual_value(&mut scanner, usual) {
                    any_kept = true;
                } else {
                    let raw_key = KeySpan::new(key_at, key_at + n_bytes);
                    outer.at = scanner.at;
                    any_kept |= if usual == Usual::Object && scanner.peek() == Some(b'{') {
                        self.members(outer, previous, raw_key, nesting)?;
                        true
                    } else {
                        self.value(outer, previous, raw_key, nesting)?
                    };
                    scanner.at = outer.at;
                }
            } else {
                outer.at = scanner.at;
                let child = self.other_member(outer, node, previous)?;
                if let Some((child, raw_key)) = child {
                    previous = child;
                    any_kept |= self.value(outer, child, raw_key, nesting)?;
                } else {
                    outer.skip(nesting)?;
                }
                scanner.at = outer.at;
                guess = self.trie.guess_after(node, previous);
            }
            // Written without white space, as most JSON is, the next key begins right here.
            if let [b',', b'"', ..] = scanner.rest() {
                scanner.at += 2;
                continue;
            }
            match scanner.peek_token() {
                Some(b',') => {
                    scanner.at += 1;
                    scanner.expect(b'"')?;
                }
                Some(b'}') => {
                    outer.at = scanner.at + 1;
                    return Ok(any_kept);
                }
                _ => return Err(Stop::NotJson),
            }
        }
    }

    /// Takes a key and its colon, its opening quote having been taken, and returns its path and where it stands with its
    /// quotes; none when the member is to be left out.
    fn other_member(
        &mut self,
        scanner: &mut Scanner<'_>,
        node: NodeId,
        previous: NodeId,
    ) -> Result<Option<(NodeId, KeySpan)>, Stop> {
        let key_at = scanner.at - 1;
        let text = scanner.text()?;
        let raw_key = KeySpan::new(key_at, scanner.at);
        let raw = &scanner.bytes[text.inner];
        let child = if text.escaped {
            let mut key = std::mem::take(&mut self.scratch);
            key.clear();
            unescape(raw, &mut key);
            let child = self.trie.child(node, &key);
            self.scratch = key;
            child
        } else {
            self.trie.child(node, raw)
        };
        scanner.expect(b':')?;
        if self.replaced.binary_search(&key_at).is_ok() {
            return Ok(None);
        }
        self.trie.remember(node, previous, child);
        let met_in = &mut self.trie.nodes[child as usize].met_in;
        if std::mem::replace(met_in, self.generation) == self.generation {
            return Err(Stop::RepeatedKey);
        }
        Ok(Some((child, raw_key)))
    }

    /// Handles one value by the rules of section 3; returns whether it is kept (rules 1 and 2).
    fn value(
        &mut self,
        scanner: &mut Scanner<'_>,
        node: NodeId,
        raw_key: KeySpan,
        nesting: usize,
    ) -> Result<bool, Stop> {
        let first = scanner.peek_token().ok_or(Stop::NotJson)?;
        let start = scanner.at;
        let bytes = scanner.bytes;
        let member = Member {
            bytes,
            node,
            raw_key,
            start,
        };
        if let Some(declared) = self.trie.nodes[node as usize].declared
            && let Some(kept) = self.declared_value(scanner, &member, declared, first, nesting)?
        {
            return Ok(kept);
        }
        // By how frequent they are: comparing is cheaper than a jump that is hard to predict.
        if first == b'"' {
            scanner.at += 1;
            let text = scanner.text()?;
            if text.escaped {
                let raw = &bytes[start..scanner.at];
                let mut content = std::mem::take(&mut self.scratch);
                content.clear();
                let ahead = &bytes[text.inner.start..];
                unescape_front(ahead, text.inner.len(), &mut content);
                self.scalar(&member, Scalar::Text(&content), raw);
                self.scratch = content;
            } else {
                let ahead = &bytes[text.inner.start..];
                self.plain_text(&member, ahead, text.inner.len(), &bytes[start..scanner.at]);
            }
        } else if matches!(first, b'0'..=b'9' | b'-') {
            // Apart, since a short number then stays in registers.
            if let Some(number) = scanner.short_number() {
                self.short_number(&member, number);
            } else {
                let number = scanner.number()?;
                self.scalar(&member, Scalar::Number(number), number.token);
            }
        } else if first == b'{' {
            return self.inner_object(scanner, &member, nesting);
        } else {
            return self.other_value(scanner, &member, first, nesting);
        }
        Ok(true)
    }

    /// Words and arrays; returns whether the value is kept.
    fn other_value(
        &mut self,
        scanner: &mut Scanner<'_>,
        member: &Member<'_>,
        first: u8,
        nesting: usize,
    ) -> Result<bool, Stop> {
        match first {
            b'n' => {
                scanner.literal(b"null")?;
                return Ok(false);
            }
            b't' => {
                scanner.literal(b"true")?;
                self.scalar(member, Scalar::Boolean(true), b"true");
            }
            b'f' => {
                scanner.literal(b"false")?;
                self.scalar(member, Scalar::Boolean(false), b"false");
            }
            b'[' => {
                let range = scanner.skip(nesting)?;
                self.note_unreadable_time(member.node);
                self.doc
                    .keep(member.bytes, member.raw_key, &member.bytes[range]);
            }
            _ => return Err(Stop::NotJson),
        }
        Ok(true)
    }

    /// Handles a value of a path with a declaration that concerns the value as a whole, and returns whether it is kept; none when
    /// it is to be handled like any other.
    #[cold]
    fn declared_value(
        &mut self,
        scanner: &mut Scanner<'_>,
        member: &Member<'_>,
        declared: DeclaredType,
        first: u8,
        nesting: usize,
    ) -> Result<Option<bool>, Stop> {
        match declared {
            DeclaredType::Drop => {
                scanner.skip(nesting)?;
                Ok(Some(false))
            }
            _ if first == b'n' => Ok(None),
            DeclaredType::Sha256 => {
                let hex = cold::sha256_hex(&member.bytes[scanner.skip(nesting)?]);
                self.scalar(member, Scalar::Text(&hex), &cold::quoted(&hex));
                Ok(Some(true))
            }
            DeclaredType::Json | DeclaredType::Rescue => {
                let range = scanner.skip(nesting)?;
                self.whole(member, range, Some(declared))?;
                Ok(Some(true))
            }
            _ => Ok(None),
        }
    }

    /// A text without escapes: nearly always it has its column.
    #[inline]
    fn plain_text(&mut self, member: &Member<'_>, ahead: &[u8], n_bytes: usize, raw: &[u8]) {
        let node = &self.trie.nodes[member.node as usize];
        if let (None, Target::Column(column)) = (node.time_rank, node.target)
            && let Some(builder) = self.columns.get_mut(column as usize)
            && builder.is_text()
        {
            builder.put_text(self.n_rows, ahead, n_bytes);
        } else {
            self.scalar(member, Scalar::Text(&ahead[..n_bytes]), raw);
        }
    }

    /// A short number: nearly always it fits its column.
    #[inline]
    fn short_number(&mut self, member: &Member<'_>, number: Number<'_>) {
        let node = &self.trie.nodes[member.node as usize];
        if let (None, Target::Column(column)) = (node.time_rank, node.target)
            && let Some(builder) = self.columns.get_mut(column as usize)
            && builder.put_number(self.n_rows, number)
        {
        } else {
            self.scalar(member, Scalar::Number(number), number.token);
        }
    }

    fn inner_object(
        &mut self,
        scanner: &mut Scanner<'_>,
        member: &Member<'_>,
        nesting: usize,
    ) -> Result<bool, Stop> {
        self.note_unreadable_time(member.node);
        if self.trie.depth(member.node) >= self.plan.shape.max_depth {
            let range = scanner.skip(nesting)?;
            if cold::is_emptied(member.bytes, range.start, member.node, &self.trie)? {
                self.doc.keep(member.bytes, member.raw_key, b"{}");
            } else {
                self.whole(member, range, None)?;
            }
            return Ok(true);
        }
        self.members(scanner, member.node, member.raw_key, nesting)?;
        Ok(true)
    }

    /// Looks into an object, whose brace comes next.
    #[inline]
    fn members(
        &mut self,
        scanner: &mut Scanner<'_>,
        node: NodeId,
        raw_key: KeySpan,
        nesting: usize,
    ) -> Result<(), Stop> {
        scanner.at += 1;
        self.doc.enter(raw_key);
        let any_kept = self.object(scanner, node, nesting + 1)?;
        self.doc.leave();
        if !any_kept {
            self.doc.keep(scanner.bytes, raw_key, b"{}");
        }
        Ok(())
    }

    /// Keeps a value that is not looked into: in its `json` column, or left over.
    fn whole(
        &mut self,
        member: &Member<'_>,
        range: Range<usize>,
        declared: Option<DeclaredType>,
    ) -> Result<(), Stop> {
        let node = member.node;
        let rewritten = cold::without_hidden(member.bytes, &range, node, &self.trie)?;
        let value = rewritten.as_deref().unwrap_or(&member.bytes[range]);
        if self.trie.nodes[node as usize].time_rank.is_some()
            && self.event_time_of_whole(member, value)
        {
            return Ok(());
        }
        if declared == Some(DeclaredType::Json) {
            match self.target(node) {
                Target::Column(column) if self.columns[column as usize].is_text() => {
                    let column = column as usize;
                    self.columns[column].put_text(self.n_rows, value, value.len());
                    return Ok(());
                }
                Target::Candidate(candidate) => {
                    self.notes
                        .candidates
                        .push((candidate as usize, member.start, Evidence::Fits));
                }
                Target::Rescued | Target::Column(_) => self.notes.n_rescued += 1,
                _ => {}
            }
        }
        self.doc.keep(member.bytes, member.raw_key, value);
        Ok(())
    }

    /// Handles a scalar by rules 3 and 10.
    fn scalar(&mut self, member: &Member<'_>, scalar: Scalar<'_>, raw: &[u8]) {
        let node = &self.trie.nodes[member.node as usize];
        if node.time_rank.is_some() && self.event_time(member, scalar, raw) {
            return;
        }
        match self.target(member.node) {
            Target::Column(column) => {
                let column = column as usize;
                let n_rows = self.n_rows;
                match self.columns[column].put(n_rows, scalar) {
                    Fit::Whole => {}
                    Fit::KeepOriginal => self.doc.keep(member.bytes, member.raw_key, raw),
                    Fit::None => self.misfit(member, column, scalar, raw),
                }
            }
            Target::Candidate(candidate) => {
                let declared = self.trie.nodes[member.node as usize].declared;
                let data_type = declared.and_then(DeclaredType::data_type);
                let evidence = Evidence::of(data_type.as_ref(), self.plan.assume_offset_s, scalar);
                self.notes
                    .candidates
                    .push((candidate as usize, member.start, evidence));
                self.doc.keep(member.bytes, member.raw_key, raw);
            }
            Target::Rescued => {
                self.notes.n_rescued += 1;
                self.doc.keep(member.bytes, member.raw_key, raw);
            }
            Target::LeftOver | Target::Undecided => {
                self.doc.keep(member.bytes, member.raw_key, raw);
            }
        }
    }

    /// A scalar that does not fit its path's column: to the sibling, or rescued.
    fn misfit(&mut self, member: &Member<'_>, column: usize, scalar: Scalar<'_>, raw: &[u8]) {
        let kind = SiblingType::of(scalar);
        match self.plan.siblings[column][kind as usize] {
            Sibling::Column(sibling) => match self.columns[sibling].put(self.n_rows, scalar) {
                Fit::Whole => return,
                Fit::KeepOriginal => return self.doc.keep(member.bytes, member.raw_key, raw),
                Fit::None => {}
            },
            Sibling::Missing => self.notes.siblings.push((column, kind, member.start)),
            Sibling::None => {}
        }
        self.notes.n_rescued += 1;
        self.doc.keep(member.bytes, member.raw_key, raw);
    }

    /// Where the scalars of a path go; decided when the first is met.
    #[inline]
    fn target(&mut self, node: NodeId) -> Target {
        let target = self.trie.nodes[node as usize].target;
        if target != Target::Undecided {
            return target;
        }
        let target = self
            .plan
            .decide(&self.trie.pointer(node), self.candidates.len());
        if matches!(target, Target::Candidate(_)) {
            self.candidates.push(None);
            self.candidate_nodes.push(node);
        }
        self.trie.nodes[node as usize].target = target;
        target
    }
}

/// A member of an object during the walk.
struct Member<'a> {
    /// The event.
    bytes: &'a [u8],
    node: NodeId,
    /// Its key with the quotes.
    raw_key: KeySpan,
    /// Where its value begins.
    start: usize,
}
