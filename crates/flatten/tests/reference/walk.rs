//! Section 3: the event in the order of its bytes, each value by the first rule that applies.

use flatten::{DeclaredType, Shape};

use super::json::{Member, Node, Value};
use super::{doc, names};

/// A value that is neither gone nor walked further.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The keys from the top, each as its original bytes and unescaped.
    pub(crate) path: Vec<(String, String)>,
    /// What `_doc` holds if it is left over.
    pub(crate) text: String,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Rule 4: the text goes to the path's column.
    Json,
    /// Rule 10.
    Scalar(Scalar),
    /// Rules 3, 5, 6, 7 and 8.
    LeftOver,
}

/// A value that a column may hold.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    Boolean(bool),
    /// The token.
    Number(String),
    /// Unescaped.
    String(String),
}

impl Found {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.path.iter().map(|(_, key)| key.clone()).collect()
    }

    pub(crate) fn pointer(&self) -> String {
        pointer(&self.path)
    }
}

impl Scalar {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
        }
    }

    pub(crate) fn is_no_number_or_an_integer(&self) -> bool {
        !matches!(self, Self::Number(token) if token.contains(['.', 'e', 'E']))
    }
}

/// The values of an event that rules 3 to 8 and 10 apply to, in order. `time` is the pointer chosen as event time, and whether its form prints back.
pub(crate) fn walk(root: &Node<'_>, shape: &Shape, time: Option<(&str, bool)>) -> Vec<Found> {
    let mut found = Vec::new();
    walk_members(root, &[], shape, time, &mut found);
    found
}

fn walk_members(
    object: &Node<'_>,
    above: &[(String, String)],
    shape: &Shape,
    time: Option<(&str, bool)>,
    found: &mut Vec<Found>,
) {
    for member in object.members() {
        let mut path = above.to_vec();
        path.push((member.raw_key.to_owned(), member.key.clone()));
        walk_value(&member.value, &path, shape, time, found);
    }
}

fn walk_value(
    node: &Node<'_>,
    path: &[(String, String)],
    shape: &Shape,
    time: Option<(&str, bool)>,
    found: &mut Vec<Found>,
) {
    let pointer = pointer(path);
    let declared = shape.columns.get(&pointer).copied();
    let mut add = |what: What, text: String| {
        found.push(Found {
            path: path.to_vec(),
            text,
            what,
        });
    };
    // Rules 1 and 2.
    if is_gone(node, declared) {
        return;
    }
    if declared == Some(DeclaredType::Sha256) {
        let hex = doc::sha256(node);
        return add(
            What::Scalar(Scalar::String(hex.clone())),
            format!("\"{hex}\""),
        );
    }
    // Rule 3.
    if let Some((chosen, prints_back)) = time
        && chosen == pointer
    {
        if !prints_back {
            add(What::LeftOver, node.raw.to_owned());
        }
        return;
    }
    // Rules 4 and 5.
    let keys: Vec<_> = path.iter().map(|(_, key)| key.clone()).collect();
    match declared {
        Some(DeclaredType::Json) => {
            return add(What::Json, doc::after_rule_1(node, &keys, shape));
        }
        Some(DeclaredType::Rescue) => {
            return add(What::LeftOver, doc::after_rule_1(node, &keys, shape));
        }
        _ => {}
    }
    // Rules 6 to 10.
    match &node.value {
        Value::Array(_) => add(What::LeftOver, node.raw.to_owned()),
        Value::Object(_) => {
            let stays = |member: &Member<'_>| {
                let below =
                    names::pointer(keys.iter().map(String::as_str).chain([member.key.as_str()]));
                !is_gone(&member.value, shape.columns.get(&below).copied())
            };
            if !node.members().any(stays) {
                add(What::LeftOver, "{}".to_owned());
            } else if path.len() >= shape.max_depth {
                add(What::LeftOver, doc::after_rule_1(node, &keys, shape));
            } else {
                walk_members(node, path, shape, time, found);
            }
        }
        _ => {
            if let Some(scalar) = scalar(node) {
                add(What::Scalar(scalar), node.raw.to_owned());
            }
        }
    }
}

/// Rules 1 and 2: whether nothing of the value remains.
fn is_gone(node: &Node<'_>, declared: Option<DeclaredType>) -> bool {
    node.is_null() || declared == Some(DeclaredType::Drop)
}

/// The value as a scalar, `None` for arrays, objects and `null`.
pub(crate) fn scalar(node: &Node<'_>) -> Option<Scalar> {
    Some(match &node.value {
        Value::Boolean(value) => Scalar::Boolean(*value),
        Value::Number => Scalar::Number(node.raw.to_owned()),
        Value::String(text) => Scalar::String(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

fn pointer(path: &[(String, String)]) -> String {
    names::pointer(path.iter().map(|(_, key)| key.as_str()))
}
