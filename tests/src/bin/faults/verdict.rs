//! Law 1: what was sent is in the table or in the quarantine, once.

use std::collections::{BTreeMap, BTreeSet};

use lake::Lake;
use pipeline::quarantine;
use system_tests::rebuild;

use crate::{
    events::{Sent, found_again},
    reader::Reader,
    servers::Result,
};

/// What one run ended with.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "all of it is counts")]
pub(crate) struct Verdict {
    /// Events that are nowhere.
    pub(crate) n_lost: usize,
    /// Rows and quarantined events beyond the first with the same source id and index: what `calve table dedupe` removes.
    pub(crate) n_repeated: usize,
    /// Events that are there more often than sent, not counting those.
    pub(crate) n_doubled: usize,
    /// Events that nobody sent.
    pub(crate) n_invented: usize,
    /// What the table went through.
    pub(crate) n_rows: usize,
    pub(crate) n_quarantined: usize,
    pub(crate) n_schemas: usize,
    pub(crate) n_expired: usize,
    pub(crate) n_merged: usize,
}

/// Counts everything.
pub(crate) async fn judge(
    lake: &Lake,
    table: &lake::Table,
    warehouse: &str,
    reader: &mut Reader,
    sent: &Sent,
) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sources = BTreeSet::new();
    let mut count = |verdict: &mut Verdict, what: String, source: Option<(String, i64)>| {
        if source.is_some_and(|source| !sources.insert(source)) {
            verdict.n_repeated += 1;
        } else {
            *seen.entry(what).or_default() += 1;
        }
    };

    let columns = columns(table);
    for row in reader.rows(table.metadata_location())? {
        verdict.n_rows += 1;
        let source = row["_source_id"].as_str().map(str::to_owned);
        let source = source.zip(row["_source_index"].as_i64());
        let event = rebuild(&row, &columns).ok_or("a row lacks what each row has")?;
        count(&mut verdict, event.to_string(), source);
    }
    for listed in lake
        .storage()
        .list(&format!("{warehouse}/quarantine"))
        .await?
    {
        let object = lake.storage().get(&listed.location).await?;
        for event in quarantine::read(&object)? {
            verdict.n_quarantined += 1;
            let source = event
                .source_index
                .map(|index| (event.source_id.clone(), index));
            count(&mut verdict, found_again(&event.payload()), source);
        }
    }

    for (event, n_sent) in &sent.expected {
        let n_seen = seen.remove(event).unwrap_or(0);
        verdict.n_lost += n_sent.saturating_sub(n_seen);
        verdict.n_doubled += n_seen.saturating_sub(*n_sent);
    }
    verdict.n_invented = seen.values().sum();
    let metadata = table.metadata();
    verdict.n_schemas = metadata.schemas_iter().count();
    let n_commits = usize::try_from(metadata.last_sequence_number()).unwrap_or(0);
    verdict.n_expired = n_commits.saturating_sub(metadata.snapshots().count());
    verdict.n_merged = n_commits.saturating_sub(n_manifests(table).await?);
    Ok(verdict)
}

/// The columns by name: pointer and type.
fn columns(table: &lake::Table) -> BTreeMap<String, (String, String)> {
    let columns = table.columns().into_iter();
    columns
        .filter_map(|column| {
            Some((
                column.name,
                (column.doc?, format!("{:?}", column.data_type)),
            ))
        })
        .collect()
}

/// How many manifests the current snapshot has: fewer than commits, once some were merged.
async fn n_manifests(table: &lake::Table) -> Result<usize> {
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Ok(0);
    };
    let list = table.storage().get(snapshot.manifest_list()).await?;
    let parsed =
        iceberg::spec::ManifestList::parse_with_version(&list, table.metadata().format_version())?;
    Ok(parsed.entries().len())
}

impl Verdict {
    /// Whether the law held. `is_exact`: nothing may be there twice even before `dedupe`.
    pub(crate) fn is_lawful(&self, is_exact: bool) -> bool {
        let n_doubled = if is_exact { self.n_repeated } else { 0 } + self.n_doubled;
        self.n_lost + n_doubled + self.n_invented == 0
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.n_lost += other.n_lost;
        self.n_repeated += other.n_repeated;
        self.n_doubled += other.n_doubled;
        self.n_invented += other.n_invented;
        self.n_rows += other.n_rows;
        self.n_quarantined += other.n_quarantined;
        self.n_schemas += other.n_schemas;
        self.n_expired += other.n_expired;
        self.n_merged += other.n_merged;
    }
}
