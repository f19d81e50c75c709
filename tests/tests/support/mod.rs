//! A warehouse of one test, the two engines that read it, and the way back from a row to its event.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use system_tests::{canonical, rebuild};

/// A warehouse that goes away with the test, and the `calve` command to fill it with.
pub(crate) struct Warehouse {
    directory: TempDir,
    root: String,
    table: String,
}

/// What an engine saw.
#[derive(Debug, Deserialize)]
pub(crate) struct Read {
    pub(crate) n_rows: usize,
    pub(crate) n_distinct: Option<usize>,
    pub(crate) columns: Vec<String>,
    #[serde(default)]
    pub(crate) by_day: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) by_type: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) days: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) lines: Vec<String>,
}

impl Warehouse {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory
            .path()
            .join("warehouse")
            .to_str()
            .unwrap()
            .to_owned();
        Self {
            directory,
            root,
            table: "analytics.events".to_owned(),
        }
    }

    /// The same warehouse, looked at through another table.
    pub(crate) fn with_table(self, table: &str) -> Self {
        Self {
            table: table.to_owned(),
            ..self
        }
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// Writes a file to ingest.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Ingests files and gives the summary.
    #[track_caller]
    pub(crate) fn ingest(&self, files: &[PathBuf]) -> Value {
        let mut arguments = vec!["ingest", "--table", &self.table, "--output", "json"];
        arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
        serde_json::from_str(&self.calve(&arguments)).unwrap()
    }

    /// Runs the `calve` command, which the workspace build has put beside the tests.
    #[track_caller]
    pub(crate) fn calve(&self, arguments: &[&str]) -> String {
        run(Command::new(program_path("calve"))
            .args(arguments)
            .args(["--warehouse", &self.root])
            .current_dir(&self.directory))
    }

    /// What one engine sees, with the rows and files of these days.
    #[track_caller]
    pub(crate) fn read(&self, engine: &str, days: &[&str]) -> Read {
        let mut arguments = vec![engine, &self.root, &self.table, "--lines"];
        if self.table == "analytics.events" && !days.is_empty() {
            arguments.extend(days.iter().flat_map(|day| ["--day", day]));
        }
        serde_json::from_str(&python(&arguments)).unwrap()
    }

    /// What both engines see.
    #[track_caller]
    pub(crate) fn read_with_both(&self) -> (Read, Read) {
        (self.read("duckdb", &[]), self.read("pyiceberg", &[]))
    }

    /// The source path and the type of each column; one without a pointer is the top-level key of its name.
    #[track_caller]
    pub(crate) fn columns(&self) -> BTreeMap<String, (String, String)> {
        let facts = self.calve(&["table", "show", "--table", &self.table, "--output", "json"]);
        let facts: Value = serde_json::from_str(&facts).unwrap();
        columns_of(&facts)
    }
}

/// The source path and the type of each column, of what `calve table show` tells.
pub(crate) fn columns_of(facts: &Value) -> BTreeMap<String, (String, String)> {
    let columns = facts["columns"].as_array().unwrap().iter().map(|column| {
        let name = column["name"].as_str().unwrap().to_owned();
        let pointer = column["source"].as_str();
        let pointer = pointer.map_or_else(|| format!("/{name}"), str::to_owned);
        (name, (pointer, column["type"].as_str().unwrap().to_owned()))
    });
    columns.collect()
}

/// A program that the workspace build has put beside the tests.
#[track_caller]
pub(crate) fn program_path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join(name);
    assert!(
        program.exists(),
        "`{}` is missing: run `cargo build --workspace` with the profile of the tests, or ./scripts/test.sh",
        program.display()
    );
    program
}

/// Runs the script that reads tables with the other engines.
#[track_caller]
pub(crate) fn python(arguments: &[&str]) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("../.venv/bin/python");
    assert!(
        python.exists(),
        "`{}` is missing: run ./scripts/venv.sh",
        python.display()
    );
    run(Command::new(python)
        .arg(here.join("readers/readers.py"))
        .args(arguments))
}

/// A file of this repository.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The file that a row came from, and its number in it.
pub(crate) fn source_of(row: &Value) -> (PathBuf, usize) {
    let file = row["_source_id"]
        .as_str()
        .unwrap()
        .rsplit_once('@')
        .unwrap()
        .0;
    let index = row["_source_index"].as_u64().unwrap();
    (PathBuf::from(file), usize::try_from(index).unwrap())
}

/// The events of a file, `Null` for what is not JSON.
pub(crate) fn events_of(path: &Path) -> Vec<Value> {
    let bytes = std::fs::read(path).unwrap();
    let text = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => std::io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])).unwrap(),
        Some("zst") => String::from_utf8(zstd::bulk::decompress(&bytes, 1 << 24).unwrap()).unwrap(),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    };
    if let Ok(Value::Array(events)) = serde_json::from_str(&text) {
        return events;
    }
    let lines = text.split('\n').filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_default())
        .collect()
}

/// The bytes as gzip.
pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// The bytes as zstd.
pub(crate) fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).unwrap()
}

#[track_caller]
fn run(command: &mut Command) -> String {
    // Settings of whoever runs the tests are none of theirs.
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("CALVE_")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}
