//! Arrow batches into Iceberg tables: parts, data files, snapshots; catalogs and storage.
//!
//! ```text
//! RecordBatch ─▶ split ─▶ Part ─▶ encode ─▶ Parquet bytes ─▶ Storage::put_new ─▶ DataFile
//!                                                                                  │
//!                        Catalog::commit ◀─ one snapshot ◀─ ledger ◀─ Receipt ◀────┘
//! ```
//!
//! A [`Lake`] is a [`Catalog`] and a [`Storage`]. Rows are written with [`Lake::write`], which makes nothing
//! visible, and become visible with [`Lake::commit`], which may be repeated as often as one likes: a token in the
//! table's ledger says which receipts are in the table already.
//!
//! Nothing here reads a clock or a setting: the time and the seed are arguments. Names of new objects hold a random UUID.

mod access;
mod backoff;
mod bounds;
mod catalog;
mod column;
mod commit;
mod compatible;
mod data_file;
mod dedupe;
mod encode;
mod encoding;
mod error;
mod facts;
mod group;
mod judge;
mod lake;
mod layout;
mod ledger;
mod live;
mod local;
mod manifests;
mod merge;
mod metadata;
mod name;
mod outdated;
mod overlap;
mod part;
mod partition;
mod range;
mod receipt;
mod recent;
mod references;
mod rest;
mod retype;
mod rewrite;
mod s3;
mod s3_error;
mod s3_location;
mod s3_options;
mod s3_put;
mod s3_version;
mod schema;
mod snapshot;
mod sqlite;
mod storage;
mod table;
mod token;
mod work;
mod write;

pub use access::StorageAccess;
pub use backoff::Backoff;
pub use catalog::{Catalog, CatalogError, CommitError, Committed, NewTable, TableState};
pub use commit::{CommitOptions, CommitReport, ReceiptOutcome};
pub use data_file::{ColumnFacts, DataFile};
pub use dedupe::{DedupeOptions, DedupeReport, RepeatKey};
pub use encode::{EncodedFile, Encoder, WriteOptions, encode};
pub use error::{Disposition, LakeError};
pub use lake::{Lake, SchemaChange};
pub use layout::FileLayout;
pub use ledger::LEDGER_PATH_PROPERTY;
pub use local::LocalStorage;
pub use name::{InvalidTableName, TableName};
pub use part::{Part, PartitionKey, split};
pub use partition::{InvalidPartitionTerm, PartitionTerm};
pub use range::{InvalidSequenceNumber, RangeSet, SequenceNumber};
pub use receipt::{RECEIPT_FORMAT, Receipt, ReceiptSource, SourceRecords};
pub use rest::{
    ClientCredentials, Clock, RestAuth, RestCatalog, RestError, RestOptions, Secret, SigV4,
    SigV4Service,
};
pub use s3::S3Storage;
pub use s3_error::S3Error;
pub use s3_options::{S3Credentials, S3Keys, S3Options};
pub use s3_version::{ObjectPart, ObjectPartError, ObjectVersion};
pub use schema::{ColumnDefinition, TableDefinition};
pub use sqlite::{DEFAULT_CATALOG_NAME, SqliteCatalog};
pub use storage::{Listed, Put, Storage, StorageError};
pub use table::Table;
pub use token::{BatchId, Token};
