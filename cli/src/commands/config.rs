//! `calve config`: what the settings are and whether they can work.

use std::fmt;
use std::io;
use std::path::Path;

use pipeline::{
    Lake, Settings,
    settings::{Mode, SettingValue},
};
use serde::Serialize;

use crate::args::Common;
use crate::commands::table;
use crate::error::CliError;
use crate::printer::Printer;

/// Prints the table of all settings in Markdown.
pub(crate) fn reference(printer: Printer) -> Result<(), CliError> {
    printer.result(
        &pipeline::settings::reference(),
        &Settings::default().values(),
    )
}

/// Prints every setting, where it came from, and whether each location that they name can be used.
///
/// # Errors
///
/// When one cannot, after everything was printed.
pub(crate) async fn check(
    settings: &Settings,
    common: &Common,
    printer: Printer,
) -> Result<(), CliError> {
    let locations = locations(settings, common).await;
    let settings = settings
        .values()
        .into_iter()
        .map(|value| Line::new(value, common))
        .collect();
    let report = CheckReport {
        settings,
        locations,
    };
    printer.result(&report, &report)?;
    let n_unreachable = report
        .locations
        .iter()
        .filter(|location| location.problem.is_some())
        .count();
    if n_unreachable > 0 {
        return Err(CliError::Unreachable {
            n_unreachable,
            n_locations: report.locations.len(),
        });
    }
    Ok(())
}

/// All that `calve config check` says.
#[derive(Debug, Serialize)]
struct CheckReport {
    settings: Vec<Line>,
    locations: Vec<Location>,
}

/// One setting.
#[derive(Debug, Serialize)]
struct Line {
    key: &'static str,
    value: String,
    from: String,
}

impl Line {
    fn new(value: SettingValue, common: &Common) -> Self {
        let from = match value.key {
            "warehouse" if common.warehouse.is_some() => "--warehouse".to_owned(),
            "table.name" if common.table.is_some() => "--table".to_owned(),
            _ => value.source.to_string(),
        };
        Self {
            key: value.key,
            value: value.text,
            from,
        }
    }
}

/// One place that the settings name.
#[derive(Debug, Serialize)]
struct Location {
    what: &'static str,
    path: String,
    /// What is there.
    state: String,
    /// Why it cannot be used.
    problem: Option<String>,
}

/// Where everything is: the settings file, the warehouse, the quarantine, the ledgers, the queue of receipts, the tables.
async fn locations(settings: &Settings, common: &Common) -> Vec<Location> {
    let mut locations = Vec::new();
    if let Some(path) = &common.config {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        locations.push(Location {
            what: "settings file",
            path: path.display().to_string(),
            state: "read".to_owned(),
            problem: None,
        });
    }
    let catalog = if let Some(directory) = settings.warehouse.directory() {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let quarantine = directory.join(&settings.quarantine_prefix);
        let catalog = directory.join("catalog.db").display().to_string();
        locations.push(self::directory("warehouse", &directory));
        locations.push(self::directory("quarantine", &quarantine));
        if let Some(path) = &settings.table.ledger_path {
            locations.push(self::directory("ledgers", &directory.join(path)));
        }
        catalog
    } else {
        locations.push(bucket("warehouse", settings.warehouse.to_string(), settings).await);
        if let Some(root) = settings.ledgers_root() {
            locations.push(bucket("ledgers", root, settings).await);
        }
        String::new()
    };
    if settings.mode == Mode::Staged {
        locations.push(queue(settings).await);
    }
    let catalog = settings.catalog_uri.clone().unwrap_or(catalog);
    locations.push(table_at(settings, &catalog).await);
    // Names that cannot be read were refused when the settings were.
    for name in settings.routed_tables().unwrap_or_default() {
        let mut routed = settings.clone();
        routed.table.name = name.to_string();
        locations.push(table_at(&routed, &catalog).await);
    }
    locations
}

/// The table of the settings. Looks for it.
async fn table_at(settings: &Settings, catalog: &str) -> Location {
    let (state, problem) = match table::find(settings).await {
        Ok(table) => (
            format!("`{}` is at {}", settings.table.name, table.location()),
            None,
        ),
        Err(CliError::NoWarehouse { .. } | CliError::NoTable { .. }) => {
            let made = if settings.table.create {
                "made by the first events"
            } else {
                "not to be made"
            };
            let problem = (!settings.table.create).then(|| "`table.create` is false".to_owned());
            (
                format!("`{}` is not there yet, {made}", settings.table.name),
                problem,
            )
        }
        Err(error) => (
            format!("`{}` cannot be read", settings.table.name),
            Some(chain(&error)),
        ),
    };
    Location {
        what: "table",
        path: catalog.to_owned(),
        state,
        problem,
    }
}

/// A place in a bucket to write to. Tries it.
async fn bucket(what: &'static str, path: String, settings: &Settings) -> Location {
    let tried = match table::open(settings).await {
        Ok(lake) => try_to_put(&lake, &path).await,
        Err(error) => Err(chain(&error)),
    };
    Location {
        what,
        path,
        state: "writable".to_owned(),
        problem: tried.err(),
    }
}

/// Writes an object and takes it away again.
async fn try_to_put(lake: &Lake, root: &str) -> Result<(), String> {
    let probe = format!("{root}/.calve-check-{}", std::process::id());
    let chain = pipeline::telemetry::error_chain;
    let put = lake.storage().put_new(&probe, "calve".into()).await;
    put.map_err(|error| chain(&error))?;
    let deleted = lake.storage().delete(&probe).await;
    deleted.map_err(|error| chain(&error))
}

/// The queue of receipts. Asks it.
async fn queue(settings: &Settings) -> Location {
    let asked = pipeline::check_queue(settings).await;
    Location {
        what: "receipt queue",
        path: settings.receipt_queue_url.clone().unwrap_or_default(),
        state: "answers".to_owned(),
        problem: asked
            .err()
            .map(|error| pipeline::telemetry::error_chain(&error)),
    }
}

/// A directory to write in, or one that can be made. Tries it where it is there.
fn directory(what: &'static str, path: &Path) -> Location {
    let (state, tried) = if path.exists() {
        ("writable", try_to_write(path))
    } else {
        let nearest = path
            .ancestors()
            .find(|ancestor| ancestor.exists())
            .unwrap_or(Path::new("/"));
        ("not there yet, made when needed", try_to_write(nearest))
    };
    match tried {
        Ok(()) => Location {
            what,
            path: path.display().to_string(),
            state: state.to_owned(),
            problem: None,
        },
        Err(error) => Location {
            what,
            path: path.display().to_string(),
            state: "not writable".to_owned(),
            problem: Some(error.to_string()),
        },
    }
}

/// Writes a file and takes it away again: rights, full disks and files in the place of directories all show.
fn try_to_write(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".calve-check-{}", std::process::id()));
    std::fs::write(&probe, b"calve config check")?;
    std::fs::remove_file(&probe)
}

/// An error and its causes in one line.
fn chain(error: &CliError) -> String {
    pipeline::telemetry::error_chain(error)
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Line) -> &str| {
            self.settings
                .iter()
                .map(|line| text(line).chars().count())
                .max()
                .unwrap_or(0)
                .min(40)
        };
        let (keys, values) = (width(|line| line.key), width(|line| &line.value));
        for Line { key, value, from } in &self.settings {
            let value = if value.is_empty() { "–" } else { value };
            writeln!(f, "{key:keys$}  {value:values$}  {from}")?;
        }
        writeln!(f)?;
        for Location {
            what,
            path,
            state,
            problem,
        } in &self.locations
        {
            let mark = if problem.is_some() { "FAILS" } else { "ok" };
            writeln!(f, "{mark:5}  {what:13}  {path}")?;
            writeln!(f, "       {:13}  {}", "", problem.as_ref().unwrap_or(state))?;
        }
        Ok(())
    }
}
