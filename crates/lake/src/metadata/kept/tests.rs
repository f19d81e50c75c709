use std::collections::HashMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use iceberg::spec::{
    NestedField, Operation, PartitionStatisticsFile, PrimitiveType, Schema, Snapshot,
    SnapshotReference, SnapshotRetention, SortOrder, StatisticsFile, Summary, TableMetadataBuilder,
    Transform, Type, UnboundPartitionSpec,
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
    Expire(u8),
    Property(String, String),
    Column,
    Partitioning,
    Statistics,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Append),
        1 => any::<u8>().prop_map(Step::Tag),
        1 => any::<u8>().prop_map(Step::Branch),
        1 => Just(Step::Forget),
        2 => any::<u8>().prop_map(Step::Expire),
        1 => ("[ -~é\"\\\\\n]{1,8}", "\\PC{0,8}").prop_map(|(key, value)| Step::Property(key, value)),
        1 => Just(Step::Column),
        1 => Just(Step::Partitioning),
        1 => Just(Step::Statistics),
    ]
}

/// The updates of the step on this table; none when there is nothing to do it to.
fn updates(step: &Step, metadata: &TableMetadata, n: i64) -> Vec<TableUpdate> {
    let ids: Vec<i64> = {
        let mut ids: Vec<i64> = metadata.snapshots().map(|s| s.snapshot_id()).collect();
        ids.sort_unstable();
        ids
    };
    let chosen = |number: u8| ids.get(usize::from(number) % ids.len().max(1)).copied();
    let refer = |ref_name: &str, snapshot_id, retention| TableUpdate::SetSnapshotRef {
        ref_name: ref_name.to_owned(),
        reference: SnapshotReference::new(snapshot_id, retention),
    };
    let current = metadata.current_snapshot_id();
    match step {
        Step::Append => vec![
            TableUpdate::AddSnapshot {
                snapshot: snapshot(metadata, n),
            },
            refer("main", n, SnapshotRetention::branch(Some(3), None, None)),
        ],
        Step::Tag(number) => {
            let tag = SnapshotRetention::Tag {
                max_ref_age_ms: Some(7),
            };
            let tagged = chosen(*number).map(|id| refer(&format!("tag \"{}\"", n % 3), id, tag));
            tagged.into_iter().collect()
        }
        Step::Branch(number) => {
            let branch = SnapshotRetention::branch(None, Some(5), None);
            chosen(*number)
                .map(|id| refer("audit", id, branch))
                .into_iter()
                .collect()
        }
        Step::Forget => vec![TableUpdate::RemoveSnapshotRef {
            ref_name: "tag \"1\"".to_owned(),
        }],
        Step::Expire(number) => vec![TableUpdate::RemoveSnapshots {
            snapshot_ids: chosen(*number)
                .into_iter()
                .filter(|id| Some(*id) != current)
                .collect(),
        }],
        Step::Property(key, value) => vec![TableUpdate::SetProperties {
            updates: HashMap::from([(key.clone(), value.clone())]),
        }],
        Step::Column => {
            let id = metadata.last_column_id() + 1;
            vec![
                TableUpdate::AddSchema { schema: schema(id) },
                TableUpdate::SetCurrentSchema { schema_id: -1 },
            ]
        }
        Step::Partitioning => {
            let spec = UnboundPartitionSpec::builder().add_partition_field(
                1,
                format!("part_{n}"),
                Transform::Bucket(u32::try_from(n).unwrap()),
            );
            vec![TableUpdate::AddSpec {
                spec: spec.unwrap().build(),
            }]
        }
        Step::Statistics => current.map(statistics).into_iter().flatten().collect(),
    }
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
    fn whatever_is_done_to_a_table_its_json_is_that_of_the_crate(steps in prop::collection::vec(step(), 0..40)) {
        let mut kept = KeptMetadata::new(new_table(FormatVersion::V2)).unwrap();
        check(&kept);
        for (n, step) in (1..).zip(&steps) {
            let updates = updates(step, &kept.metadata, n);
            kept = kept.updated(LOCATION, &[], &updates).unwrap();
            check(&kept);
        }
    }
}

#[test]
fn other_format_versions_are_written_as_the_crate_does() {
    let kept = KeptMetadata::new(new_table(FormatVersion::V3)).unwrap();
    let json = kept.to_json().unwrap();
    let read: TableMetadata = serde_json::from_slice(&json).unwrap();
    assert_eq!(read, *kept.metadata);
}

#[tokio::test]
async fn metadata_is_read_compressed_or_not_with_its_branches_and_tags() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = KeptMetadata::new(new_table(FormatVersion::V2)).unwrap();
    for (n, step) in (1..).zip([Step::Append, Step::Append, Step::Tag(0), Step::Branch(0)]) {
        let updates = updates(&step, &kept.metadata, n);
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
