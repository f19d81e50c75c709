//! How the values of one version of a table's schema find their columns, and which columns a batch adds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef};

use crate::candidate::{Candidate, Position, SIBLING_TYPES, SiblingType};
use crate::pointer::{MAX_NAME_BYTES, is_reserved};
use crate::trie::{Node, NodeId, Target, Trie, Usual, narrow};
use crate::{
    Column, Conflict, DeclaredType, NewColumn, Pointer, Schema, SchemaError, Shape, system, time,
};

/// Where a value goes that does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sibling {
    /// To the column at this position.
    Column(usize),
    /// The column may be added.
    Missing,
    /// To `_doc`.
    None,
}

/// Everything about table and shape that the walk needs, worked out beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) columns: Vec<Column>,
    pub(crate) reserved: Vec<String>,
    pub(crate) shape: Shape,
    /// Positions of the system columns, in the order of [`system::NAMES`].
    pub(crate) system: [usize; 6],
    pub(crate) trie: Trie,
    /// By column, then by type.
    pub(crate) siblings: Vec<[Sibling; 4]>,
    /// Columns that need a value, the system columns left out.
    pub(crate) required: Vec<usize>,
    pub(crate) time: Vec<Pointer>,
    /// Whether an event time may stand where the walk does not go.
    pub(crate) time_may_be_hidden: bool,
    pub(crate) assume_offset_s: Option<i32>,
    pub(crate) earliest_us: i64,
    /// The fields of the rows, by column: made once, since a small batch would spend more on them than on many a column.
    pub(crate) fields: Vec<RowField>,
    /// The columns for whoever asks what the rows have.
    pub(crate) told: Arc<[Column]>,
    /// Names of all columns in ASCII lower case.
    names: HashSet<String>,
    /// Whether new paths may still become candidates.
    open: bool,
}

/// A column as rows have it: a chunk in which its texts repeat has them with a dictionary.
#[derive(Debug, Clone)]
pub(crate) struct RowField {
    plain: FieldRef,
    keyed: FieldRef,
}

impl RowField {
    fn of(column: &Column) -> Self {
        let field = |data_type| {
            let name = column.name.clone();
            Arc::new(Field::new(name, data_type, !column.required))
        };
        let keyed = DataType::Dictionary(
            Box::new(DataType::Int32),
            Box::new(column.data_type.clone()),
        );
        Self {
            plain: field(column.data_type.clone()),
            keyed: field(keyed),
        }
    }

    /// The field of an array of this type, which is one of the two.
    pub(crate) fn of_type(&self, data_type: &DataType) -> FieldRef {
        let is_keyed = matches!(data_type, DataType::Dictionary(..));
        Arc::clone(if is_keyed { &self.keyed } else { &self.plain })
    }
}

impl Plan {
    pub(crate) fn new(schema: Schema, shape: Shape) -> Result<Self, SchemaError> {
        let system = schema.system_positions()?;
        let Schema { columns, reserved } = schema;
        let mut trie = Trie::new();
        let owners = owners(&columns, &system);
        for (pointer, &column) in &owners {
            let node = trie.insert(pointer);
            trie.nodes[node as usize].target = Target::Column(narrow(column));
        }
        declare(&mut trie, &shape);
        let time: Vec<Pointer> = shape
            .time
            .iter()
            .filter_map(|text| Pointer::parse(text))
            .collect();
        let mut time_may_be_hidden = false;
        for (rank, pointer) in (0..).zip(&time) {
            let node = trie.insert(pointer);
            time_may_be_hidden |= is_hidden(&trie, node, shape.max_depth);
            let time_rank = &mut trie.nodes[node as usize].time_rank;
            *time_rank = time_rank.or(Some(rank));
        }
        let required = (0..columns.len())
            .filter(|column| columns[*column].required && !system.contains(column))
            .collect();
        let names = columns
            .iter()
            .map(|column| column.name.to_ascii_lowercase())
            .collect();
        let mut plan = Self {
            siblings: vec![[Sibling::None; 4]; columns.len()],
            columns,
            reserved,
            system,
            trie,
            required,
            time,
            time_may_be_hidden,
            assume_offset_s: shape
                .assume_offset
                .as_ref()
                .and_then(|text| time::parse_offset(text.as_bytes())),
            earliest_us: time::parse_rfc3339(shape.earliest.as_bytes(), None).unwrap_or(i64::MIN),
            shape,
            fields: Vec::new(),
            told: Arc::default(),
            names,
            open: true,
        };
        if plan.shape.conflict == Conflict::Sibling {
            for (pointer, &column) in &owners {
                plan.siblings[column] = plan.siblings_of(pointer, column);
            }
        }
        plan.settle();
        Ok(plan)
    }

    /// Works out what follows from columns, declarations and event times, once those are settled: the fields of the rows, and on
    /// each path what its values usually are.
    fn settle(&mut self) {
        for id in 0..narrow(self.trie.nodes.len()) {
            let is_looked_into = self.trie.depth(id) < self.shape.max_depth;
            let node = &mut self.trie.nodes[id as usize];
            node.usual = usual(node, &self.columns, is_looked_into);
        }
        self.fields = self.columns.iter().map(RowField::of).collect();
        self.told = self.columns.as_slice().into();
    }

    /// The siblings that a path's column has or may get.
    fn siblings_of(&self, pointer: &Pointer, column: usize) -> [Sibling; 4] {
        let pointer = pointer.to_string();
        SIBLING_TYPES.map(|kind| {
            let name = sibling_name(&self.columns[column].name, kind);
            let existing = self
                .columns
                .iter()
                .position(|column| column.name.eq_ignore_ascii_case(&name));
            match existing {
                Some(position) if self.columns[position].doc.as_deref() == Some(&pointer) => {
                    Sibling::Column(position)
                }
                Some(_) => Sibling::None,
                None if !self.may_add(&name, 0) => Sibling::None,
                None => Sibling::Missing,
            }
        })
    }

    fn has_room(&self, n_added: usize) -> bool {
        self.open
            && self.columns.len() < self.shape.max_columns
            && n_added < self.shape.max_new_columns
    }

    /// Whether limits and reserved names allow a sibling of this name.
    fn may_add(&self, name: &str, n_added: usize) -> bool {
        name.len() <= MAX_NAME_BYTES && !is_reserved(name, &self.reserved) && self.has_room(n_added)
    }

    /// Decides about a path without a column when its first scalar is met; `candidate` is its number if it becomes one.
    pub(crate) fn decide(&self, pointer: &Pointer, candidate: usize) -> Target {
        let name = pointer.column_name(&self.reserved);
        if name.len() > MAX_NAME_BYTES {
            Target::LeftOver
        } else if self.names.contains(&name) {
            Target::Rescued
        } else if self.has_room(0) {
            Target::Candidate(narrow(candidate))
        } else {
            Target::LeftOver
        }
    }

    /// The plan with the columns that the candidates of a whole batch get, and those columns; no further ones can be added to it.
    pub(crate) fn with_candidates(
        &self,
        candidates: &HashMap<Pointer, Candidate>,
        missing_siblings: &BTreeMap<(usize, SiblingType), Position>,
    ) -> (Self, Vec<NewColumn>) {
        let mut wishes = Vec::new();
        for (pointer, candidate) in candidates {
            wishes.push((candidate.first, Wish::Path(pointer, candidate)));
            if self.shape.conflict == Conflict::Sibling {
                for (kind, position) in candidate.misfits() {
                    wishes.push((position, Wish::SiblingOfNew(pointer, kind)));
                }
            }
        }
        for (&(column, kind), &position) in missing_siblings {
            wishes.push((position, Wish::Sibling(column, kind)));
        }
        // At one position a path comes before its sibling; nothing else can share one.
        wishes.sort_by_key(|(position, wish)| (*position, !matches!(wish, Wish::Path(..))));

        let mut plan = self.clone();
        let mut added = Vec::new();
        for (_, wish) in wishes {
            plan.grant(&wish, &mut added);
        }
        plan.open = false;
        for siblings in &mut plan.siblings {
            for sibling in siblings
                .iter_mut()
                .filter(|sibling| **sibling == Sibling::Missing)
            {
                *sibling = Sibling::None;
            }
        }
        plan.settle();
        (plan, added)
    }

    /// Adds the column that is wished for, unless its name or the limits forbid it.
    fn grant(&mut self, wish: &Wish<'_>, added: &mut Vec<NewColumn>) {
        match *wish {
            Wish::Path(pointer, candidate) => {
                let name = pointer.column_name(&self.reserved);
                let target = if self.names.contains(&name) {
                    Target::Rescued
                } else if self.has_room(added.len()) {
                    let pointer = pointer.to_string();
                    Target::Column(narrow(self.add(
                        &name,
                        pointer,
                        candidate.data_type(),
                        added,
                    )))
                } else {
                    Target::LeftOver
                };
                let node = self.trie.insert(pointer);
                self.trie.nodes[node as usize].target = target;
            }
            Wish::SiblingOfNew(pointer, kind) => {
                let node = self.trie.insert(pointer);
                if let Target::Column(column) = self.trie.nodes[node as usize].target {
                    let column = column as usize;
                    self.grant_sibling(column, kind, added);
                }
            }
            Wish::Sibling(column, kind) => self.grant_sibling(column, kind, added),
        }
    }

    fn grant_sibling(&mut self, column: usize, kind: SiblingType, added: &mut Vec<NewColumn>) {
        let name = sibling_name(&self.columns[column].name, kind);
        if self.names.contains(&name.to_ascii_lowercase()) || !self.may_add(&name, added.len()) {
            return;
        }
        let owner = &self.columns[column];
        let pointer = owner
            .doc
            .clone()
            .filter(|doc| Pointer::parse(doc).is_some_and(|pointer| !pointer.keys().is_empty()))
            .unwrap_or_else(|| Pointer::from_keys(vec![owner.name.clone()]).to_string());
        let position = self.add(&name, pointer, kind.data_type(), added);
        self.siblings[column][kind as usize] = Sibling::Column(position);
    }

    fn add(
        &mut self,
        name: &str,
        pointer: String,
        data_type: DataType,
        added: &mut Vec<NewColumn>,
    ) -> usize {
        self.names.insert(name.to_ascii_lowercase());
        self.columns.push(Column {
            name: name.to_owned(),
            doc: Some(pointer.clone()),
            data_type: data_type.clone(),
            required: false,
        });
        self.siblings.push([Sibling::None; 4]);
        added.push(NewColumn {
            name: name.to_owned(),
            pointer,
            data_type,
        });
        self.columns.len() - 1
    }
}

/// A column that a batch could use.
enum Wish<'a> {
    Path(&'a Pointer, &'a Candidate),
    SiblingOfNew(&'a Pointer, SiblingType),
    Sibling(usize, SiblingType),
}

fn sibling_name(name: &str, kind: SiblingType) -> String {
    format!("{name}__{}", kind.name())
}

/// What the values of a path usually are, by its column; nothing where more than the column counts. A path without a column
/// leads to others, and an object there `is_looked_into` unless it is too deep.
fn usual(node: &Node, columns: &[Column], is_looked_into: bool) -> Usual {
    let as_a_whole = matches!(
        node.declared,
        Some(DeclaredType::Drop | DeclaredType::Sha256 | DeclaredType::Json | DeclaredType::Rescue)
    );
    if let (Some(rank), false) = (node.time_rank, as_a_whole) {
        return Usual::Time(rank);
    }
    match node.target {
        Target::Column(column) if !as_a_whole => match columns[column as usize].data_type {
            DataType::Utf8 => Usual::Text(column),
            DataType::Int64 => Usual::Long(column),
            DataType::Float64 => Usual::Double(column),
            DataType::Boolean => Usual::Boolean(column),
            _ => Usual::Nothing,
        },
        Target::Undecided if is_looked_into && node.declared.is_none() => Usual::Object,
        _ => Usual::Nothing,
    }
}

/// Which column each path owns: by pointer first, then by the name of a column without one.
fn owners(columns: &[Column], system: &[usize; 6]) -> BTreeMap<Pointer, usize> {
    let mut owners = BTreeMap::new();
    let pointer_of = |column: &Column| column.doc.as_deref().and_then(Pointer::parse);
    let own = || {
        columns
            .iter()
            .enumerate()
            .filter(|(position, _)| !system.contains(position))
    };
    for (position, column) in own() {
        if let Some(pointer) = pointer_of(column).filter(|pointer| !pointer.keys().is_empty()) {
            owners.entry(pointer).or_insert(position);
        }
    }
    for (position, column) in own().filter(|(_, column)| pointer_of(column).is_none()) {
        let is_sibling = |owner: usize| {
            let is = |kind| {
                columns[owner]
                    .name
                    .eq_ignore_ascii_case(&sibling_name(&column.name, kind))
            };
            SIBLING_TYPES.into_iter().any(is)
        };
        let pointer = Pointer::from_keys(vec![column.name.clone()]);
        // Its siblings hold its pointer, but do not take its path.
        let first_other = own().find(|(other, candidate)| {
            pointer_of(candidate).as_ref() == Some(&pointer) && !is_sibling(*other)
        });
        if first_other.is_none() {
            owners.insert(pointer, position);
        }
    }
    owners
}

/// Enters the declared types, and marks what lies above a hidden value.
fn declare(trie: &mut Trie, shape: &Shape) {
    for (pointer, &declared) in &shape.columns {
        let Some(pointer) = Pointer::parse(pointer) else {
            continue;
        };
        let node = trie.insert(&pointer);
        trie.nodes[node as usize].declared = Some(declared);
        if matches!(declared, DeclaredType::Drop | DeclaredType::Sha256) {
            let mut above = node;
            while above != crate::trie::ROOT {
                above = trie.parent(above);
                trie.nodes[above as usize].hides_below = true;
            }
        }
    }
}

/// Whether a path lies below a value that is kept whole.
fn is_hidden(trie: &Trie, node: NodeId, max_depth: usize) -> bool {
    let mut above = trie.parent(node);
    let mut hidden = trie.depth(node) > max_depth
        || matches!(
            trie.nodes[node as usize].declared,
            Some(DeclaredType::Sha256)
        );
    while above != crate::trie::ROOT {
        let declared = trie.nodes[above as usize].declared;
        hidden |= matches!(declared, Some(DeclaredType::Json | DeclaredType::Rescue));
        above = trie.parent(above);
    }
    hidden
}

const _: () = assert!(system::NAMES.len() == 6);
