//! Law 1: what was sent is in the table or in the quarantine, once.

use std::collections::{BTreeMap, BTreeSet};

use lake::{Lake, TableName};
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
    /// Events that are there more often than sent, not counting those that repeat source id and index.
    pub(crate) n_doubled: usize,
    /// Events that nobody sent.
    pub(crate) n_invented: usize,
    /// Rows beyond the first with the same source id and index.
    pub(crate) n_repeated_rows: usize,
    /// The same of quarantined events, and of events that are in both.
    pub(crate) n_repeated_in_quarantine: usize,
    /// Rows that `dedupe` removed.
    pub(crate) n_removed: usize,
    // What the table went through.
    pub(crate) n_rows: usize,
    pub(crate) n_quarantined: usize,
    pub(crate) n_schemas: usize,
    pub(crate) n_expired: usize,
    pub(crate) n_merged: usize,
}

/// An event as it was found: what it says, and its record with its number in it.
type Found = (String, Option<(String, i64)>);

/// Where one run ended.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) name: TableName,
    pub(crate) warehouse: &'a str,
    pub(crate) sent: &'a Sent,
}

impl End<'_> {
    /// Reads table and quarantine and counts everything.
    pub(crate) async fn judge(&self, reader: &mut Reader) -> Result<Verdict> {
        let table = self.lake.load_table(&self.name).await?;
        let table = table.ok_or("the table is gone")?;
        let rows = rows(&table, reader)?;
        let quarantined = self.quarantined().await?;
        let mut verdict = count(&self.sent.expected, rows, quarantined);
        let metadata = table.metadata();
        verdict.n_schemas = metadata.schemas_iter().count();
        let n_commits = usize::try_from(metadata.last_sequence_number())?;
        verdict.n_expired = n_commits.saturating_sub(metadata.snapshots().count());
        verdict.n_merged = n_commits.saturating_sub(n_manifests(&table).await?);
        Ok(verdict)
    }

    async fn quarantined(&self) -> Result<Vec<Found>> {
        let storage = self.lake.storage();
        let mut found = Vec::new();
        for listed in storage
            .list(&format!("{}/quarantine", self.warehouse))
            .await?
        {
            for event in quarantine::read(&storage.get(&listed.location).await?)? {
                let what = found_again(&event.payload());
                let index = event.source_index;
                found.push((what, index.map(|index| (event.source_id, index))));
            }
        }
        Ok(found)
    }
}

/// The events that DuckDB's rows are.
fn rows(table: &lake::Table, reader: &mut Reader) -> Result<Vec<Found>> {
    let columns: BTreeMap<String, (String, String)> = table
        .columns()
        .into_iter()
        .filter_map(|column| Some((column.name, (column.doc?, column.data_type.to_string()))))
        .collect();
    let mut found = Vec::new();
    for row in reader.rows(table.metadata_location())? {
        let event = rebuild(&row, &columns).ok_or("a row lacks what each row has")?;
        let source = row["_source_id"].as_str().map(str::to_owned);
        let source = source.zip(row["_source_index"].as_i64());
        found.push((event.to_string(), source));
    }
    Ok(found)
}

/// Compares what was found with how often each event was sent.
fn count(sent: &BTreeMap<String, usize>, rows: Vec<Found>, quarantined: Vec<Found>) -> Verdict {
    let mut verdict = Verdict {
        n_rows: rows.len(),
        n_quarantined: quarantined.len(),
        ..Verdict::default()
    };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sources = BTreeSet::new();
    let mut is_new = |(event, source): Found| {
        let is_new = source.is_none_or(|source| sources.insert(source));
        if is_new {
            *seen.entry(event).or_default() += 1;
        }
        is_new
    };
    verdict.n_repeated_rows = rows.into_iter().map(&mut is_new).filter(|new| !new).count();
    let in_quarantine = quarantined.into_iter().map(&mut is_new);
    verdict.n_repeated_in_quarantine = in_quarantine.filter(|new| !new).count();
    for (event, n_sent) in sent {
        let n_seen = seen.remove(event).unwrap_or(0);
        verdict.n_lost += n_sent.saturating_sub(n_seen);
        verdict.n_doubled += n_seen.saturating_sub(*n_sent);
    }
    verdict.n_invented = seen.into_values().sum();
    verdict
}

/// How many manifests the current snapshot has: fewer than commits, once some were merged.
async fn n_manifests(table: &lake::Table) -> Result<usize> {
    let metadata = table.metadata();
    let Some(snapshot) = metadata.current_snapshot() else {
        return Ok(0);
    };
    let list = table.storage().get(snapshot.manifest_list()).await?;
    let version = metadata.format_version();
    let parsed = iceberg::spec::ManifestList::parse_with_version(&list, version)?;
    Ok(parsed.entries().len())
}

impl Verdict {
    /// Whether the law held: nothing lost, no row doubled. `is_exact`: nor was anything quarantined twice.
    pub(crate) fn is_lawful(&self, is_exact: bool) -> bool {
        let in_quarantine = if is_exact {
            self.n_repeated_in_quarantine
        } else {
            0
        };
        self.n_lost + self.doubled() + in_quarantine == 0
    }

    /// Rows and events that are there too often.
    pub(crate) fn doubled(&self) -> usize {
        self.n_doubled + self.n_invented + self.n_repeated_rows
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.n_lost += other.n_lost;
        self.n_doubled += other.n_doubled;
        self.n_invented += other.n_invented;
        self.n_repeated_rows += other.n_repeated_rows;
        self.n_repeated_in_quarantine += other.n_repeated_in_quarantine;
        self.n_removed += other.n_removed;
        self.n_rows += other.n_rows;
        self.n_quarantined += other.n_quarantined;
        self.n_schemas += other.n_schemas;
        self.n_expired += other.n_expired;
        self.n_merged += other.n_merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(event: &str, record: &str, index: i64) -> Found {
        (event.to_owned(), Some((record.to_owned(), index)))
    }

    /// Lost, doubled, invented, repeated rows, repeated in the quarantine.
    #[track_caller]
    fn check(rows: &[Found], quarantined: &[Found], expected: [usize; 5]) {
        let sent = BTreeMap::from([
            ("a".to_owned(), 1),
            ("b".to_owned(), 2),
            ("c".to_owned(), 1),
        ]);
        let seen = count(&sent, rows.to_vec(), quarantined.to_vec());
        let counts = [
            seen.n_lost,
            seen.n_doubled,
            seen.n_invented,
            seen.n_repeated_rows,
            seen.n_repeated_in_quarantine,
        ];
        assert_eq!(counts, expected, "{rows:?} {quarantined:?}");
        let is_lawful = expected[..4] == [0; 4];
        assert_eq!(seen.is_lawful(false), is_lawful);
        assert_eq!(seen.is_lawful(true), is_lawful && expected[4] == 0);
    }

    #[test]
    fn what_is_missing_or_there_too_often_is_counted() {
        let whole = [found("a", "1", 0), found("b", "1", 1), found("b", "2", 0)];
        let refused = [found("c", "2", 1)];
        check(&whole, &refused, [0, 0, 0, 0, 0]);
        check(&whole[1..], &refused, [1, 0, 0, 0, 0]);
        check(&whole[..2], &refused, [1, 0, 0, 0, 0]);
        check(&whole, &[], [1, 0, 0, 0, 0]);
        check(
            &[&whole[..], &[found("a", "3", 0)]].concat(),
            &refused,
            [0, 1, 0, 0, 0],
        );
        check(
            &[&whole[..], &[found("x", "3", 0)]].concat(),
            &refused,
            [0, 0, 1, 0, 0],
        );
        check(
            &[&whole[..], &whole[..1]].concat(),
            &refused,
            [0, 0, 0, 1, 0],
        );
        check(
            &whole,
            &[&refused[..], &refused[..]].concat(),
            [0, 0, 0, 0, 1],
        );
        check(
            &whole,
            &[&refused[..], &whole[..1]].concat(),
            [0, 0, 0, 0, 1],
        );
        // The same place with something else in it does not make up for what was sent.
        check(
            &[&whole[1..], &[found("x", "1", 0)]].concat(),
            &refused,
            [1, 0, 1, 0, 0],
        );
    }
}
