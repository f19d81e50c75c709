use std::future::Future;
use std::pin::pin;

use arrow_array::RecordBatch;
use futures::future::{BoxFuture, Either, select};
use futures::stream::{FuturesOrdered, StreamExt as _};

use crate::data_file::DataFile;
use crate::encode::{EncodedFile, Encoder, WriteOptions};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::part::split;
use crate::table::Table;
use crate::token::BatchId;

/// No further file is made while files of so many bytes are on their way: small ones, of which there are as many as days in
/// the payload, are stored side by side, and beside a large one that is made there are no more than these.
const MAX_STORING_BYTES: u64 = 8 << 20;

/// Nor while so many are on their way, whatever their size: each holds a connection.
const MAX_STORING: usize = 16;

impl Lake {
    /// Writes the rows as data files, durable when this returns, and visible to nobody until they are committed.
    ///
    /// Batches carry columns by name, in any order; a column of the table that a batch does not have is null. Files are made
    /// one after another, part after part, while those before are stored.
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
        let layout = table.layout()?;
        let mut storing = Storing::default();
        let n_rows = batches.iter().map(RecordBatch::num_rows).sum();
        let (whole, rows) = (table.clone(), batches.to_vec());
        // Where a panic ends as an error of this batch alone, and no other batch waits.
        let parts = computed(table, n_rows, move || split(&whole, &rows)).await??;
        for part in parts {
            let n_rows = part.n_rows();
            let path = part.key().path().to_owned();
            let (of, how) = (layout.clone(), options.clone());
            let encoder = computed(table, n_rows, move || Encoder::new(&part, &of, &how));
            let mut encoder = storing.meanwhile(encoder).await???;
            loop {
                let next = computed(table, n_rows, move || {
                    let next = encoder.next();
                    (next, encoder)
                });
                let (next, rest) = storing.meanwhile(next).await??;
                encoder = rest;
                let Some(file) = next.transpose()? else { break };
                let name = file_name(&path, batch, storing.n_files);
                storing.add(table, file, &name).await?;
            }
        }
        storing.finish().await
    }
}

/// Files that are being stored, and those that are.
#[derive(Default)]
struct Storing<'a> {
    /// The size of each, and what becomes of it.
    on_their_way: FuturesOrdered<BoxFuture<'a, (u64, Result<DataFile, LakeError>)>>,
    bytes: u64,
    n_files: usize,
    stored: Vec<DataFile>,
}

impl<'a> Storing<'a> {
    /// Begins to store a file, and waits until there is room for the next one.
    async fn add(
        &mut self,
        table: &'a Table,
        file: EncodedFile,
        name: &str,
    ) -> Result<(), LakeError> {
        let location = format!("{}/{name}", data_directory(table));
        let file_bytes = file.bytes.len() as u64;
        self.on_their_way.push_back(Box::pin(async move {
            (file_bytes, store(table, file, location).await)
        }));
        self.bytes += file_bytes;
        self.n_files += 1;
        while self.bytes >= MAX_STORING_BYTES || self.on_their_way.len() >= MAX_STORING {
            self.wait().await?;
        }
        Ok(())
    }

    /// Does the work, and stores meanwhile. A file that cannot be stored ends it.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, LakeError> {
        let mut work = pin!(work);
        while !self.on_their_way.is_empty() {
            match select(work.as_mut(), pin!(self.wait())).await {
                Either::Left((done, _)) => return Ok(done),
                Either::Right((stored, _)) => stored?,
            }
        }
        Ok(work.await)
    }

    /// Waits for the first of those that are on their way.
    async fn wait(&mut self) -> Result<(), LakeError> {
        if let Some((file_bytes, stored)) = self.on_their_way.next().await {
            self.bytes -= file_bytes;
            self.stored.push(stored?);
        }
        Ok(())
    }

    /// All files, in the order in which they were made, when all are stored.
    async fn finish(mut self) -> Result<Vec<DataFile>, LakeError> {
        while !self.on_their_way.is_empty() {
            self.wait().await?;
        }
        Ok(self.stored)
    }
}

async fn store(table: &Table, file: EncodedFile, location: String) -> Result<DataFile, LakeError> {
    let EncodedFile {
        bytes,
        mut data_file,
    } = file;
    data_file.location = location;
    // The name holds a random number of this invocation: a file that is there already is our own, sent twice.
    let put = table.storage().put_new(&data_file.location, bytes).await;
    put.map_err(|source| LakeError::StoreDataFile {
        table: table.name().clone(),
        n_rows: data_file.n_rows,
        source,
    })?;
    Ok(data_file)
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
