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
    Column(u32),
    /// The path may get a column: its values are noted under this number.
    Candidate(u32),
    /// The path gets no column: its values are left over.
    LeftOver,
    /// The path gets no column since its name belongs to another: its values are rescued.
    Rescued,
}

/// One path. Kept small: the walk touches one for every member of every event.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) parent: NodeId,
    /// How many keys lead here.
    pub(crate) depth: u32,
    key: (u32, u32),
    /// The first and the last eight bytes of the key with its closing quote and colon; a shorter one is filled up with zeros.
    head: u64,
    tail: u64,
    /// The bytes of both that count.
    mask: u64,
    /// Where the last eight bytes begin.
    tail_at: u32,
    /// The length of the key with its closing quote and colon; 0 when an event can only hold it with escapes.
    plain_len: u32,
    /// The walk that met this path last, to notice repeated keys.
    pub(crate) met_in: u32,
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

const _: () = assert!(size_of::<Node>() <= 80);

impl Node {
    fn new(parent: NodeId, depth: u32, key_at: u32, key: &[u8], target: Target) -> Self {
        let is_plain = !key
            .iter()
            .any(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
        let quoted = [key, b"\":"].concat();
        let mut padded = [0; 8];
        let n_head = quoted.len().min(8);
        padded[..n_head].copy_from_slice(&quoted[..n_head]);
        let head = u64::from_le_bytes(padded);
        let tail = quoted
            .last_chunk()
            .map_or(head, |tail| u64::from_le_bytes(*tail));
        // A key of fewer than eight bytes is compared as far as it goes, twice.
        let mask = u64::MAX >> (8 * (8 - n_head));
        Self {
            parent,
            depth,
            key: (key_at, narrow(key.len())),
            head,
            tail,
            mask,
            tail_at: narrow(quoted.len().saturating_sub(8)),
            plain_len: if is_plain { narrow(quoted.len()) } else { 0 },
            met_in: 0,
            first_child: NOT_A_NODE,
            successor: NOT_A_NODE,
            target,
            declared: None,
            time_rank: None,
            hides_below: false,
        }
    }
}

/// 2^32 nodes or bytes of keys would need an event far beyond any limit; the arithmetic saturates.
#[inline]
pub(crate) fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
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
        Self {
            nodes: vec![Node::new(ROOT, 0, 0, b"", Target::LeftOver)],
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
        let mut keys = Vec::with_capacity(self.nodes[id as usize].depth as usize);
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

    /// The child of `parent` that came after `previous` last time (or first), if `rest` begins with its key, a quote and a
    /// colon; and how many bytes these are.
    #[inline]
    pub(crate) fn guess(
        &self,
        parent: NodeId,
        previous: NodeId,
        rest: &[u8],
    ) -> Option<(NodeId, usize)> {
        let id = if previous == ROOT {
            self.nodes[parent as usize].first_child
        } else {
            self.nodes[previous as usize].successor
        };
        let node = self.nodes.get(id as usize)?;
        let len = node.plain_len as usize;
        // The same steps for keys of every length, since lengths are hard to predict.
        let head = u64::from_le_bytes(*rest.first_chunk()?);
        let tail = u64::from_le_bytes(*rest.get(node.tail_at as usize..)?.first_chunk()?);
        let differs = ((head ^ node.head) | (tail ^ node.tail)) & node.mask;
        let is_next =
            differs == 0 && len != 0 && (len <= 16 || rest.get(..len - 2) == Some(self.key(id)));
        is_next.then_some((id, len))
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
        let is_it = |&id: &NodeId| self.nodes[id as usize].parent == parent && self.key(id) == key;
        self.index.find(hash, is_it).copied()
    }

    /// The child of `parent` with this (unescaped) key, made when it is new.
    pub(crate) fn child(&mut self, parent: NodeId, key: &[u8]) -> NodeId {
        if let Some(id) = self.find(parent, key) {
            return id;
        }
        let id = narrow(self.nodes.len());
        let depth = self.nodes[parent as usize].depth + 1;
        let key_at = narrow(self.keys.len());
        self.nodes
            .push(Node::new(parent, depth, key_at, key, Target::Undecided));
        self.keys.extend_from_slice(key);
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
