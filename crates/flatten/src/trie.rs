//! The paths of a table and of the events met so far, as a tree of keys.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::{DeclaredType, Pointer};

/// Position of a node in the tree.
pub(crate) type NodeId = u32;

/// The node of the whole event.
pub(crate) const ROOT: NodeId = 0;

const NOT_A_NODE: NodeId = NodeId::MAX;

/// Where the scalars of a path go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Not decided yet: no scalar has been met.
    Undecided,
    /// To the column at this position.
    Column(usize),
    /// The path may get a column: its values are noted under this number.
    Candidate(usize),
    /// The path gets no column: its values are left over.
    LeftOver,
    /// The path gets no column since its name belongs to another: its values are rescued.
    Rescued,
}

/// One path.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) parent: NodeId,
    /// How many keys lead here.
    pub(crate) depth: usize,
    key: (u32, u32),
    /// Whether the key stands in an event as it is, without escapes.
    plain: bool,
    /// The event that met this path last, to notice repeated keys.
    pub(crate) met_in: u64,
    /// The child that an object here began with last time.
    first_child: NodeId,
    /// The sibling that followed last time.
    successor: NodeId,
    pub(crate) target: Target,
    pub(crate) declared: Option<DeclaredType>,
    /// Its position in the list of event times.
    pub(crate) time_rank: Option<u8>,
    /// Whether something below is declared `drop` or `sha256`.
    pub(crate) hides_below: bool,
}

/// The tree. Lookup first tries the key that came next in the event before: most events repeat their order.
#[derive(Debug, Clone)]
pub(crate) struct Trie {
    pub(crate) nodes: Vec<Node>,
    keys: Vec<u8>,
    index: HashTable<NodeId>,
    hasher: Hasher,
}

/// Seeded per process, so that nobody can choose keys that collide; the order of the table is never looked at.
type Hasher = foldhash::fast::RandomState;

impl Trie {
    pub(crate) fn new() -> Self {
        let root = Node {
            parent: ROOT,
            depth: 0,
            key: (0, 0),
            plain: false,
            met_in: 0,
            first_child: NOT_A_NODE,
            successor: NOT_A_NODE,
            target: Target::LeftOver,
            declared: None,
            time_rank: None,
            hides_below: false,
        };
        Self {
            nodes: vec![root],
            keys: Vec::new(),
            index: HashTable::new(),
            hasher: Hasher::default(),
        }
    }

    pub(crate) fn key(&self, id: NodeId) -> &[u8] {
        let (start, len) = self.nodes[id as usize].key;
        &self.keys[start as usize..(start + len) as usize]
    }

    /// The keys that lead to a node.
    pub(crate) fn pointer(&self, mut id: NodeId) -> Pointer {
        let mut keys = Vec::with_capacity(self.nodes[id as usize].depth);
        while id != ROOT {
            keys.push(String::from_utf8_lossy(self.key(id)).into_owned());
            id = self.nodes[id as usize].parent;
        }
        keys.reverse();
        Pointer::from_keys(keys)
    }

    /// The node of a path, made when it is new.
    pub(crate) fn insert(&mut self, pointer: &Pointer) -> NodeId {
        pointer
            .keys()
            .iter()
            .fold(ROOT, |parent, key| self.child(parent, key.as_bytes()))
    }

    /// The child of `parent` that came after `previous` last time (or first), if the event goes on with its key and a quote.
    #[inline]
    pub(crate) fn guess(&self, parent: NodeId, previous: NodeId, rest: &[u8]) -> Option<NodeId> {
        let id = if previous == ROOT {
            self.nodes[parent as usize].first_child
        } else {
            self.nodes[previous as usize].successor
        };
        let node = self.nodes.get(id as usize)?;
        let key = self.key(id);
        (node.plain && rest.starts_with(key) && rest.get(key.len()) == Some(&b'"')).then_some(id)
    }

    /// Remembers that `id` came after `previous` (or first).
    #[inline]
    pub(crate) fn remember(&mut self, parent: NodeId, previous: NodeId, id: NodeId) {
        if previous == ROOT {
            self.nodes[parent as usize].first_child = id;
        } else {
            self.nodes[previous as usize].successor = id;
        }
    }

    /// The child of `parent` with this key, if it is known.
    pub(crate) fn find(&self, parent: NodeId, key: &[u8]) -> Option<NodeId> {
        let hash = self.hasher.hash_one((parent, key));
        self.index
            .find(hash, |&id| {
                self.nodes[id as usize].parent == parent && self.key(id) == key
            })
            .copied()
    }

    /// The child of `parent` with this (unescaped) key, made when it is new.
    pub(crate) fn child(&mut self, parent: NodeId, key: &[u8]) -> NodeId {
        if let Some(id) = self.find(parent, key) {
            return id;
        }
        // 2^32 nodes or bytes of keys would need an event far beyond any limit; the arithmetic saturates.
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let id = narrow(self.nodes.len());
        let start = narrow(self.keys.len());
        self.keys.extend_from_slice(key);
        self.nodes.push(Node {
            parent,
            depth: self.nodes[parent as usize].depth + 1,
            key: (start, narrow(key.len())),
            plain: !key
                .iter()
                .any(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\'),
            met_in: 0,
            first_child: NOT_A_NODE,
            successor: NOT_A_NODE,
            target: Target::Undecided,
            declared: None,
            time_rank: None,
            hides_below: false,
        });
        let Self {
            nodes,
            keys,
            index,
            hasher,
        } = self;
        let hash_of = |parent: NodeId, key: &[u8]| hasher.hash_one((parent, key));
        index.insert_unique(hash_of(parent, key), id, |&id| {
            let node = &nodes[id as usize];
            hash_of(
                node.parent,
                &keys[node.key.0 as usize..(node.key.0 + node.key.1) as usize],
            )
        });
        id
    }
}
