//! What decides how an event becomes a row. It belongs to the table and is kept in its properties.

use std::collections::BTreeMap;

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::Pointer;

/// The version of these rules; a table that names a newer one is refused.
const FORMAT: &str = "1";

/// How events of one table become rows: the `[table.shape]` of `calve.toml`, the `calve.*` properties of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// Types declared for paths, by pointer. Default: none.
    pub columns: BTreeMap<String, DeclaredType>,
    /// Where the event time is, the first that is present and readable. Default: the usual names.
    pub time: Vec<String>,
    /// Where the event's id is, the first that is present. Default: `/event_id`, `/id`, `/message_id`.
    pub event_id: Vec<String>,
    /// Where the event's type is, the first that is present. Default: `/event_type`, `/type`.
    pub event_type: Vec<String>,
    /// What becomes of an event whose time is present but unreadable. Default: `refuse`.
    pub unreadable_time: UnreadableTime,
    /// The offset of times without one, `Z` or `±HH:MM`. Default: none, such times are unreadable.
    pub assume_offset: Option<String>,
    /// The earliest event time, RFC 3339. Default: `1990-01-01T00:00:00Z`.
    pub earliest: String,
    /// How far beyond its arrival an event may lie, in seconds. Default: 86,400.
    pub latest_seconds: u32,
    /// What becomes of a value that does not fit its column. Default: `rescue`.
    pub conflict: Conflict,
    /// What `_doc` holds. Default: `left_over`.
    pub doc: Doc,
    /// Paths of more keys than this get no column. Default: 8.
    pub max_depth: usize,
    /// The table gets no further column beyond this many, all counted. Default: 500.
    pub max_columns: usize,
    /// One batch adds no more columns than this. Default: 64.
    pub max_new_columns: usize,
    /// An event longer than this is refused, in bytes. Default: 1 MiB.
    pub max_event_bytes: usize,
}

/// What `calve.columns` may declare for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum DeclaredType {
    /// `true` or `false`.
    Boolean,
    /// A 64-bit integer.
    Long,
    /// A 64-bit float.
    Double,
    /// Text.
    String,
    /// A point in time, in microseconds.
    Timestamptz,
    /// A day.
    Date,
    /// An exact decimal.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// The value as JSON text in its own column, whatever it is.
    Json,
    /// Never a column: always in `_doc`.
    Rescue,
    /// Neither column nor `_doc`: gone.
    Drop,
    /// The SHA-256 of the value, in hex, in a string column.
    Sha256,
}

/// What becomes of an event whose time is present but unreadable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadableTime {
    /// It is refused, and so quarantined (the default).
    #[default]
    Refuse,
    /// It is filed under the arrival of its record.
    Arrival,
}

/// What becomes of a value that does not fit its column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// It goes to `_doc` (the default).
    #[default]
    Rescue,
    /// It goes to the column `<name>__<type>`, added like any other.
    Sibling,
}

/// What `_doc` holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doc {
    /// What has no column (the default).
    #[default]
    LeftOver,
    /// The whole event.
    Full,
}

/// A shape that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// The table was made by a newer Calve.
    #[error("the table's `calve.format` is `{found}`; this version knows `{FORMAT}`")]
    NewerFormat {
        /// What the table says.
        found: String,
    },
    /// A property or key that cannot be read.
    #[error("`{key}` cannot be `{value}`: {expected}")]
    Value {
        /// The table property.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: String,
    },
}

impl Default for Shape {
    fn default() -> Self {
        let list = |pointers: &[&str]| pointers.iter().map(|&pointer| pointer.to_owned()).collect();
        Self {
            columns: BTreeMap::new(),
            time: list(&["/event_time", "/timestamp", "/ts", "/time", "/created_at"]),
            event_id: list(&["/event_id", "/id", "/message_id"]),
            event_type: list(&["/event_type", "/type"]),
            unreadable_time: UnreadableTime::default(),
            assume_offset: None,
            earliest: "1990-01-01T00:00:00Z".to_owned(),
            latest_seconds: 86_400,
            conflict: Conflict::default(),
            doc: Doc::default(),
            max_depth: 8,
            max_columns: 500,
            max_new_columns: 64,
            max_event_bytes: 1 << 20,
        }
    }
}

impl DeclaredType {
    /// The Arrow type of the column, `None` when the path never gets one.
    pub fn data_type(self) -> Option<DataType> {
        Some(match self {
            Self::Boolean => DataType::Boolean,
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::String | Self::Json | Self::Sha256 => DataType::Utf8,
            Self::Timestamptz => crate::timestamptz(),
            Self::Date => DataType::Date32,
            Self::Decimal { precision, scale } => {
                DataType::Decimal128(precision, i8::try_from(scale).ok()?)
            }
            Self::Rescue | Self::Drop => return None,
        })
    }
}

impl TryFrom<String> for DeclaredType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expected = "boolean, long, double, string, timestamptz, date, decimal(p,s), json, rescue, drop or sha256";
        Ok(match text.as_str() {
            "boolean" => Self::Boolean,
            "long" => Self::Long,
            "double" => Self::Double,
            "string" => Self::String,
            "timestamptz" => Self::Timestamptz,
            "date" => Self::Date,
            "json" => Self::Json,
            "rescue" => Self::Rescue,
            "drop" => Self::Drop,
            "sha256" => Self::Sha256,
            other => decimal(other)
                .ok_or_else(|| format!("`{other}` is not a type: write {expected}"))?,
        })
    }
}

/// Reads `decimal(p,s)` with 1 ≤ p ≤ 38 and s ≤ p.
fn decimal(text: &str) -> Option<DeclaredType> {
    let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',')?;
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: u8 = scale.trim().parse().ok()?;
    ((1..=38).contains(&precision) && scale <= precision)
        .then_some(DeclaredType::Decimal { precision, scale })
}

impl From<DeclaredType> for String {
    fn from(declared: DeclaredType) -> Self {
        match declared {
            DeclaredType::Boolean => "boolean".to_owned(),
            DeclaredType::Long => "long".to_owned(),
            DeclaredType::Double => "double".to_owned(),
            DeclaredType::String => "string".to_owned(),
            DeclaredType::Timestamptz => "timestamptz".to_owned(),
            DeclaredType::Date => "date".to_owned(),
            DeclaredType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            DeclaredType::Json => "json".to_owned(),
            DeclaredType::Rescue => "rescue".to_owned(),
            DeclaredType::Drop => "drop".to_owned(),
            DeclaredType::Sha256 => "sha256".to_owned(),
        }
    }
}

impl Shape {
    /// The table properties that hold this shape, all of them, so that a later default changes no old table.
    pub fn to_properties(&self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::from([("calve.format".to_owned(), FORMAT.to_owned())]);
        // Serialising a struct of plain values into a JSON value cannot fail.
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) {
            for (field, value) in fields {
                let text = match value {
                    serde_json::Value::Null => continue,
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                properties.insert(property_of(&field), text);
            }
        }
        properties
    }

    /// Reads the shape from a table's properties; what they do not say has its default.
    ///
    /// # Errors
    ///
    /// When the table's format is newer than this code, or a property cannot be read.
    pub fn from_properties<'a>(
        properties: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Self, ShapeError> {
        let known = serde_json::to_value(Self::default()).unwrap_or_default();
        let mut fields = serde_json::Map::new();
        for (property, text) in properties {
            if property == "calve.format" && text != FORMAT {
                return Err(ShapeError::NewerFormat {
                    found: text.clone(),
                });
            }
            let Some(field) = known
                .as_object()
                .and_then(|fields| fields.keys().find(|field| property_of(field) == *property))
            else {
                continue; // Another tool's property, or one of ours that is no part of the shape.
            };
            // A value that is no JSON, or whose default is text, is text.
            let value = match known.get(field) {
                Some(serde_json::Value::String(_) | serde_json::Value::Null) => {
                    serde_json::Value::String(text.clone())
                }
                _ => serde_json::from_str(text)
                    .unwrap_or_else(|_| serde_json::Value::String(text.clone())),
            };
            let single =
                serde_json::Value::Object([(field.clone(), value.clone())].into_iter().collect());
            if let Err(error) = serde_json::from_value::<Self>(single) {
                return Err(ShapeError::Value {
                    key: static_key(field),
                    value: text.clone(),
                    expected: error.to_string(),
                });
            }
            fields.insert(field.clone(), value);
        }
        // Each field was read by itself above, so all of them together can be read.
        let shape: Self =
            serde_json::from_value(serde_json::Value::Object(fields)).unwrap_or_default();
        shape.check()?;
        Ok(shape)
    }

    /// Checks what the types cannot: pointers, times, offsets, limits.
    ///
    /// # Errors
    ///
    /// Names the first key that is wrong, its value, and what would be right.
    pub fn check(&self) -> Result<(), ShapeError> {
        let lists = [
            ("time", &self.time),
            ("event_id", &self.event_id),
            ("event_type", &self.event_type),
        ];
        let listed = lists
            .into_iter()
            .flat_map(|(key, list)| list.iter().map(move |text| (key, text)));
        for (key, text) in listed.chain(self.columns.keys().map(|text| ("columns", text))) {
            if Pointer::parse(text).is_none_or(|pointer| pointer.keys().is_empty()) {
                let expected = "write an RFC 6901 pointer to a value, like `/user/id`".to_owned();
                return Err(ShapeError::Value {
                    key: static_key(key),
                    value: text.clone(),
                    expected,
                });
            }
        }
        if crate::time::parse_rfc3339(self.earliest.as_bytes(), None).is_none() {
            let expected = "write a time like `1990-01-01T00:00:00Z`".to_owned();
            return Err(ShapeError::Value {
                key: static_key("earliest"),
                value: self.earliest.clone(),
                expected,
            });
        }
        if let Some(offset) = &self.assume_offset
            && crate::time::parse_offset(offset.as_bytes()).is_none()
        {
            let expected = "write `Z`, `+02:00` or `-05:30`".to_owned();
            return Err(ShapeError::Value {
                key: static_key("assume_offset"),
                value: offset.clone(),
                expected,
            });
        }
        for (key, value, least, most) in [
            ("max_depth", self.max_depth, 1, 127),
            ("max_columns", self.max_columns, 6, 10_000),
            ("max_new_columns", self.max_new_columns, 0, 10_000),
            ("max_event_bytes", self.max_event_bytes, 2, 256 << 20),
        ] {
            if !(least..=most).contains(&value) {
                let expected = format!("write a number from {least} to {most}");
                return Err(ShapeError::Value {
                    key: static_key(key),
                    value: value.to_string(),
                    expected,
                });
            }
        }
        Ok(())
    }
}

/// `event_id` → `calve.event-id`.
fn property_of(field: &str) -> String {
    format!("calve.{}", field.replace('_', "-"))
}

/// The property of a field, as an error names it.
fn static_key(field: &str) -> &'static str {
    match field {
        "columns" => "calve.columns",
        "time" => "calve.time",
        "event_id" => "calve.event-id",
        "event_type" => "calve.event-type",
        "unreadable_time" => "calve.unreadable-time",
        "assume_offset" => "calve.assume-offset",
        "earliest" => "calve.earliest",
        "latest_seconds" => "calve.latest-seconds",
        "conflict" => "calve.conflict",
        "doc" => "calve.doc",
        "max_depth" => "calve.max-depth",
        "max_columns" => "calve.max-columns",
        "max_new_columns" => "calve.max-new-columns",
        _ => "calve.max-event-bytes",
    }
}
