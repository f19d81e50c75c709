//! Receipts that could not be committed, back into the events of their data files.

use bytes::Bytes;
use flatten::Shape;
use lake::{RECEIPT_FORMAT, Receipt, Storage, StorageError, Token};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::rebuild::Rebuilder;
use crate::{
    MAX_BODY_BYTES, Pipeline, PipelineError, QuarantinedEvent, QuarantinedReceipt, Stored, inflate,
    open_table::OpenTable,
    receipts::{Carried, FetchError, fetch_object, open_message, read_object, receipts_root},
};

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Pipeline {
    /// The receipt that an object holds: as it was read when it was quarantined, or read now from the message as it was
    /// sent, which may need a later program, other settings, or an object that was missing.
    ///
    /// # Errors
    ///
    /// When it holds none that this program can read.
    pub(super) async fn quarantined_receipt(
        &self,
        stored: &Stored,
        object: &Bytes,
    ) -> Result<(Receipt, QuarantinedReceipt), PipelineError> {
        let kept = stored.receipt(object)?;
        let receipt = match (&kept.receipt, &kept.message) {
            (Some(json), _) => known_format(json.get()),
            (None, Some(message)) => self.receipt_of_message(message).await,
            (None, None) => Err("it holds neither a receipt nor a message".into()),
        };
        match receipt {
            Ok(receipt) => Ok((receipt, kept)),
            Err(source) => Err(unreadable(stored, source)),
        }
    }

    async fn receipt_of_message(&self, message: &str) -> Result<Receipt, Cause> {
        let object = match open_message(message)? {
            Carried::Object(object) => object,
            Carried::Location(location) => {
                let root = receipts_root(&self.settings, &self.root);
                let storage = self.lake.storage().as_ref();
                let fetched = fetch_object(storage, &root, location).await;
                fetched.map_err(|error| match error {
                    FetchError::Never(error) => Cause::from(error),
                    FetchError::NotNow(error) => Cause::from(error),
                })?
            }
        };
        let cap_bytes = self.settings.max_payload_inflated_bytes.len();
        let (receipt, _) = read_object(&object, cap_bytes)?;
        if receipt.table != self.name {
            return Err(format!("it is for the table `{}`", receipt.table).into());
        }
        Ok(receipt)
    }

    /// The events of the receipt's rows, each with the record and number that it had.
    pub(super) async fn rebuilt_events(
        &self,
        open: &OpenTable,
        stored: &Stored,
        (receipt, kept): &(Receipt, QuarantinedReceipt),
    ) -> Result<Vec<QuarantinedEvent>, PipelineError> {
        let storage = open.table.storage().as_ref();
        let failed = |source| unreadable(stored, source);
        let metadata = metadata_of(storage, open, receipt).await.map_err(failed)?;
        let then = shape_of(&metadata).map_err(failed)?;
        let mut events = Vec::new();
        for file in &receipt.data_files {
            let object = storage.get(&file.location).await;
            let object = object.map_err(|source| failed(source.into()))?;
            let (metadata, then, now) = (metadata.clone(), then.clone(), open.shape.clone());
            let (kind, reason) = (kept.kind.clone(), kept.reason.clone());
            let work = move || -> Result<Vec<QuarantinedEvent>, Cause> {
                let rows = rebuilt(object, &metadata, &then, &now)?;
                let event = |row: super::rebuild::Rebuilt| {
                    let place = (row.source_id, row.source_index);
                    QuarantinedEvent::of_row(place, row.arrival_us, row.event, &kind, &reason)
                };
                Ok(rows.into_iter().map(event).collect())
            };
            let rebuilt = self.cpu.run(work).await.ok_or(PipelineError::Internal {
                stage: "rebuilding events",
                n: usize::try_from(file.n_rows).unwrap_or(usize::MAX),
            })?;
            events.extend(rebuilt.map_err(failed)?);
        }
        Ok(events)
    }
}

/// The receipt of this JSON, if this program knows its format.
fn known_format(json: &str) -> Result<Receipt, Cause> {
    let receipt: Receipt = serde_json::from_str(json)?;
    if receipt.format > RECEIPT_FORMAT {
        let (found, known) = (receipt.format, RECEIPT_FORMAT);
        let found = format!("it has format {found}, and this program knows formats up to {known}");
        return Err(found.into());
    }
    Ok(receipt)
}

/// What makes a receipt recognisable in this table: its own token in the table that it was for, so that the receipt itself is
/// known from then on, should its message come again.
pub(super) fn token_of(open: &OpenTable, receipt: &Receipt) -> Token {
    let uuid = open.table.uuid();
    if uuid == receipt.table_uuid {
        receipt.token
    } else {
        Token::new(uuid, "receipt", receipt.token.as_bytes())
    }
}

fn unreadable(stored: &Stored, source: Cause) -> PipelineError {
    PipelineError::ReadQuarantine {
        location: stored.location.clone(),
        source,
    }
}

fn rebuilt(
    object: Bytes,
    metadata: &Value,
    then: &Shape,
    now: &Shape,
) -> Result<Vec<super::rebuild::Rebuilt>, Cause> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(object)?;
    let columns = builder.schema().fields().iter().map(|field| {
        let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
        let id = id.and_then(|id| id.parse::<i64>().ok());
        let found = id.and_then(|id| field_of(metadata, id));
        let found = found.ok_or_else(|| {
            format!(
                "no schema of the table says where column `{}` comes from",
                field.name()
            )
        })?;
        let doc = found["doc"].as_str().map(str::to_owned);
        Ok((field.name().clone(), doc))
    });
    let columns: Vec<_> = columns.collect::<Result<_, Cause>>()?;
    let rebuilder = Rebuilder::new(&columns, then, now);
    let mut rows = Vec::new();
    for batch in builder.build()? {
        rows.extend(rebuilder.rebuild(&batch?)?);
    }
    Ok(rows)
}

/// The field of this id in any schema of the table: ids are never used again.
fn field_of(metadata: &Value, id: i64) -> Option<&Value> {
    let schemas = metadata["schemas"].as_array()?.iter().rev();
    let mut fields = schemas
        .filter_map(|schema| schema["fields"].as_array())
        .flatten();
    fields.find(|field| field["id"].as_i64() == Some(id))
}

fn shape_of(metadata: &Value) -> Result<Shape, Cause> {
    let mut properties = std::collections::BTreeMap::new();
    if let Some(found) = metadata["properties"].as_object() {
        for (key, value) in found {
            properties.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(Shape::from_properties(&properties)?)
}

/// The metadata of the table that the receipt was for: of the one that is open, or of one that was dropped, whose metadata lies
/// beside its data files.
async fn metadata_of(
    storage: &dyn Storage,
    open: &OpenTable,
    receipt: &Receipt,
) -> Result<Value, Cause> {
    if open.table.uuid() == receipt.table_uuid {
        return Ok(serde_json::to_value(open.table.metadata())?);
    }
    let uuid = receipt.table_uuid.to_string();
    let ids = || receipt.columns.keys().map(|id| i64::from(*id));
    let location = receipt
        .data_files
        .first()
        .map(|file| file.location.as_str());
    let location = location.unwrap_or_default();
    for (end, _) in location.rmatch_indices("/data/") {
        let listed = storage
            .list(&format!("{}/metadata", &location[..end]))
            .await?;
        let files = listed.iter().rev();
        for file in files.filter(|file| file.location.ends_with(".metadata.json")) {
            let object = match storage.get(&file.location).await {
                Err(StorageError::NotFound { .. }) => continue,
                object => inflate(&object?, false, MAX_BODY_BYTES)?,
            };
            let metadata: Value = serde_json::from_slice(&object)?;
            let is_its = metadata["table-uuid"].as_str() == Some(&uuid);
            if is_its && ids().all(|id| field_of(&metadata, id).is_some()) {
                return Ok(metadata);
            }
        }
    }
    Err(format!("the metadata of its table `{uuid}` is not beside its data files").into())
}
