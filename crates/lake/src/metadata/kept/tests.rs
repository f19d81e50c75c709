use std::collections::HashMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use iceberg::spec::{
    NestedField, NullOrder, Operation, PartitionStatisticsFile, PrimitiveType, Schema, Snapshot,
    SnapshotReference, SnapshotRetention, SortDirection, SortField, SortOrder, StatisticsFile,
    Summary, TableMetadataBuilder, Transform, Type, UnboundPartitionSpec,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::local::LocalStorage;

const LOCATION: &str = "file:///w/t/metadata/00001-a.metadata.json";

/// What somebody does to a table. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Append,
    Tag(u8),
    Branch(u8),
    Forget,
    ForgetMain,
    Expire(u8),
    Property(String, String),
    NoProperty(u8),
    Column,
    OlderColumns,
    NoSchema(u8),
    Partitioning,
    Order,
    Location,
    Statistics,
    NoStatistics,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Append),
        2 => any::<u8>().prop_map(Step::Tag),
        2 => any::<u8>().prop_map(Step::Branch),
        2 => Just(Step::Forget),
        1 => Just(Step::ForgetMain),
        4 => any::<u8>().prop_map(Step::Expire),
        2 => ("[a-c\"\\\\\n]{1,2}", "\\PC{0,8}").prop_map(|(key, value)| Step::Property(key, value)),
        1 => any::<u8>().prop_map(Step::NoProperty),
        2 => Just(Step::Column),
        1 => Just(Step::OlderColumns),
        1 => any::<u8>().prop_map(Step::NoSchema),
        2 => Just(Step::Partitioning),
        1 => Just(Step::Order),
        1 => Just(Step::Location),
        2 => Just(Step::Statistics),
        1 => Just(Step::NoStatistics),
    ]
}

/// The updates of the step on this table; none when there is nothing to do it to.
fn updates(step: &Step, kept: &KeptMetadata, n: i64) -> Vec<TableUpdate> {
    let metadata = kept.metadata.as_ref();
    let ids = in_turn(metadata.snapshots().map(|snapshot| snapshot.snapshot_id()));
    let refer = |ref_name: &str, snapshot_id, retention| TableUpdate::SetSnapshotRef {
        ref_name: ref_name.to_owned(),
        reference: SnapshotReference::new(snapshot_id, retention),
    };
    let forget = |ref_name: &str| TableUpdate::RemoveSnapshotRef {
        ref_name: ref_name.to_owned(),
    };
    let current = metadata.current_snapshot_id();
    let update = match step {
        Step::Append => {
            let snapshot = snapshot(metadata, n);
            let main = refer("main", n, SnapshotRetention::branch(Some(3), None, None));
            return vec![TableUpdate::AddSnapshot { snapshot }, main];
        }
        Step::Tag(number) => {
            let tag = SnapshotRetention::Tag {
                max_ref_age_ms: Some(7),
            };
            chosen(&ids, *number).map(|id| refer(&format!("tag \"{}\"", n % 3), id, tag))
        }
        Step::Branch(number) => {
            let branch = SnapshotRetention::branch(None, Some(5), None);
            chosen(&ids, *number).map(|id| refer("audit", id, branch))
        }
        Step::Forget => Some(forget("tag \"1\"")),
        Step::ForgetMain => current.map(|_| forget("main")),
        Step::Expire(number) => {
            let unnamed = |id: &i64| kept.references.at_one_of(&[*id]).is_none();
            let expired = chosen(&ids, *number).filter(unnamed);
            Some(TableUpdate::RemoveSnapshots {
                snapshot_ids: expired.into_iter().collect(),
            })
        }
        Step::Property(key, value) => Some(TableUpdate::SetProperties {
            updates: HashMap::from([(key.clone(), value.clone())]),
        }),
        Step::NoProperty(number) => {
            let keys = in_turn(metadata.properties().keys().cloned());
            chosen(&keys, *number).map(|key| TableUpdate::RemoveProperties {
                removals: vec![key],
            })
        }
        Step::Column => {
            let schema = schema(metadata.last_column_id() + 1);
            let add = TableUpdate::AddSchema { schema };
            return vec![add, TableUpdate::SetCurrentSchema { schema_id: -1 }];
        }
        Step::OlderColumns => Some(TableUpdate::SetCurrentSchema { schema_id: 0 })
            .filter(|_| metadata.schema_by_id(0).is_some()),
        Step::NoSchema(number) => {
            let schemas = in_turn(metadata.schemas_iter().map(|schema| schema.schema_id()));
            let outdated =
                chosen(&schemas, *number).filter(|id| *id != metadata.current_schema_id());
            outdated.map(|id| TableUpdate::RemoveSchemas {
                schema_ids: vec![id],
            })
        }
        Step::Partitioning => {
            let buckets = Transform::Bucket(u32::try_from(n).unwrap());
            let spec = UnboundPartitionSpec::builder().add_partition_field(
                1,
                format!("part_{n}"),
                buckets,
            );
            let add = TableUpdate::AddSpec {
                spec: spec.unwrap().build(),
            };
            return vec![add, TableUpdate::SetDefaultSpec { spec_id: -1 }];
        }
        Step::Order => {
            let field = SortField::builder()
                .source_id(1)
                .transform(Transform::Identity)
                .direction(SortDirection::Descending)
                .null_order(NullOrder::Last)
                .build();
            let order = SortOrder::builder().with_sort_field(field).build_unbound();
            let add = TableUpdate::AddSortOrder {
                sort_order: order.unwrap(),
            };
            return vec![add, TableUpdate::SetDefaultSortOrder { sort_order_id: -1 }];
        }
        Step::Location => Some(TableUpdate::SetLocation {
            location: format!("file:///w/t{n}"),
        }),
        Step::Statistics => return current.map(statistics).unwrap_or_default(),
        Step::NoStatistics => {
            current.map(|snapshot_id| TableUpdate::RemoveStatistics { snapshot_id })
        }
    };
    update.into_iter().collect()
}

fn in_turn<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort();
    items
}

fn chosen<T: Clone>(items: &[T], number: u8) -> Option<T> {
    items.get(usize::from(number) % items.len().max(1)).cloned()
}

fn statistics(snapshot_id: i64) -> Vec<TableUpdate> {
    let statistics_path = "file:///w/t/metadata/s.puffin".to_owned();
    vec![
        TableUpdate::SetStatistics {
            statistics: StatisticsFile {
                snapshot_id,
                statistics_path: statistics_path.clone(),
                file_size_in_bytes: 1,
                file_footer_size_in_bytes: 1,
                key_metadata: None,
                blob_metadata: Vec::new(),
            },
        },
        TableUpdate::SetPartitionStatistics {
            partition_statistics: PartitionStatisticsFile {
                snapshot_id,
                statistics_path,
                file_size_in_bytes: 1,
            },
        },
    ]
}

fn snapshot(metadata: &TableMetadata, n: i64) -> Snapshot {
    Snapshot::builder()
        .with_snapshot_id(n)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(metadata.next_sequence_number())
        .with_timestamp_ms(metadata.last_updated_ms() + 1)
        .with_manifest_list(format!("file:///w/t/metadata/snap-\"{n}\".avro"))
        .with_summary(Summary {
            operation: Operation::Append,
            additional_properties: HashMap::from([("added-records".to_owned(), n.to_string())]),
        })
        .with_schema_id(metadata.current_schema_id())
        .build()
}

/// A schema with that many columns.
fn schema(n_columns: i32) -> Schema {
    let column = |id| {
        let column =
            NestedField::optional(id, format!("c{id}"), Type::Primitive(PrimitiveType::Long));
        Arc::new(column)
    };
    Schema::builder()
        .with_fields((1..=n_columns).map(column))
        .build()
        .unwrap()
}

fn new_table(version: FormatVersion) -> TableMetadata {
    let spec = UnboundPartitionSpec::builder().build();
    let order = SortOrder::unsorted_order();
    let location = "file:///w/t".to_owned();
    let made = TableMetadataBuilder::new(schema(1), spec, order, location, version, HashMap::new());
    made.unwrap().build().unwrap().metadata
}

/// The JSON with its lists in one order, since the `iceberg` crate has them in any.
fn in_order(json: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(json).unwrap();
    let lists = value
        .as_object_mut()
        .unwrap()
        .iter_mut()
        .filter(|(key, _)| !key.ends_with("-log"));
    for list in lists.filter_map(|(_, value)| value.as_array_mut()) {
        list.sort_by_key(ToString::to_string);
    }
    value
}

/// What is kept says the same as the `iceberg` crate, of the table and of its branches and tags.
#[track_caller]
fn check(kept: &KeptMetadata) {
    let json = kept.to_json().unwrap();
    let theirs = serde_json::to_vec(kept.metadata.as_ref()).unwrap();
    assert_eq!(in_order(&json), in_order(&theirs));
    let read: TableMetadata = serde_json::from_slice(&json).unwrap();
    assert_eq!(read, *kept.metadata);
    assert_eq!(*kept.references, References::of(&kept.metadata).unwrap());
    assert_eq!(*kept.references, References::in_json(&json).unwrap());
}

proptest! {
    #[test]
    fn whatever_is_done_to_a_table_its_json_is_that_of_the_crate(steps in prop::collection::vec(step(), 0..25)) {
        let mut kept = KeptMetadata::new(new_table(FormatVersion::V2)).unwrap();
        check(&kept);
        for (n, step) in (1..).zip(&steps) {
            let updates = updates(step, &kept, n);
            kept = kept.updated(LOCATION, &[], &updates).unwrap();
            check(&kept);
        }
    }
}

#[test]
fn other_format_versions_are_written_as_the_crate_does() {
    for version in [FormatVersion::V1, FormatVersion::V3] {
        let kept = KeptMetadata::new(new_table(version)).unwrap();
        let json = kept.to_json().unwrap();
        let theirs = serde_json::to_vec(kept.metadata.as_ref()).unwrap();
        assert_eq!(in_order(&json), in_order(&theirs));
        let read: TableMetadata = serde_json::from_slice(&json).unwrap();
        assert_eq!(read, *kept.metadata);
    }
    let first = KeptMetadata::new(new_table(FormatVersion::V1)).unwrap();
    let upgrade = TableUpdate::UpgradeFormatVersion {
        format_version: FormatVersion::V2,
    };
    check(&first.updated(LOCATION, &[], &[upgrade]).unwrap());
}

#[test]
fn a_snapshot_that_has_a_name_is_not_removed() {
    let remove = [TableUpdate::RemoveSnapshots {
        snapshot_ids: vec![1],
    }];
    let mut kept = KeptMetadata::new(new_table(FormatVersion::V2)).unwrap();
    for (n, step) in (1..).zip([Step::Append, Step::Append, Step::Tag(0)]) {
        let updates = updates(&step, &kept, n);
        kept = kept.updated(LOCATION, &[], &updates).unwrap();
    }
    let refused = kept.updated(LOCATION, &[], &remove).unwrap_err();
    let UpdateError::Update(error) = refused else {
        panic!("{refused:?}")
    };
    assert!(error.message().contains("`tag \"0\"`"), "{error}");
    // In one commit with the name it may go.
    let forget = TableUpdate::RemoveSnapshotRef {
        ref_name: "tag \"0\"".to_owned(),
    };
    let [remove] = remove;
    let kept = kept.updated(LOCATION, &[], &[remove, forget]).unwrap();
    assert!(kept.metadata.snapshot_by_id(1).is_none());
    check(&kept);
}

#[tokio::test]
async fn metadata_is_read_compressed_or_not_with_its_branches_and_tags() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = KeptMetadata::new(new_table(FormatVersion::V2)).unwrap();
    for (n, step) in (1..).zip([Step::Append, Step::Append, Step::Tag(0), Step::Branch(0)]) {
        let updates = updates(&step, &kept, n);
        kept = kept.updated(LOCATION, &[], &updates).unwrap();
    }
    let json = kept.to_json().unwrap();
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    compressed.write_all(&json).unwrap();
    for (name, bytes) in [("1", json), ("2.gz", compressed.finish().unwrap())] {
        let location = format!("file://{}/{name}.metadata.json", directory.path().display());
        LocalStorage.put_new(&location, bytes.into()).await.unwrap();
        let read = KeptMetadata::read(&LocalStorage, &location).await.unwrap();
        assert_eq!(read.metadata, kept.metadata, "{name}");
        assert_eq!(read.references, kept.references, "{name}");
    }
}
