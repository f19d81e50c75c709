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

/// What a path's values nearly always are, and where they then go, so that the walk has one thing to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usual {
    /// Nothing that could be said before a look at everything.
    Nothing,
    /// Texts, to the `string` column at this position.
    Text(u32),
    /// Numbers, to the `long` column at this position.
    Long(u32),
    /// Numbers, to the `double` column at this position.
    Double(u32),
    /// Booleans, to the `boolean` column at this position.
    Boolean(u32),
    /// The event time at this position of their list.
    Time(u8),
    /// Objects that are looked into.
    Object,
}

/// What the walk has to know of one path: it touches one for every member of every event, and one is a line of the cache.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The first and the last eight bytes of the key with its closing quote and colon; a shorter one is filled up with zeros.
    head: u64,
    tail: u64,
    /// The bytes of both that count.
    mask: u64,
    /// How many bytes are looked at for the key with its closing quote and colon: at least eight, and more than there can be
    /// when an event can only hold it with escapes.
    window: u32,
    /// How many of these bytes stand behind it.
    behind: u8,
    /// The walk that met this path last, to notice repeated keys.
    pub(crate) met_in: u32,
    /// The child that an object here began with last time.
    pub(crate) first_child: NodeId,
    /// The sibling that followed last time.
    pub(crate) successor: NodeId,
    pub(crate) target: Target,
    pub(crate) usual: Usual,
    pub(crate) declared: Option<DeclaredType>,
    /// Its position in the list of event times.
    pub(crate) time_rank: Option<u8>,
    /// Whether something below is declared `drop` or `sha256`.
    pub(crate) hides_below: bool,
}

const _: () = assert!(size_of::<Node>() <= 64);

/// Where one path stands in the tree.
#[derive(Debug, Clone)]
struct Place {
    parent: NodeId,
    /// How many keys lead here.
    depth: u32,
    /// Where its key begins, and how long it is.
    key: (u32, u32),
}

impl Node {
    fn new(key: &[u8], target: Target) -> Self {
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
            head,
            tail,
            mask,
            window: if is_plain {
                narrow(quoted.len().max(8))
            } else {
                u32::MAX
            },
            behind: [8, 8, 6, 5, 4, 3, 2, 1]
                .get(quoted.len())
                .copied()
                .unwrap_or(0),
            met_in: 0,
            first_child: NOT_A_NODE,
            successor: NOT_A_NODE,
            target,
            usual: Usual::Nothing,
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
    /// By node.
    places: Vec<Place>,
    keys: Vec<u8>,
    index: HashTable<NodeId>,
    hasher: Hasher,
}

/// Seeded per process, so that nobody can choose keys that collide; the order of the table is never looked at.
type Hasher = foldhash::fast::RandomState;

impl Trie {
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::new(b"", Target::LeftOver)],
            places: vec![Place {
                parent: ROOT,
                depth: 0,
                key: (0, 0),
            }],
            keys: Vec::new(),
            index: HashTable::new(),
            hasher: Hasher::default(),
        }
    }

    pub(crate) fn key(&self, id: NodeId) -> &[u8] {
        let (start, len) = self.places[id as usize].key;
        &self.keys[start as usize..(start + len) as usize]
    }

    pub(crate) fn parent(&self, id: NodeId) -> NodeId {
        self.places[id as usize].parent
    }

    /// How many keys lead to a node.
    pub(crate) fn depth(&self, id: NodeId) -> usize {
        self.places[id as usize].depth as usize
    }

    /// The keys that lead to a node.
    pub(crate) fn pointer(&self, mut id: NodeId) -> Pointer {
        let mut keys = Vec::with_capacity(self.depth(id));
        while id != ROOT {
            keys.push(String::from_utf8_lossy(self.key(id)).into_owned());
            id = self.parent(id);
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

    /// The child of `parent` that came after `previous` last time, or first; it may be none.
    pub(crate) fn guess_after(&self, parent: NodeId, previous: NodeId) -> NodeId {
        if previous == ROOT {
            self.nodes[parent as usize].first_child
        } else {
            self.nodes[previous as usize].successor
        }
    }

    /// The node `id`, if `rest` begins with its key, a quote and a colon; and how many bytes these are.
    #[inline]
    pub(crate) fn guess(&mut self, id: NodeId, rest: &[u8]) -> Option<(&mut Node, usize)> {
        let node = self.nodes.get_mut(id as usize)?;
        // The same steps for keys of every length, since lengths are hard to predict.
        let window = rest.get(..node.window as usize)?;
        let head = u64::from_le_bytes(*window.first_chunk()?);
        let tail = u64::from_le_bytes(*window.last_chunk()?);
        let differs = ((head ^ node.head) | (tail ^ node.tail)) & node.mask;
        if differs != 0 {
            return None;
        }
        let len = window.len() - usize::from(node.behind);
        if len > 16 {
            let (start, key_len) = self.places[id as usize].key;
            let key = &self.keys[start as usize..(start + key_len) as usize];
            if rest.get(..len - 2) != Some(key) {
                return None;
            }
        }
        Some((node, len))
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
        let is_it = |&id: &NodeId| self.parent(id) == parent && self.key(id) == key;
        self.index.find(hash, is_it).copied()
    }

    /// The child of `parent` with this (unescaped) key, made when it is new.
    pub(crate) fn child(&mut self, parent: NodeId, key: &[u8]) -> NodeId {
        if let Some(id) = self.find(parent, key) {
            return id;
        }
        let id = narrow(self.nodes.len());
        self.nodes.push(Node::new(key, Target::Undecided));
        self.places.push(Place {
            parent,
            depth: self.places[parent as usize].depth + 1,
            key: (narrow(self.keys.len()), narrow(key.len())),
        });
        self.keys.extend_from_slice(key);
        let Self {
            places,
            keys,
            index,
            hasher,
            ..
        } = self;
        let hash_of = |parent: NodeId, key: &[u8]| hasher.hash_one((parent, key));
        index.insert_unique(hash_of(parent, key), id, |&id| {
            let Place {
                parent,
                key: (start, len),
                ..
            } = places[id as usize];
            hash_of(parent, &keys[start as usize..(start + len) as usize])
        });
        id
    }
}
