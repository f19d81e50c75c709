//! The `_doc` of one row: what is left over, in the original nesting, written while the event is walked.

use std::ops::Range;

use crate::trie::narrow;

/// Where a key stands in its event, with its quotes. One word, so that it travels in a register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeySpan {
    begin: u32,
    end: u32,
}

impl KeySpan {
    /// From `begin` to `end`. Events are far shorter than 4 GiB.
    #[inline]
    pub(crate) fn new(begin: usize, end: usize) -> Self {
        Self {
            begin: narrow(begin),
            end: narrow(end),
        }
    }

    fn range(self) -> Range<usize> {
        self.begin as usize..self.end as usize
    }
}

/// Writes left-over values below the objects that the walk is in.
#[derive(Debug, Default)]
pub(crate) struct DocWriter {
    out: Vec<u8>,
    /// The objects around the walk, from the whole event on.
    objects: Vec<Object>,
    enabled: bool,
}

#[derive(Debug)]
struct Object {
    /// Its key with the quotes, empty for the whole event.
    raw_key: KeySpan,
    /// Whether it has been begun in the document.
    open: bool,
    has_members: bool,
}

impl DocWriter {
    /// A writer that keeps what is left over, or drops it since the whole event is kept.
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            ..Self::default()
        }
    }

    /// Begins with a new event.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.out.clear();
        self.objects.clear();
        self.enter(KeySpan::new(0, 0));
    }

    /// The walk enters an object.
    #[inline]
    pub(crate) fn enter(&mut self, raw_key: KeySpan) {
        self.objects.push(Object {
            raw_key,
            open: false,
            has_members: false,
        });
    }

    /// The walk leaves an object.
    #[inline]
    pub(crate) fn leave(&mut self) {
        if self.objects.pop().is_some_and(|object| object.open) {
            self.out.push(b'}');
        }
    }

    /// Keeps a member of the object that the walk is in.
    pub(crate) fn keep(&mut self, event: &[u8], raw_key: KeySpan, value: &[u8]) {
        if !self.enabled {
            return;
        }
        let mut first_of_its_object = true;
        for (position, object) in self.objects.iter_mut().enumerate() {
            if object.open {
                first_of_its_object = !object.has_members;
            } else {
                if position > 0 {
                    if !first_of_its_object {
                        self.out.push(b',');
                    }
                    self.out.extend_from_slice(&event[object.raw_key.range()]);
                    self.out.push(b':');
                }
                self.out.push(b'{');
                object.open = true;
                first_of_its_object = true;
            }
            // Either the next object or the value itself becomes its member.
            object.has_members = true;
        }
        if !first_of_its_object {
            self.out.push(b',');
        }
        self.out.extend_from_slice(&event[raw_key.range()]);
        self.out.push(b':');
        self.out.extend_from_slice(value);
    }

    /// The document of the event, none when nothing is left over. The walk must have left every object.
    #[inline]
    pub(crate) fn document(&self) -> Option<&[u8]> {
        (!self.out.is_empty()).then_some(self.out.as_slice())
    }
}
