//! What there is to know about a table, from its metadata alone: no data file is opened.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use pipeline::{Shape, Table};
use serde::Serialize;

use crate::error::CliError;
use crate::printer::{count, size, thousands};

/// How many snapshots are told one by one, the newest first.
const MAX_SNAPSHOTS_TOLD: usize = 10;

/// All that `calve table show` says.
#[derive(Debug, Serialize)]
pub(super) struct TableFacts {
    table: String,
    uuid: String,
    location: String,
    metadata_location: String,
    n_rows: u64,
    n_data_files: u64,
    data_file_bytes: u64,
    columns: Vec<Column>,
    partitioning: Vec<String>,
    shape: Shape,
    properties: BTreeMap<String, String>,
    n_snapshots: usize,
    /// The newest first.
    snapshots: Vec<SnapshotFacts>,
}

/// One column.
#[derive(Debug, Serialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    required: bool,
    /// The RFC 6901 pointer of the values, or what another tool wrote there.
    source: Option<String>,
}

/// One snapshot.
#[derive(Debug, Serialize)]
struct SnapshotFacts {
    id: i64,
    committed_at: String,
    operation: String,
    n_rows_added: u64,
    n_data_files_added: u64,
    n_rows: u64,
}

impl TableFacts {
    /// Collects the facts.
    ///
    /// # Errors
    ///
    /// When the properties that say how events become rows cannot be read.
    pub(super) fn of(table: &Table) -> Result<Self, CliError> {
        let metadata = table.metadata();
        let name = table.name().to_string();
        let shape = Shape::from_properties(table.properties());
        let shape = shape.map_err(|source| CliError::Shape {
            table: name.clone(),
            source,
        })?;
        let schema = metadata.current_schema();
        let columns = schema.as_struct().fields().iter().map(|field| Column {
            name: field.name.clone(),
            data_type: field.field_type.to_string(),
            required: field.required,
            source: field.doc.clone(),
        });
        let partitioning = metadata
            .default_partition_spec()
            .fields()
            .iter()
            .map(|field| {
                let column = schema.name_by_field_id(field.source_id).unwrap_or("?");
                term(&field.transform.to_string(), column)
            });
        let totals = metadata
            .current_snapshot()
            .map(|snapshot| &snapshot.summary().additional_properties);
        let total = |key| totals.map_or(0, |totals| number(totals, key));
        let mut snapshots: Vec<_> = metadata.snapshots().collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
        let newest = snapshots.iter().take(MAX_SNAPSHOTS_TOLD).map(|snapshot| {
            let summary = snapshot.summary();
            let fact = |key| number(&summary.additional_properties, key);
            SnapshotFacts {
                id: snapshot.snapshot_id(),
                committed_at: instant(snapshot.timestamp_ms()),
                operation: summary.operation.as_str().to_owned(),
                n_rows_added: fact("added-records"),
                n_data_files_added: fact("added-data-files"),
                n_rows: fact("total-records"),
            }
        });
        Ok(Self {
            uuid: table.uuid().to_string(),
            location: table.location().to_owned(),
            metadata_location: table.metadata_location().to_owned(),
            n_rows: total("total-records"),
            n_data_files: total("total-data-files"),
            data_file_bytes: total("total-files-size"),
            columns: columns.collect(),
            partitioning: partitioning.collect(),
            shape,
            properties: table
                .properties()
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            n_snapshots: snapshots.len(),
            snapshots: newest.collect(),
            table: name,
        })
    }
}

/// `bucket[16]` over `user_id` as `calve.toml` spells it: `bucket(16, user_id)`.
fn term(transform: &str, column: &str) -> String {
    match transform
        .strip_suffix(']')
        .and_then(|transform| transform.split_once('['))
    {
        Some((name, width)) => format!("{name}({width}, {column})"),
        None => format!("{transform}({column})"),
    }
}

/// A number of a snapshot's summary; 0 when another tool left it out.
fn number(summary: &HashMap<String, String>, key: &str) -> u64 {
    summary
        .get(key)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

impl fmt::Display for TableFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, files) = (
            count(self.n_rows, "row"),
            count(self.n_data_files, "data file"),
        );
        writeln!(
            f,
            "{}: {rows} in {files}, {}",
            self.table,
            size(self.data_file_bytes)
        )?;
        writeln!(f, "  uuid      {}", self.uuid)?;
        writeln!(f, "  location  {}", self.location)?;
        writeln!(f, "  metadata  {}", self.metadata_location)?;
        let partitioning = if self.partitioning.is_empty() {
            "none".to_owned()
        } else {
            self.partitioning.join(", ")
        };
        writeln!(f, "\npartitioning\n  {partitioning}")?;

        writeln!(f, "\ncolumns ({})", self.columns.len())?;
        let widest = |text: fn(&Column) -> usize| self.columns.iter().map(text).max().unwrap_or(0);
        let (names, types) = (
            widest(|column| column.name.len()),
            widest(|column| column.data_type.len()),
        );
        for Column {
            name,
            data_type,
            required,
            source,
        } in &self.columns
        {
            let required = if *required { "required" } else { "" };
            let source = source.as_deref().unwrap_or("");
            let line = format!("  {name:names$}  {data_type:types$}  {required:8}  {source}");
            writeln!(f, "{}", line.trim_end())?;
        }

        writeln!(f, "\nhow events become rows")?;
        for (property, value) in self.shape.to_properties() {
            writeln!(f, "  {property:23}  {value}")?;
        }

        writeln!(f, "\nsnapshots ({})", thousands(self.n_snapshots as u64))?;
        for snapshot in &self.snapshots {
            let SnapshotFacts {
                id,
                committed_at,
                operation,
                n_rows_added,
                n_data_files_added,
                n_rows,
            } = snapshot;
            let added = format!(
                "+{} in {}",
                count(*n_rows_added, "row"),
                count(*n_data_files_added, "file")
            );
            writeln!(
                f,
                "  {id:<20} {committed_at:28} {operation:10} {added}, {} in all",
                thousands(*n_rows)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_terms_are_spelt_as_in_the_settings() {
        assert_eq!(term("day", "event_time"), "day(event_time)");
        assert_eq!(term("bucket[16]", "user_id"), "bucket(16, user_id)");
    }
}
