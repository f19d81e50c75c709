//! `calve table`: the tables of a warehouse.

mod dedupe;
mod facts;

use std::collections::BTreeMap;

use pipeline::{Lake, Pipeline, Settings, Table, open_lake, open_lake_to_read, table_properties};
use serde::Serialize;

use self::facts::TableFacts;
use crate::args::TableCommand;
use crate::error::CliError;
use crate::printer::Printer;

/// Carries out one of the table commands.
pub(crate) async fn run(
    command: TableCommand,
    settings: &Settings,
    printer: Printer,
) -> Result<(), CliError> {
    match command {
        TableCommand::Show => show(settings, printer).await,
        TableCommand::Create => create(settings, printer).await,
        TableCommand::Configure => configure(settings, printer).await,
        TableCommand::List => list(settings, printer).await,
        TableCommand::Dedupe(arguments) => dedupe::run(arguments, settings, printer).await,
    }
}

async fn show(settings: &Settings, printer: Printer) -> Result<(), CliError> {
    let facts = TableFacts::of(&find(settings).await?)?;
    printer.result(&facts, &facts)
}

/// Makes the table as the first events would make it.
async fn create(settings: &Settings, printer: Printer) -> Result<(), CliError> {
    match find(settings).await {
        Ok(_) => {
            return Err(CliError::TableExists {
                table: settings.table.name.clone(),
            });
        }
        Err(CliError::NoTable { .. } | CliError::NoWarehouse { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut creating = settings.clone();
    creating.table.create = true;
    let opened = Pipeline::open(creating).await;
    opened.map_err(|source| CliError::OpenTable {
        table: settings.table.name.clone(),
        source: source.into(),
    })?;
    show(settings, printer).await
}

/// Writes the row shape of the settings to the table, and where its ledger goes on if they say so; tells what that changes.
async fn configure(settings: &Settings, printer: Printer) -> Result<(), CliError> {
    let table = find(settings).await?;
    let wanted = table_properties(settings, table.name());
    let changes: Vec<Change> = wanted
        .iter()
        .filter(|(property, value)| table.properties().get(*property) != Some(value))
        .map(|(property, value)| Change {
            property: property.clone(),
            before: table.properties().get(property).cloned(),
            after: value.clone(),
        })
        .collect();
    if !changes.is_empty() {
        let properties: BTreeMap<String, String> = changes
            .iter()
            .map(|change| (change.property.clone(), change.after.clone()))
            .collect();
        let failed = |source: pipeline::LakeError| CliError::Lake {
            operation: format!("configure the table `{}`", settings.table.name),
            source: source.into(),
        };
        let lake = open_lake(settings)
            .await
            .map_err(CliError::open_warehouse)?;
        let done = lake.set_properties(&table, &properties).await;
        done.map_err(failed)?;
    }
    let text = if changes.is_empty() {
        format!("`{}` has these properties already", settings.table.name)
    } else {
        let lines = changes.iter().map(
            |Change {
                 property,
                 before,
                 after,
             }| {
                format!("{property}: {} → {after}", before.as_deref().unwrap_or("–"))
            },
        );
        lines.collect::<Vec<_>>().join("\n")
    };
    printer.result(&text, &changes)
}

/// One property that `calve table configure` changed.
#[derive(Debug, Serialize)]
struct Change {
    property: String,
    before: Option<String>,
    after: String,
}

async fn list(settings: &Settings, printer: Printer) -> Result<(), CliError> {
    let operation = || format!("list the tables of `{}`", settings.warehouse);
    let tables = open(settings).await?.list_tables().await;
    let tables = tables.map_err(|source| CliError::Lake {
        operation: operation(),
        source: source.into(),
    })?;
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    printer.result(&names.join("\n"), &names)
}

/// The table that the settings name, without making anything.
pub(crate) async fn find(settings: &Settings) -> Result<Table, CliError> {
    let name = &settings.table.name;
    let operation = || format!("open the table `{name}`");
    let failed = |source: pipeline::LakeError| CliError::Lake {
        operation: operation(),
        source: source.into(),
    };
    let missing = || CliError::NoTable {
        table: name.clone(),
        warehouse: settings.warehouse.to_string(),
    };
    let parsed = name.parse().map_err(|_| missing())?; // The settings hold only names that can be read.
    open(settings)
        .await?
        .load_table(&parsed)
        .await
        .map_err(failed)?
        .ok_or_else(missing)
}

/// The warehouse, if there is one, to be looked at: that must not make it, and works where nothing may be written.
pub(crate) async fn open(settings: &Settings) -> Result<Lake, CliError> {
    let embedded = settings.warehouse.directory();
    let embedded = embedded.filter(|_| settings.catalog_uri.is_none());
    if embedded.is_some_and(|directory| !directory.join("catalog.db").exists()) {
        return Err(CliError::NoWarehouse {
            warehouse: settings.warehouse.to_string(),
        });
    }
    open_lake_to_read(settings)
        .await
        .map_err(CliError::open_warehouse)
}
