//! Who may import whom. A missing pair is a decision, not an oversight; see `ARCHITECTURE.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each package may import of ours, in every kind of dependency. `None`: everything.
const ALLOWED: &[(&str, Option<&[&str]>)] = &[
    ("flatten", Some(&[])),
    ("lake", Some(&[])),
    ("generator", Some(&[])),
    ("pipeline", Some(&["flatten", "lake"])),
    ("commit", Some(&["pipeline"])),
    ("ingest", Some(&["pipeline"])),
    ("calve", Some(&["pipeline"])),
    ("system-tests", None),
    ("benches", None),
    ("rust_peers", Some(&[])),
];

/// What `flatten` may never know: it is pure and synchronous.
const NOT_IN_FLATTEN: &[&str] = &[
    "iceberg", "jiff", "parquet", "reqwest", "rusqlite", "tokio", "tracing",
];

/// One package of the workspace as its manifest describes it.
struct Package {
    name: String,
    folder: String,
    imports: BTreeSet<String>,
}

#[test]
fn packages_import_only_what_lies_downstream_of_the_data() {
    let packages = workspace_packages();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let allowed: BTreeMap<&str, Option<&[&str]>> = ALLOWED.iter().copied().collect();
    for Package { name, imports, .. } in &packages {
        let may_import = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("`{name}` is missing in the import table"));
        for import in imports
            .iter()
            .filter(|import| ours.contains(import.as_str()))
        {
            let fine = may_import.is_none_or(|names| names.contains(&import.as_str()));
            assert!(fine, "`{name}` must not import `{import}`");
        }
    }
}

#[test]
fn the_import_table_names_every_package_once() {
    let named: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let unique: BTreeSet<&str> = named.iter().copied().collect();
    let packages = workspace_packages();
    let existing: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(named.len(), unique.len());
    assert_eq!(unique, existing);
}

#[test]
fn only_functions_know_lambda() {
    for Package {
        name,
        folder,
        imports,
    } in workspace_packages()
    {
        let is_function = folder.starts_with("functions/");
        for import in imports.iter().filter(|import| import.contains("lambda")) {
            assert!(
                is_function,
                "`{name}` must not import `{import}`: it is no function"
            );
        }
        assert!(
            !is_function || imports.contains("lambda_runtime"),
            "`{name}` is no function"
        );
    }
}

#[test]
fn flatten_knows_no_storage_no_clock_and_no_runtime() {
    let packages = workspace_packages();
    let flatten = packages
        .iter()
        .find(|package| package.name == "flatten")
        .unwrap();
    for name in NOT_IN_FLATTEN {
        assert!(
            !flatten.imports.contains(*name),
            "`flatten` must not import `{name}`"
        );
    }
}

/// Every package of the workspace, with its dependencies of all kinds under their own names.
fn workspace_packages() -> Vec<Package> {
    let root = format!("{}/..", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let workspace_root = metadata["workspace_root"].as_str().unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| package_from(package, workspace_root))
        .collect()
}

fn package_from(package: &serde_json::Value, workspace_root: &str) -> Package {
    let manifest = package["manifest_path"].as_str().unwrap();
    let dependencies = package["dependencies"].as_array().unwrap();
    Package {
        name: package["name"].as_str().unwrap().to_owned(),
        folder: manifest
            .strip_prefix(workspace_root)
            .unwrap()
            .trim_start_matches('/')
            .to_owned(),
        imports: dependencies
            .iter()
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .collect(),
    }
}
