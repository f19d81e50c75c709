//! Rows back into the events that they were made of, by section 8 of `docs/flattening.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, DecimalType as _, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use flatten::{DeclaredType, Pointer, Shape, system};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An event on its way back: what is no object keeps its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Raw(String),
    Object(BTreeMap<String, Node>),
}

/// Where the columns of a file belong in an event, by their position in the file; none for system columns.
#[derive(Debug)]
pub(super) struct Rebuilder {
    /// The keys on the way to each column's values, and whether these are JSON texts.
    columns: Vec<Option<(Vec<String>, bool)>>,
    /// The paths that are hashed today.
    hashed: Vec<Vec<String>>,
}

/// A row as an event, with what its system columns say.
#[derive(Debug)]
pub(super) struct Rebuilt {
    pub(super) event: Vec<u8>,
    pub(super) source_id: String,
    pub(super) source_index: i64,
    pub(super) arrival_us: i64,
}

impl Rebuilder {
    /// `columns` are names and pointers in the order of the file, `then` is the shape that wrote it, `now` the one that the
    /// events are flattened with next.
    pub(super) fn new(columns: &[(String, Option<String>)], then: &Shape, now: &Shape) -> Self {
        let place = |(name, doc): &(String, Option<String>)| {
            if is_system(name) {
                return None;
            }
            let pointer = doc.as_ref().filter(|doc| Pointer::parse(doc).is_some());
            let is_json = pointer.and_then(|pointer| then.columns.get(pointer));
            let is_json = is_json == Some(&DeclaredType::Json);
            let keys = pointer.map_or_else(|| vec![name.clone()], |pointer| keys_of(pointer));
            Some((keys, is_json))
        };
        let is_hashed = |declared: &DeclaredType| *declared == DeclaredType::Sha256;
        let hashed = now
            .columns
            .iter()
            .filter(|(_, declared)| is_hashed(declared));
        Self {
            columns: columns.iter().map(place).collect(),
            hashed: hashed.map(|(pointer, _)| keys_of(pointer)).collect(),
        }
    }

    /// The events of these rows.
    ///
    /// # Errors
    ///
    /// When the rows lack a system column, or `_doc` does not hold what it should.
    pub(super) fn rebuild(&self, rows: &RecordBatch) -> Result<Vec<Rebuilt>, Cause> {
        let system = System::of(rows)?;
        (0..rows.num_rows())
            .map(|row| self.row(rows, row, &system))
            .collect()
    }

    fn row(&self, rows: &RecordBatch, row: usize, system: &System) -> Result<Rebuilt, Cause> {
        let mut event = Node::Object(BTreeMap::new());
        for (place, array) in self.columns.iter().zip(rows.columns()) {
            let Some((keys, is_json)) = place else {
                continue;
            };
            if let Some(text) = cell(array, row, *is_json)? {
                merge(&mut event, put_at(keys, Node::Raw(text)))?;
            }
        }
        let time_us = system.times.value(row);
        let source = system.time_sources.value(row);
        if let Some((pointer, form)) = source.rsplit_once(' ')
            && let Some(text) = time_text(form, time_us)
        {
            merge(&mut event, put_at(&keys_of(pointer), Node::Raw(text)))?;
        }
        if let Some(doc) = system.doc(row) {
            merge(&mut event, Node::Raw(doc.to_owned()))?;
        }
        for keys in &self.hashed {
            hash_at(&mut event, keys)?;
        }
        let mut text = String::new();
        print(&event, &mut text)?;
        Ok(Rebuilt {
            event: text.into_bytes(),
            source_id: system.source_ids.value(row).to_owned(),
            source_index: system.source_indices.value(row),
            // Later than it was, if anything: the event's own time was not beyond its arrival by more than is allowed.
            arrival_us: if source == "arrival" {
                time_us
            } else {
                system.ingested.value(row)
            },
        })
    }
}

/// The system columns of some rows.
struct System {
    times: arrow_array::TimestampMicrosecondArray,
    ingested: arrow_array::TimestampMicrosecondArray,
    time_sources: arrow_array::StringArray,
    source_ids: arrow_array::StringArray,
    source_indices: arrow_array::Int64Array,
    docs: Option<arrow_array::StringArray>,
}

impl System {
    fn of(rows: &RecordBatch) -> Result<Self, Cause> {
        let column = |name: &str, data_type: &DataType| -> Result<_, Cause> {
            let array = rows.column_by_name(name);
            let array = array.ok_or_else(|| format!("the rows have no column `{name}`"))?;
            if array.null_count() > 0 && name != system::DOC {
                return Err(format!("some rows have no `{name}`").into());
            }
            Ok(arrow_cast::cast(array, data_type)?)
        };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let times = |name| -> Result<_, Cause> {
            let array = column(name, &micros)?;
            Ok(array.as_primitive::<TimestampMicrosecondType>().clone())
        };
        let texts = |name| -> Result<_, Cause> {
            Ok(column(name, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        let docs = rows.column_by_name(system::DOC).is_some();
        Ok(Self {
            times: times(system::EVENT_TIME)?,
            ingested: times(system::INGESTED_AT)?,
            time_sources: texts(system::TIME_SOURCE)?,
            source_ids: texts(system::SOURCE_ID)?,
            source_indices: column(system::SOURCE_INDEX, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone(),
            docs: docs.then(|| texts(system::DOC)).transpose()?,
        })
    }

    fn doc(&self, row: usize) -> Option<&str> {
        let docs = self.docs.as_ref()?;
        docs.is_valid(row).then(|| docs.value(row))
    }
}

fn is_system(name: &str) -> bool {
    [
        system::EVENT_TIME,
        system::INGESTED_AT,
        system::TIME_SOURCE,
        system::SOURCE_ID,
        system::SOURCE_INDEX,
        system::DOC,
    ]
    .contains(&name)
}

/// The keys of an RFC 6901 pointer.
fn keys_of(pointer: &str) -> Vec<String> {
    let keys = pointer.split('/').skip(1);
    keys.map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// A value as JSON; nothing for null, and for types that no event gives a value to.
fn cell(array: &dyn Array, row: usize, is_json: bool) -> Result<Option<String>, Cause> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => {
            serde_json::to_string(&array.as_primitive::<Float32Type>().value(row))?
        }
        DataType::Float64 => {
            serde_json::to_string(&array.as_primitive::<Float64Type>().value(row))?
        }
        DataType::Decimal128(precision, scale) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            Decimal128Type::format_decimal(value, *precision, *scale)
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            let time_us = i64::from(days) * 86_400_000_000;
            quoted(&date_time(time_us)[..10])
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let time_us = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let n_digits = match time_us {
                _ if time_us % 1_000_000 == 0 => 0,
                _ if time_us % 1_000 == 0 => 3,
                _ => 6,
            };
            quoted(&time(time_us, n_digits, "Z"))
        }
        DataType::FixedSizeBinary(16) => {
            let bytes = array.as_fixed_size_binary().value(row);
            let mut text = String::with_capacity(36);
            for (position, byte) in bytes.iter().enumerate() {
                if matches!(position, 4 | 6 | 8 | 10) {
                    text.push('-');
                }
                write!(text, "{byte:02x}")?;
            }
            quoted(&text)
        }
        DataType::Utf8 if is_json => array.as_string::<i32>().value(row).to_owned(),
        DataType::Utf8 => quoted(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => quoted(array.as_string::<i64>().value(row)),
        DataType::Dictionary(..) => {
            let texts = arrow_cast::cast(&array.slice(row, 1), &DataType::Utf8)?;
            return cell(&texts, 0, is_json);
        }
        _ => return Ok(None),
    }))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The event time as it was, for the forms that print back.
fn time_text(form: &str, time_us: i64) -> Option<String> {
    match form {
        "s" => Some(time_us.div_euclid(1_000_000).to_string()),
        "ms" => Some(time_us.div_euclid(1_000).to_string()),
        "us" => Some(time_us.to_string()),
        _ => {
            let (n_digits, offset) = form.strip_prefix("rfc3339/")?.split_once('/')?;
            Some(quoted(&time(time_us, n_digits.parse().ok()?, offset)))
        }
    }
}

/// `2026-11-21T08:00:00.123Z`.
fn time(time_us: i64, n_digits: usize, offset: &str) -> String {
    let nanos = format!("{:09}", time_us.rem_euclid(1_000_000) * 1_000);
    let fraction = nanos.get(..n_digits).filter(|_| n_digits > 0);
    let point = if fraction.is_some() { "." } else { "" };
    let (seconds, fraction) = (date_time(time_us), fraction.unwrap_or_default());
    format!("{seconds}{point}{fraction}{offset}")
}

/// `2026-11-21T08:00:00`, of the years 0000 to 9999.
fn date_time(time_us: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(time_us).unwrap_or_default();
    let civil = jiff::tz::TimeZone::UTC.to_datetime(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second()
    )
}

fn put_at(keys: &[String], value: Node) -> Node {
    keys.iter().rev().fold(value, |value, key| {
        Node::Object(BTreeMap::from([(key.clone(), value)]))
    })
}

/// Objects member by member; anything else is replaced.
fn merge(under: &mut Node, over: Node) -> Result<(), Cause> {
    let over = opened(over)?;
    if let (Node::Object(members), Node::Object(_)) = (&mut *under, &over) {
        let Node::Object(over) = over else {
            return Ok(());
        };
        for (key, value) in over {
            match members.get_mut(&key) {
                Some(under) => merge(under, value)?,
                None => {
                    members.insert(key, value);
                }
            }
        }
        return Ok(());
    }
    let as_object = opened(under.clone())?;
    if matches!((&as_object, &over), (Node::Object(_), Node::Object(_))) {
        *under = as_object;
        return merge(under, over);
    }
    *under = over;
    Ok(())
}

/// An object's text as its members, the last of each key; anything else as it is.
fn opened(node: Node) -> Result<Node, Cause> {
    match node {
        Node::Raw(text) if text.trim_start().starts_with('{') => {
            let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text)?;
            let members = members.into_iter();
            let members = members.map(|(key, raw)| (key, Node::Raw(raw.get().to_owned())));
            Ok(Node::Object(members.collect()))
        }
        other => Ok(other),
    }
}

/// Hashes what is at a path that is hashed today and was not when the row was made: a string of 64 hex digits is a hash.
fn hash_at(event: &mut Node, keys: &[String]) -> Result<(), Cause> {
    let mut node = event;
    for key in keys {
        *node = opened(node.clone())?;
        let Node::Object(members) = node else {
            return Ok(());
        };
        let Some(member) = members.get_mut(key) else {
            return Ok(());
        };
        node = member;
    }
    let mut text = String::new();
    print(node, &mut text)?;
    if text == "null" {
        return Ok(());
    }
    let string = serde_json::from_str::<String>(&text);
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if string
        .as_ref()
        .is_ok_and(|text| text.len() == 64 && text.bytes().all(is_digit))
    {
        return Ok(());
    }
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(string.unwrap_or(text)) {
        write!(hex, "{byte:02x}")?;
    }
    *node = Node::Raw(quoted(&hex));
    Ok(())
}

fn print(node: &Node, text: &mut String) -> Result<(), Cause> {
    match node {
        Node::Raw(raw) => text.push_str(raw),
        Node::Object(members) => {
            text.push('{');
            for (position, (key, value)) in members.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write!(text, "{}:", quoted(key))?;
                print(value, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
