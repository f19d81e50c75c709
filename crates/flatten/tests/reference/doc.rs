//! The text of `_doc`.

use std::fmt::Write;

use flatten::{DeclaredType, Shape};
use sha2::{Digest, Sha256};

use super::json::{Node, Value};
use super::names;
use super::walk::Found;

/// Left-over values as one object in the original nesting; `None` when nothing is left.
pub(crate) fn write(left_over: &[&Found]) -> Option<String> {
    (!left_over.is_empty()).then(|| write_below(left_over, 0))
}

/// The object at a depth. What is below one member lies together, since the event was walked in order.
fn write_below(left_over: &[&Found], depth: usize) -> String {
    let members: Vec<_> = left_over
        .chunk_by(|one, next| one.path[depth] == next.path[depth])
        .map(|below| {
            let (raw_key, _) = &below[0].path[depth];
            let ends_here = below[0].path.len() == depth + 1;
            if ends_here {
                format!("{raw_key}:{}", below[0].text)
            } else {
                format!("{raw_key}:{}", write_below(below, depth + 1))
            }
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A value that is copied whole: as its original bytes, or compactly member by member where rule 1 changes one below it.
pub(crate) fn after_rule_1(node: &Node<'_>, path: &[String], shape: &Shape) -> String {
    if !is_changed(node, path, shape) {
        return node.raw.to_owned();
    }
    let mut members = Vec::new();
    for member in node.members() {
        let below = [path, std::slice::from_ref(&member.key)].concat();
        let text = match declared(&below, shape) {
            Some(DeclaredType::Drop) => continue,
            Some(DeclaredType::Sha256) if !member.value.is_null() => {
                format!("\"{}\"", sha256(&member.value))
            }
            _ => after_rule_1(&member.value, &below, shape),
        };
        members.push(format!("{}:{text}", member.raw_key));
    }
    format!("{{{}}}", members.join(","))
}

/// Whether the original bytes hold anything that rule 1 takes away, also in members that a later one replaces.
fn is_changed(node: &Node<'_>, path: &[String], shape: &Shape) -> bool {
    let Value::Object(members) = &node.value else {
        return false;
    };
    members.iter().any(|member| {
        let below = [path, std::slice::from_ref(&member.key)].concat();
        match declared(&below, shape) {
            Some(DeclaredType::Drop) => true,
            Some(DeclaredType::Sha256) => !member.value.is_null(),
            _ => is_changed(&member.value, &below, shape),
        }
    })
}

fn declared(path: &[String], shape: &Shape) -> Option<DeclaredType> {
    let pointer = names::pointer(path.iter().map(String::as_str));
    shape.columns.get(&pointer).copied()
}

/// The hash of a value in hex: of the unescaped bytes of a string, of the original bytes of anything else.
pub(crate) fn sha256(node: &Node<'_>) -> String {
    let bytes = match &node.value {
        Value::String(text) => text.as_bytes(),
        _ => node.raw.as_bytes(),
    };
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
