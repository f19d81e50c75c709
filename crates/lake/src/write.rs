use arrow_array::RecordBatch;

use crate::data_file::DataFile;
use crate::encode::{EncodedFile, Encoder, WriteOptions};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::layout::FileLayout;
use crate::part::split;
use crate::table::Table;
use crate::token::BatchId;

impl Lake {
    /// Writes the rows as data files, durable when this returns, and visible to nobody until they are committed.
    ///
    /// Batches carry columns by name, in any order; a column of the table that a batch does not have is null. The files of
    /// one part are made one after another, and part after part, so that no more than one file is in memory.
    ///
    /// # Errors
    ///
    /// [`LakeError::Column`] and [`LakeError::Encode`] for rows that do not fit, [`LakeError::StoreDataFile`] naming the file.
    /// Files that were written before stay, and belong to nobody.
    pub async fn write(
        &self,
        table: &Table,
        batches: &[RecordBatch],
        batch: &BatchId,
        options: &WriteOptions,
    ) -> Result<Vec<DataFile>, LakeError> {
        let layout = FileLayout::new(table)?;
        let mut data_files = Vec::new();
        let n_rows = batches.iter().map(RecordBatch::num_rows).sum();
        let (whole, rows) = (table.clone(), batches.to_vec());
        // Where a panic ends as an error of this batch alone, and no other batch waits.
        let parts = computed(table, n_rows, move || split(&whole, &rows)).await??;
        for part in parts {
            let n_rows = part.n_rows();
            let path = part.key().path().to_owned();
            let (of, how) = (layout.clone(), options.clone());
            let mut encoder =
                computed(table, n_rows, move || Encoder::new(&part, &of, &how)).await??;
            loop {
                let (next, rest) = computed(table, n_rows, move || {
                    let next = encoder.next();
                    (next, encoder)
                })
                .await?;
                encoder = rest;
                let Some(file) = next.transpose()? else { break };
                let name = file_name(&path, batch, data_files.len());
                data_files.push(self.store(table, file, &name).await?);
            }
        }
        Ok(data_files)
    }

    async fn store(
        &self,
        table: &Table,
        file: EncodedFile,
        name: &str,
    ) -> Result<DataFile, LakeError> {
        let EncodedFile {
            bytes,
            mut data_file,
        } = file;
        data_file.location = format!("{}/{name}", data_directory(table));
        // The name holds a random number of this invocation: a file that is there already is our own, sent twice.
        let put = table.storage().put_new(&data_file.location, bytes).await;
        put.map_err(|source| LakeError::StoreDataFile {
            table: table.name().clone(),
            n_rows: data_file.n_rows,
            source,
        })?;
        Ok(data_file)
    }
}

/// Computes where it does not keep others waiting. A panic is an error.
pub(crate) async fn computed<T: Send + 'static>(
    table: &Table,
    n_rows: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LakeError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| LakeError::Encode {
            table: table.name().clone(),
            n_rows,
            source: source.into(),
        })
}

/// `<partition>/<token>-<attempt>-<n>.parquet`
fn file_name(partition: &str, batch: &BatchId, n: usize) -> String {
    let slash = if partition.is_empty() { "" } else { "/" };
    format!(
        "{partition}{slash}{}-{:016x}-{n}.parquet",
        batch.token, batch.attempt
    )
}

fn data_directory(table: &Table) -> String {
    match table.properties().get("write.data.path") {
        Some(path) => path.trim_end_matches('/').to_owned(),
        None => format!("{}/data", table.location()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Disposition;
    use crate::lake::Lake;
    use crate::schema::TableDefinition;

    #[tokio::test]
    async fn a_panic_is_an_error_that_names_the_table() {
        let directory = tempfile::tempdir().unwrap();
        let lake = Lake::embedded(directory.path()).unwrap();
        let name = "t.events".parse().unwrap();
        let made = lake.create_table(&name, &TableDefinition::default()).await;
        let table = made.unwrap();
        let error = computed(&table, 7, || assert_eq!(1, 2)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot encode 7 rows of table `t.events` as Parquet"
        );
        assert_eq!(error.disposition(), Disposition::Fatal);
        assert_eq!(computed(&table, 7, || 1).await.unwrap(), 1);
    }
}
