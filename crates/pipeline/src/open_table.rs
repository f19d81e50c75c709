//! The table that events go to, with everything made from its schema and properties once.

use std::collections::{BTreeMap, BTreeSet};

use flatten::{Column, DeclaredType, Flattener, NewColumn, Pointer, Schema, Shape};
use lake::{
    ColumnDefinition, LEDGER_PATH_PROPERTY, Lake, LakeError, PartitionTerm, SchemaChange, Table,
    TableDefinition, TableName, Token, WriteOptions,
};

use crate::{
    Payload, PipelineError, Record, Settings, cpu::Cpu, settings::SettingsError, steps::failed,
};

/// The property of tables that routes made: the default table of those routes.
const ROUTED_BY: &str = "calve.routed-by";

/// A column name longer than this many bytes is not given, whoever asks.
const MAX_NAME_BYTES: usize = 128;

/// A table ready to take events.
#[derive(Debug)]
pub(crate) struct OpenTable {
    pub(crate) table: Table,
    pub(crate) flattener: Flattener,
    pub(crate) shape: Shape,
    pub(crate) write_options: WriteOptions,
}

impl OpenTable {
    /// What names these records of a payload, whenever they are delivered.
    pub(crate) fn token<'a>(
        &self,
        payload: &Payload,
        taken: impl IntoIterator<Item = &'a Record>,
    ) -> Token {
        let source = &payload.source;
        let identity = source.identity_of(taken.into_iter());
        Token::new(self.table.uuid(), source.kind, &identity)
    }

    /// Loads the table, creating it as needed.
    pub(crate) async fn load(
        lake: &Lake,
        name: &TableName,
        settings: &Settings,
    ) -> Result<Table, PipelineError> {
        let failed = |operation| move |source: LakeError| failed(name, operation, source);
        let no_table = || PipelineError::NoTable {
            table: name.to_string(),
        };
        if let Some(table) = lake.load_table(name).await.map_err(failed("load"))? {
            return Ok(table);
        }
        if !settings.table.create {
            return Err(no_table());
        }
        let mut definition = table_definition(settings, name)?;
        if *name != settings.table_name()? {
            let default = settings.table.name.clone();
            definition.properties.insert(ROUTED_BY.to_owned(), default);
        }
        match lake.create_table(name, &definition).await {
            Ok(table) => Ok(table),
            // Another writer was faster: theirs is ours.
            Err(LakeError::TableExists { .. }) => {
                let loaded = lake.load_table(name).await.map_err(failed("load"))?;
                loaded.ok_or_else(no_table)
            }
            Err(error) => Err(failed("create")(error)),
        }
    }

    /// Prepares a loaded table, adding system columns as needed.
    pub(crate) async fn ready(
        lake: &Lake,
        table: Table,
        settings: &Settings,
        cpu: &Cpu,
    ) -> Result<Self, PipelineError> {
        let missing = missing_system_columns(&table);
        if missing.is_empty() {
            return Self::new(table, settings, cpu);
        }
        let change = lake.add_columns(&table, &missing).await;
        let change = change.map_err(|source| failed(table.name(), "add columns to", source))?;
        let (SchemaChange::Added(table) | SchemaChange::Raced(table)) = change;
        Self::new(table, settings, cpu)
    }

    /// Prepares a loaded table.
    pub(crate) fn new(table: Table, settings: &Settings, cpu: &Cpu) -> Result<Self, PipelineError> {
        let name = || table.name().to_string();
        let shape =
            Shape::from_properties(table.properties()).map_err(|source| PipelineError::Shape {
                table: name(),
                source,
            })?;
        let schema = Schema {
            columns: columns(&table),
            reserved: table.partition_names(),
        };
        let write_options = write_options(&schema.columns, &shape, settings, cpu);
        let flattener =
            Flattener::new(schema, shape.clone()).map_err(|source| PipelineError::Schema {
                table: name(),
                source,
            })?;
        Ok(Self {
            table,
            flattener,
            shape,
            write_options,
        })
    }
}

impl OpenTable {
    /// The same for events that were rows before: what the shape hashes is hashed in them already.
    pub(crate) fn for_rebuilt(&self) -> Result<Self, PipelineError> {
        let mut shape = self.shape.clone();
        for declared in shape.columns.values_mut() {
            if *declared == DeclaredType::Sha256 {
                *declared = DeclaredType::String;
            }
        }
        let schema = Schema {
            columns: columns(&self.table),
            reserved: self.table.partition_names(),
        };
        let flattener = Flattener::new(schema, shape).map_err(|source| PipelineError::Schema {
            table: self.table.name().to_string(),
            source,
        })?;
        Ok(Self {
            table: self.table.clone(),
            flattener,
            shape: self.shape.clone(),
            write_options: self.write_options.clone(),
        })
    }
}

/// The properties that the settings give a table of this name: its shape, and where its ledger is kept if they say so.
///
/// Segments of ledgers have names of their own, so that tables could share a place. Each has a directory there
/// nevertheless: whoever looks after a dropped table sees what was its.
pub fn table_properties(settings: &Settings, name: &TableName) -> BTreeMap<String, String> {
    let mut properties = settings.table.shape.to_properties();
    if let Some(root) = settings.ledgers_root() {
        properties.insert(LEDGER_PATH_PROPERTY.to_owned(), format!("{root}/{name}"));
    }
    properties
}

/// What a table is created as: system columns, declared columns, partitioning, and its properties.
fn table_definition(
    settings: &Settings,
    name: &TableName,
) -> Result<TableDefinition, SettingsError> {
    let terms = settings.table.partitioning.iter().map(|text| {
        text.parse::<PartitionTerm>()
            .map_err(|error| SettingsError::Value {
                name: "table.partitioning".to_owned(),
                value: text.clone(),
                expected: error.to_string(),
            })
    });
    let partitioning: Vec<PartitionTerm> = terms.collect::<Result<_, _>>()?;
    // A column may have the name of its own identity, and of no other partition field.
    let fields = partitioning
        .iter()
        .filter(|term| term.field_name() != term.column());
    let reserved: Vec<String> = fields.map(PartitionTerm::field_name).collect();
    let mut columns: Vec<ColumnDefinition> = Schema::of_system_columns()
        .columns
        .into_iter()
        .map(definition)
        .collect();
    let mut names: BTreeSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    for (text, declared) in &settings.table.shape.columns {
        let (Some(pointer), Some(data_type)) = (Pointer::parse(text), declared.data_type()) else {
            continue;
        };
        let name = pointer.column_name(&reserved);
        // Of two paths that meet in one name the first has it, as when events bring them.
        if name.len() <= MAX_NAME_BYTES && names.insert(name.clone()) {
            columns.push(ColumnDefinition {
                name,
                doc: Some(text.clone()),
                data_type,
                required: false,
            });
        }
    }
    Ok(TableDefinition {
        columns,
        partitioning,
        properties: table_properties(settings, name),
    })
}

/// Whether the routes of this default table made the table.
pub(crate) fn is_routed_by(table: &Table, default: &TableName) -> bool {
    table.properties().get(ROUTED_BY) == Some(&default.to_string())
}

/// The columns to add before the rows of a batch can be written.
pub(crate) fn new_columns(columns: &[NewColumn]) -> Vec<ColumnDefinition> {
    let definition = |column: &NewColumn| ColumnDefinition {
        name: column.name.clone(),
        doc: Some(column.pointer.clone()),
        data_type: column.data_type.clone(),
        required: false,
    };
    columns.iter().map(definition).collect()
}

/// The system columns that a table of another tool lacks. They are optional: its rows have no values for them.
fn missing_system_columns(table: &Table) -> Vec<ColumnDefinition> {
    let there = columns(table);
    let is_missing = |column: &Column| {
        !there
            .iter()
            .any(|other| other.name.eq_ignore_ascii_case(&column.name))
    };
    let missing = Schema::of_system_columns()
        .columns
        .into_iter()
        .filter(is_missing);
    missing
        .map(|column| ColumnDefinition {
            required: false,
            ..definition(column)
        })
        .collect()
}

fn definition(column: Column) -> ColumnDefinition {
    let Column {
        name,
        doc,
        data_type,
        required,
    } = column;
    ColumnDefinition {
        name,
        doc,
        data_type,
        required,
    }
}

fn columns(table: &Table) -> Vec<Column> {
    let column = |column: ColumnDefinition| {
        let ColumnDefinition {
            name,
            doc,
            data_type,
            required,
        } = column;
        Column {
            name,
            doc,
            data_type,
            required,
        }
    };
    table.columns().into_iter().map(column).collect()
}

/// How data files are written: sizes by the settings, bloom filter and bounds by what the shape calls id and type.
fn write_options(
    columns: &[Column],
    shape: &Shape,
    settings: &Settings,
    cpu: &Cpu,
) -> WriteOptions {
    let id = column_of(columns, &shape.event_id);
    let kind = column_of(columns, &shape.event_type);
    let first = [
        Some(flatten::system::EVENT_TIME.to_owned()),
        id.clone(),
        kind,
    ];
    WriteOptions {
        target_file_bytes: settings.target_file_bytes.bytes(),
        row_group_bytes: settings.row_group_bytes.bytes(),
        zstd_level: settings.zstd_level,
        delta_encodings: settings.delta_encodings,
        bloom_column: id,
        bounded_columns: first.into_iter().flatten().collect(),
        threads: Some(cpu.pool()),
        ..WriteOptions::default()
    }
}

/// The column of the first pointer that has one.
fn column_of(columns: &[Column], pointers: &[String]) -> Option<String> {
    let owner = |pointer: &String| {
        let by_doc = columns
            .iter()
            .find(|column| column.doc.as_ref() == Some(pointer));
        let by_name = || {
            columns
                .iter()
                .find(|column| column.doc.is_none() && pointer[1..] == column.name)
        };
        by_doc.or_else(by_name)
    };
    pointers
        .iter()
        .find_map(owner)
        .map(|column| column.name.clone())
}
