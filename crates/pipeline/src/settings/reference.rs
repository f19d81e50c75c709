//! Every key that a deployment may change, once: names, meanings, what would be right.

use std::fmt::Write as _;

use super::Settings;

/// How the text of an environment variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Taken as it is.
    Text,
    /// Taken as it is, and never printed.
    Secret,
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
const URL: &str = "write a URL that begins with `https://` or `http://`";
const FLAG: &str = "write `true` or `false`";

/// All settings, in the order of the reference table.
#[rustfmt::skip] // One key, one block: the table is read far more often than changed.
pub(super) const KEYS: [Key; 53] = [
    key("warehouse", Kind::Text, "write the path of a directory, or `s3://bucket/prefix`",
        "Where tables, quarantine and large receipts are: a directory, made when absent, or `s3://bucket/prefix`."),
    key("catalog_uri", Kind::Text, URL,
        "The Iceberg REST catalog. None: a SQLite file in the warehouse, which has to be a directory then."),
    key("catalog_auth", Kind::Text, "write `none`, `bearer`, `oauth2` or `sigv4`",
        "How the catalog is told who asks: `none`, `bearer` (`catalog_token`), `oauth2` (`catalog_credential`), or `sigv4` (AWS credentials; for Glue and S3 Tables)."),
    key("catalog_token", Kind::Secret, "write the token",
        "The bearer token. Never printed."),
    key("catalog_credential", Kind::Secret, "write the client's id and secret with a `:` between them",
        "Client id and secret of `oauth2`, as `id:secret`. Never printed."),
    key("catalog_scope", Kind::Text, "write a scope like `catalog` or `PRINCIPAL_ROLE:ALL`",
        "The scope asked for with `oauth2`."),
    key("catalog_oauth2_uri", Kind::Text, URL,
        "Where tokens are fetched with `oauth2`. None: `v1/oauth/tokens` of the catalog."),
    key("catalog_warehouse", Kind::Text, "write the name that the catalog gave it",
        "What the catalog calls the warehouse: a name, a location, an ARN of S3 Tables."),
    key("catalog_vended_credentials", Kind::Flag, FLAG,
        "Whether the catalog is asked for the credentials of each table's objects. Quarantine and large receipts are written with the function's own."),
    key("catalog_signing_name", Kind::Text, "write `glue`, `s3tables` or `execute-api`",
        "The service that requests are signed for with `sigv4`."),
    key("catalog_signing_region", Kind::Text, "write a region like `eu-west-1`",
        "The region that they are signed for. None: that of the environment."),
    key("s3_endpoint", Kind::Text, URL,
        "What speaks S3, when it is not AWS."),
    key("s3_region", Kind::Text, "write a region like `eu-west-1`",
        "The region of the buckets. None: that of the environment."),
    key("s3_path_style", Kind::Flag, FLAG,
        "Whether the bucket stands in the path of a request, as most stores other than AWS want it."),
    key("source_buckets", Kind::List, "write buckets or prefixes like `clicks, exports/json`, none of which holds or lies in the warehouse",
        "Buckets, or `bucket/prefix`, whose objects are read when a notification of S3 tells of them. Never the warehouse's own place."),
    key("mode", Kind::Text, "write `direct` or `staged`",
        "Who commits: `direct`, each ingest invocation by itself; `staged`, the commit function, which gets receipts through a queue."),
    key("receipt_queue_url", Kind::Text, "write the URL of a standard SQS queue like `https://sqs.eu-west-1.amazonaws.com/123456789012/receipts`",
        "The standard SQS queue that receipts are sent to in `staged` mode."),
    key("receipt_bucket_prefix", Kind::Text, "write a relative path like `receipts`, or `s3://bucket/prefix`",
        "Where receipts go that are too large for a message: below the warehouse, or at `s3://bucket/prefix`. The same for ingest and commit."),
    key("sqs_endpoint", Kind::Text, URL,
        "What speaks SQS, when it is not AWS."),
    key("commit_timeout_ms", Kind::Number, "write milliseconds as a number, at least 1",
        "How long the commit function works on one table in one invocation, in milliseconds; what is not known to be committed then is delivered again."),
    key("target_file_bytes", Kind::Text, SIZE,
        "Size to aim for in one Parquet file."),
    key("row_group_bytes", Kind::Text, SIZE,
        "Size at which a row group is closed, encoded; bounds the memory of writing."),
    key("zstd_level", Kind::Number, "write a number from 1 to 22",
        "Zstandard level of data files. Higher is smaller and slower."),
    key("delta_encodings", Kind::Flag, FLAG,
        "Whether integers and texts that hardly repeat are written as `DELTA_BINARY_PACKED` and `DELTA_LENGTH_BYTE_ARRAY`: smaller files, for readers that know them. Spark does since Iceberg 1.11; before, its vectorized reader refuses such files. Without it files have plain and dictionary pages, which every reader knows."),
    key("max_payload_inflated_bytes", Kind::Text, SIZE,
        "Most that one payload may have after base64, gzip and zstd; each event counts as 64 bytes at least. By default `ingest` on Lambda takes no more than a quarter of its memory. A record beyond it by itself is quarantined; what no longer fits beside others is delivered again. `calve ingest` has limits of its own."),
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
    key("table.ledger_path", Kind::Text, "write a relative path like `ledgers`, or `s3://bucket/prefix` when the warehouse is in S3",
        "Where tables keep their ledgers that are created, each in a directory of its name: below the warehouse, or at `s3://bucket/prefix`. None: beside each table's metadata, where S3 Tables would remove it."),
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
    key("routes.field", Kind::Text, "write the name of a key like `event_type`, or an RFC 6901 pointer like `/meta/type`",
        "Where an event says what it is, as text. None: all events go to one table."),
    key("routes.tables", Kind::List, "write names of tables without their namespace, like `clicks, orders`",
        "Tables beside `table.name` that events go to whose value becomes their name. Made when absent, if `table.create` is set."),
    key("routes.to", Kind::Map, "write names of tables without their namespace, like `{ page_view = \"views\" }`",
        "For values of the field the tables, beside `table.name`, that their events go to. Made when absent, if `table.create` is set."),
    key("routes.max_tables", Kind::Number, "write a number from 0 to 10000",
        "Other values make tables of their own while the namespace holds fewer tables than this, all counted. 0: none; their events go to `table.name`."),
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
