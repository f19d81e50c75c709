//! The columns of a table as a file, for processes of their own.

use arrow_schema::DataType;
use flatten::{Column, Schema, system};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A column that a path owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathColumn {
    /// Its name.
    pub name: String,
    /// Its path, as an RFC 6901 pointer.
    pub pointer: String,
    /// `boolean`, `long`, `double`, `string`; for the peer also `timestamptz` and `json`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl PathColumn {
    /// The columns of the table that paths own.
    ///
    /// # Errors
    ///
    /// When one has a type that flattening never chooses by itself.
    pub fn all_of(columns: &[Column]) -> Result<Vec<Self>> {
        columns
            .iter()
            .filter(|column| !system::NAMES.contains(&column.name.as_str()))
            .map(|column| {
                let kind = match column.data_type {
                    DataType::Boolean => "boolean",
                    DataType::Int64 => "long",
                    DataType::Float64 => "double",
                    DataType::Utf8 => "string",
                    ref other => return Err(format!("column `{}` is {other}", column.name).into()),
                };
                Ok(Self {
                    name: column.name.clone(),
                    pointer: column.doc.clone().unwrap_or_default(),
                    kind: kind.to_owned(),
                })
            })
            .collect()
    }

    /// The schema of a table with these columns behind the system columns.
    pub fn schema_with(columns: &[Self]) -> Schema {
        let mut schema = Schema::of_system_columns();
        schema.columns.extend(columns.iter().map(|column| Column {
            name: column.name.clone(),
            doc: Some(column.pointer.clone()),
            data_type: match column.kind.as_str() {
                "boolean" => DataType::Boolean,
                "long" => DataType::Int64,
                "double" => DataType::Float64,
                _ => DataType::Utf8,
            },
            required: false,
        }));
        schema
    }
}
