//! One event as a tree that keeps the original bytes of every value and key.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A value and its original bytes, without the white space around it.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub(crate) raw: &'a str,
    pub(crate) value: Value<'a>,
}

#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    /// Its token is the node's `raw`.
    Number,
    /// Unescaped.
    String(String),
    Array(Vec<Node<'a>>),
    /// All members in the order of their bytes, also those that a later one of the same key replaces.
    Object(Vec<Member<'a>>),
}

#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    /// The original bytes of the key, with its quotes.
    pub(crate) raw_key: &'a str,
    /// Unescaped.
    pub(crate) key: String,
    pub(crate) value: Node<'a>,
    /// Whether no later member of the object has the same key (section 1).
    pub(crate) counts: bool,
}

/// Section 1: what `serde_json` refuses is refused, with its message.
pub(crate) fn read(bytes: &[u8]) -> Result<Node<'_>, String> {
    serde_json::from_slice::<Anything>(bytes).map_err(|error| error.to_string())?;
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    node(raw.get()).map_err(|error| error.to_string())
}

impl<'a> Node<'a> {
    /// The members that count, in the order of their bytes; none when it is no object.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member<'a>> {
        let all: &[Member<'a>] = match &self.value {
            Value::Object(members) => members,
            _ => &[],
        };
        all.iter().filter(|member| member.counts)
    }

    /// What it is, unless it is an object.
    pub(crate) fn not_an_object(&self) -> Option<&'static str> {
        Some(match self.value {
            Value::Null => "null",
            Value::Boolean(_) => "a boolean",
            Value::Number => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => return None,
        })
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }
}

fn node(raw: &str) -> serde_json::Result<Node<'_>> {
    let value = match raw.as_bytes()[0] {
        b'n' => Value::Null,
        b't' | b'f' => Value::Boolean(raw == "true"),
        b'"' => Value::String(serde_json::from_str(raw)?),
        b'[' => Value::Array(
            serde_json::from_str::<Vec<&RawValue>>(raw)?
                .into_iter()
                .map(|element| node(element.get()))
                .collect::<Result<_, _>>()?,
        ),
        b'{' => Value::Object(members(raw)?),
        _ => Value::Number,
    };
    Ok(Node { raw, value })
}

fn members(raw: &str) -> serde_json::Result<Vec<Member<'_>>> {
    let entries = serde_json::from_str::<Entries<'_>>(raw)?.0;
    let mut members: Vec<Member<'_>> = Vec::with_capacity(entries.len());
    let mut end_of_previous = 0;
    for (key, value) in entries {
        let value = value.get();
        let start = value.as_ptr() as usize - raw.as_ptr() as usize;
        // `{ "key" :` or `, "key" :`; a key begins and ends with a quote.
        let raw_key =
            raw[end_of_previous..start].trim_matches([' ', '\t', '\r', '\n', ',', '{', ':']);
        end_of_previous = start + value.len();
        members.push(Member {
            raw_key,
            key,
            value: node(value)?,
            counts: true,
        });
    }
    let mut seen = std::collections::HashSet::new();
    for member in members.iter_mut().rev() {
        member.counts = seen.insert(member.key.clone());
    }
    Ok(members)
}

/// The members of an object as they come, repeated ones too.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Accepts what `serde_json::Value` accepts, except that no key means anything special to it: with its feature
/// `raw_value`, `Value` takes an object whose first key is a private name of `serde_json` for something else.
pub(crate) struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Accept;
        impl<'de> Visitor<'de> for Accept {
            type Value = Anything;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any valid JSON value")
            }
            fn visit_unit<E>(self) -> Result<Anything, E> {
                Ok(Anything)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Anything, E> {
                Ok(Anything)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Anything, E> {
                Ok(Anything)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Anything, E> {
                Ok(Anything)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Anything, E> {
                Ok(Anything)
            }
            fn visit_str<E>(self, _: &str) -> Result<Anything, E> {
                Ok(Anything)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Anything, A::Error> {
                while seq.next_element::<Anything>()?.is_some() {}
                Ok(Anything)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Anything, A::Error> {
                while map.next_entry::<String, Anything>()?.is_some() {}
                Ok(Anything)
            }
        }
        deserializer.deserialize_any(Accept)
    }
}
