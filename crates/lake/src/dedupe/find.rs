use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{ManifestEntryRef, PrimitiveLiteral};
use sha2::{Digest as _, Sha256};

use super::DedupeOptions;
use super::keys::{Keys, read_keys};
use crate::error::LakeError;
use crate::table::Table;

/// A data file whose rows are compared.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) entry: ManifestEntryRef,
    pub(super) spec_id: i32,
}

impl Candidate {
    pub(super) fn location(&self) -> &str {
        self.entry.file_path()
    }

    pub(super) fn n_rows(&self) -> u64 {
        self.entry.data_file().record_count()
    }

    /// Spec and partition values, for counting.
    pub(super) fn partition(&self) -> String {
        format!("{} {:?}", self.spec_id, self.entry.data_file().partition())
    }
}

/// The rows to leave out: for each candidate that has any, their places in the file, rising.
pub(super) type Repeated = BTreeMap<usize, Vec<u32>>;

/// What stays of the rows with one key, as far as they were read.
#[derive(Debug)]
struct First {
    ingested_us: i64,
    /// Only needed to tell rows that were ingested at the same time.
    source: Option<(Box<str>, i64)>,
    candidate: u32,
    row: u32,
}

impl First {
    /// Rows are read in the order of the files, so that of equals the earlier one is there already.
    fn is_after(&self, ingested_us: i64, source: Option<(&str, i64)>) -> bool {
        let own = self.source.as_ref().map(|(id, index)| (&**id, *index));
        (ingested_us, source) < (self.ingested_us, own)
    }
}

/// Finds all rows but the first of each key.
///
/// Keys are kept as 128 bits of their SHA-256. When there are more rows than `max_keys` the files are read several times, each time for the keys
/// of one part of all hashes: memory is bounded, and equal keys meet whatever files they are in.
pub(super) async fn repeated_rows(
    table: &Table,
    candidates: &[Candidate],
    options: &DedupeOptions,
) -> Result<Repeated, LakeError> {
    let n_rows: u64 = candidates.iter().map(Candidate::n_rows).sum();
    let n_passes = n_rows.div_ceil(options.max_keys.max(1)).max(1);
    // Nobody may be able to make two keys meet: a row would be gone.
    let hash = |key: &[u8]| {
        let mut first = [0; 16];
        first.copy_from_slice(&Sha256::digest(key)[..16]);
        u128::from_le_bytes(first)
    };
    let mut repeated = Repeated::new();
    for pass in 0..n_passes {
        let mut firsts: HashMap<u128, First> = HashMap::new();
        for (number, candidate) in (0_u32..).zip(candidates) {
            let read = read_keys(table, candidate.location(), &options.key).await?;
            let Some(batches) = read else { continue };
            let mut row = 0;
            for keys in &batches {
                compare(keys, number, row, &mut firsts, &mut repeated, |key| {
                    let hash = hash(key);
                    (hash % u128::from(n_passes) == u128::from(pass)).then_some(hash)
                });
                row += u32::try_from(keys.n_rows()).unwrap_or(u32::MAX);
            }
        }
    }
    for rows in repeated.values_mut() {
        rows.sort_unstable();
    }
    Ok(repeated)
}

fn compare(
    keys: &Keys,
    candidate: u32,
    first_row: u32,
    firsts: &mut HashMap<u128, First>,
    repeated: &mut Repeated,
    hash: impl Fn(&[u8]) -> Option<u128>,
) {
    let mut key = Vec::new();
    for at in 0..keys.n_rows() {
        key.clear();
        if !keys.write_key(at, &mut key) {
            continue;
        }
        let Some(hash) = hash(&key) else { continue };
        let row = first_row + u32::try_from(at).unwrap_or(u32::MAX);
        let (ingested_us, source) = keys.order(at);
        let this = First {
            ingested_us,
            source: source.map(|(id, index)| (id.into(), index)),
            candidate,
            row,
        };
        let mut left_out = (candidate, row);
        match firsts.entry(hash) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(this);
                continue;
            }
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                if entry.get().is_after(ingested_us, source) {
                    let before = entry.insert(this);
                    left_out = (before.candidate, before.row);
                }
            }
        }
        let rows = repeated.entry(left_out.0 as usize).or_default();
        rows.push(left_out.1);
    }
}

/// Whether the file may hold rows of the chosen time, by the bounds of `event_time`; one without bounds may.
pub(super) fn is_within(table: &Table, entry: &ManifestEntryRef, options: &DedupeOptions) -> bool {
    let Some(field) = table.schema().field_by_name("event_time") else {
        return true;
    };
    let file = entry.data_file();
    let micros = |bounds: &HashMap<i32, iceberg::spec::Datum>| {
        let bound = bounds.get(&field.id)?;
        match bound.literal() {
            PrimitiveLiteral::Long(micros) => Some(*micros),
            _ => None,
        }
    };
    let is_after = |since| micros(file.upper_bounds()).is_none_or(|upper| upper >= since);
    let is_before = |until| micros(file.lower_bounds()).is_none_or(|lower| lower < until);
    options.since_us.is_none_or(is_after) && options.until_us.is_none_or(is_before)
}
