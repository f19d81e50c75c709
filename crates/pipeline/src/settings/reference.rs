//! Every key that a deployment may change, once: names, meanings, what would be right.

use std::fmt::Write as _;

use super::Settings;

/// How the text of an environment variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Taken as it is.
    Text,
    /// An integer.
    Number,
    /// `true` or `false`.
    Flag,
    /// Texts with commas between them, or a list as in `calve.toml`.
    List,
    /// An inline table as in `calve.toml`, or a JSON object.
    Map,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Its place in `calve.toml`, `.` between tables.
    pub(super) path: &'static str,
    /// How its environment variable is read.
    pub(super) kind: Kind,
    /// What would be right.
    pub(super) expected: &'static str,
    /// What it decides.
    pub(super) meaning: &'static str,
}

impl Key {
    /// The environment variable that overrides it: `table.name` → `CALVE_TABLE_NAME`.
    pub(super) fn variable(&self) -> String {
        format!("CALVE_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

/// The key of a setting, in one line each below.
const fn key(path: &'static str, kind: Kind, expected: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        expected,
        meaning,
    }
}

const SIZE: &str = "write a size like `128 MiB` or `134217728`";
const POINTERS: &str = "write RFC 6901 pointers like `/event_time,/ts`";
const FLAG: &str = "write `true` or `false`";

/// All settings, in the order of the reference table.
#[rustfmt::skip] // One key, one block: the table is read far more often than changed.
pub(super) const KEYS: [Key; 28] = [
    key("warehouse", Kind::Text, "write the path of a directory",
        "Directory of the embedded warehouse: catalog, data files, quarantine. Made when absent."),
    key("target_file_bytes", Kind::Text, SIZE,
        "Size to aim for in one Parquet file."),
    key("row_group_bytes", Kind::Text, SIZE,
        "Size at which a row group is closed, encoded; bounds the memory of writing."),
    key("zstd_level", Kind::Number, "write a number from 1 to 22",
        "Zstandard level of data files. Higher is smaller and slower."),
    key("max_payload_inflated_bytes", Kind::Text, SIZE,
        "Most that one payload may have after base64, gzip and zstd; each event counts as 64 bytes at least. A record beyond it by itself is quarantined; what no longer fits beside others is delivered again. `calve ingest` has limits of its own."),
    key("deadline_margin_ms", Kind::Number, "write milliseconds as a number",
        "Time kept free before the deadline of the invocation to answer, in milliseconds."),
    key("threads", Kind::Number, "write a number, 0 for all cores",
        "Threads that flatten. 0: one per core."),
    key("quarantine_prefix", Kind::Text, "write a relative path like `quarantine`",
        "Where the quarantine is, below the warehouse."),
    key("receipt_horizon_days", Kind::Number, "write days as a number from 1 to 365",
        "How long a repeated delivery is recognised, in days."),
    key("log_level", Kind::Text, "write `error`, `warn`, `info`, `debug` or `trace`",
        "How much is logged."),
    key("embedded_metrics", Kind::Flag, FLAG,
        "Whether each invocation also prints its facts as CloudWatch embedded metrics."),
    key("table.name", Kind::Text, "write a namespace and a name like `analytics.events`",
        "The table that events go to."),
    key("table.create", Kind::Flag, FLAG,
        "Whether the table is created when absent."),
    key("table.partitioning", Kind::List, "write terms like `day(event_time)` or `bucket(16, user_id)`",
        "Partitioning of the table when it is created."),
    key("table.shape.columns", Kind::Map, "write `{ \"/price\" = \"decimal(12,2)\" }`",
        "Types declared for paths: `boolean`, `long`, `double`, `string`, `timestamptz`, `date`, `decimal(p,s)`, `json`, `rescue`, `drop`, `sha256`."),
    key("table.shape.time", Kind::List, POINTERS,
        "Where the event time is, the first that is present and readable."),
    key("table.shape.event_id", Kind::List, POINTERS,
        "Where the event's id is, the first that is present."),
    key("table.shape.event_type", Kind::List, POINTERS,
        "Where the event's type is, the first that is present."),
    key("table.shape.unreadable_time", Kind::Text, "write `refuse` or `arrival`",
        "What becomes of an event whose time cannot be read."),
    key("table.shape.assume_offset", Kind::Text, "write `Z`, `+02:00` or `-05:30`",
        "Offset of times without one."),
    key("table.shape.earliest", Kind::Text, "write a time like `1990-01-01T00:00:00Z`",
        "Events before this are quarantined."),
    key("table.shape.latest_seconds", Kind::Number, "write seconds as a number",
        "Events this many seconds beyond their arrival are quarantined."),
    key("table.shape.conflict", Kind::Text, "write `rescue` or `sibling`",
        "Where a value goes that does not fit its column: to `_doc`, or to `<name>__<type>`."),
    key("table.shape.doc", Kind::Text, "write `left_over` or `full`",
        "What `_doc` holds: what has no column, or the whole event."),
    key("table.shape.max_depth", Kind::Number, "write a number from 1 to 127",
        "Paths of more keys get no column."),
    key("table.shape.max_columns", Kind::Number, "write a number from 6 to 10000",
        "Most columns of the table."),
    key("table.shape.max_new_columns", Kind::Number, "write a number from 0 to 10000",
        "Most columns that one batch adds."),
    key("table.shape.max_event_bytes", Kind::Number, "write a number of bytes",
        "Events longer than this many bytes are quarantined."),
];

/// The table of all settings in Markdown, as the README shows it.
pub fn reference() -> String {
    let defaults = Settings::default();
    let mut table =
        "| key | environment | default | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for value in defaults.values() {
        let default = if value.text.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", value.text)
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | `{}` | {default} | {} |",
            value.key, value.variable, value.meaning
        );
    }
    table
}
