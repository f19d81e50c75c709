//! Section 8: the event again from its row, and what it has to equal.

use std::collections::BTreeMap;

use arrow_schema::DataType;
use flatten::{Column, DeclaredType, Shape, system};

use super::json::{self, Node, Value};
use super::{Cell, Decimal, doc, fits, names, times};

/// An event as far as law 2 keeps it: no order of keys, no spelling of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Boolean(bool),
    Number(Decimal),
    String(String),
    Array(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

/// The event as `serde_json` reads it, after rules 1 and 2 of section 3.
pub(crate) fn canonical(event: &[u8], shape: &Shape) -> Option<Tree> {
    let root = json::read(event).ok()?;
    let text = doc::after_rule_1(&root, &[], shape);
    read_tree(&text).map(without_nulls)
}

/// The event of a row: columns by their paths, the event time by `_time_source`, and `_doc`, which wins.
pub(crate) fn rebuild(columns: &[Column], row: &[Cell], shape: &Shape) -> Option<Tree> {
    let mut event = Tree::Object(BTreeMap::new());
    for ((column, pointer), cell) in columns.iter().zip(names::pointers(columns)).zip(row) {
        let Some(pointer) = pointer else { continue };
        let is_json = shape.columns.get(&pointer) == Some(&DeclaredType::Json);
        let value = match cell {
            Cell::Text(text) if is_json => Some(read_tree(text)?),
            _ => value_of(column, cell),
        };
        if let Some(value) = value {
            merge(&mut event, put_at(&names::keys(&pointer)?, value));
        }
    }
    let of = |name| &row[names::system_column(columns, name)];
    if let (Cell::Text(source), Cell::Long(time_us)) =
        (of(system::TIME_SOURCE), of(system::EVENT_TIME))
        && let Some((pointer, form)) = source.rsplit_once(' ')
        && let Some(value) = time_value(form, i128::from(*time_us))
    {
        merge(&mut event, put_at(&names::keys(pointer)?, value));
    }
    if let Cell::Text(doc) = of(system::DOC) {
        merge(&mut event, read_tree(doc)?);
    }
    Some(without_nulls(event))
}

fn value_of(column: &Column, cell: &Cell) -> Option<Tree> {
    Some(match (cell, &column.data_type) {
        (Cell::Long(days), DataType::Date32) => Tree::String(times::print_date(i128::from(*days))),
        (Cell::Long(time_us), DataType::Timestamp(..)) => {
            Tree::String(times::print_column(i128::from(*time_us)))
        }
        (Cell::Decimal(unscaled), DataType::Decimal128(_, scale)) => {
            Tree::Number(Decimal::of_unscaled(*unscaled, *scale))
        }
        (Cell::Boolean(value), _) => Tree::Boolean(*value),
        (Cell::Long(value), _) => Tree::Number(Decimal::read(&value.to_string())),
        (Cell::Double(bits), _) => Tree::Number(fits::shortest_double(f64::from_bits(*bits))?),
        (Cell::Float(bits), _) => Tree::Number(fits::shortest_float(f32::from_bits(*bits))?),
        (Cell::Bytes(bytes), _) => Tree::String(fits::print_uuid(bytes)),
        (Cell::Text(text), _) => Tree::String(text.clone()),
        (Cell::Null | Cell::Decimal(_) | Cell::Other(_), _) => return None,
    })
}

fn time_value(form: &str, time_us: i128) -> Option<Tree> {
    let units = |units_us: i128| {
        Some(Tree::Number(Decimal::read(
            &(time_us / units_us).to_string(),
        )))
    };
    match form {
        "other" => None,
        "s" => units(1_000_000),
        "ms" => units(1000),
        "us" => units(1),
        _ => {
            let (n_digits, offset) = form.strip_prefix("rfc3339/")?.split_once('/')?;
            Some(Tree::String(times::print(
                time_us,
                n_digits.parse().ok()?,
                offset,
            )))
        }
    }
}

fn put_at(keys: &[String], value: Tree) -> Tree {
    keys.iter().rev().fold(value, |value, key| {
        Tree::Object(BTreeMap::from([(key.clone(), value)]))
    })
}

/// Objects member by member; anything else is replaced.
fn merge(tree: &mut Tree, over: Tree) {
    match (tree, over) {
        (Tree::Object(members), Tree::Object(over)) => {
            for (key, value) in over {
                match members.get_mut(&key) {
                    Some(under) => merge(under, value),
                    None => {
                        members.insert(key, value);
                    }
                }
            }
        }
        (tree, over) => *tree = over,
    }
}

fn read_tree(text: &str) -> Option<Tree> {
    json::read(text.as_bytes()).ok().map(|node| tree_of(&node))
}

fn tree_of(node: &Node<'_>) -> Tree {
    match &node.value {
        Value::Null => Tree::Null,
        Value::Boolean(value) => Tree::Boolean(*value),
        Value::Number => Tree::Number(Decimal::read(node.raw)),
        Value::String(text) => Tree::String(text.clone()),
        Value::Array(elements) => Tree::Array(elements.iter().map(tree_of).collect()),
        Value::Object(_) => Tree::Object(
            node.members()
                .map(|member| (member.key.clone(), tree_of(&member.value)))
                .collect(),
        ),
    }
}

/// Members that are null are removed at every depth; nulls inside arrays stay.
fn without_nulls(tree: Tree) -> Tree {
    match tree {
        Tree::Array(elements) => Tree::Array(elements.into_iter().map(without_nulls).collect()),
        Tree::Object(members) => Tree::Object(
            members
                .into_iter()
                .filter(|(_, value)| *value != Tree::Null)
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}
