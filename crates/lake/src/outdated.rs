use std::collections::HashSet;

use iceberg::spec::TableMetadata;

/// The schemas that nobody needs once these snapshots are gone.
///
/// Needed are the current one, those of the snapshots that stay, and of the older ones the newest that has some field which
/// is in no other: a receipt is judged by the current schema alone, and its rows become events again by the paths of
/// its fields, in whatever schema these are. So there is one for each time that a column was dropped, at most, and none for
/// those that were added. Schemas newer than the current one stay: somebody may be about to make them current.
pub(crate) fn outdated_schemas(metadata: &TableMetadata, expired_snapshots: &[i64]) -> Vec<i32> {
    let expired: HashSet<i64> = expired_snapshots.iter().copied().collect();
    let current = metadata.current_schema_id();
    let staying = metadata
        .snapshots()
        .filter(|snapshot| !expired.contains(&snapshot.snapshot_id()))
        .filter_map(|snapshot| snapshot.schema_id());
    let needed: HashSet<i32> = staying.chain([current]).collect();
    let (needed, mut older): (Vec<_>, Vec<_>) = metadata
        .schemas_iter()
        .filter(|schema| schema.schema_id() <= current || needed.contains(&schema.schema_id()))
        .partition(|schema| needed.contains(&schema.schema_id()));
    let fields = needed
        .iter()
        .flat_map(|schema| schema.field_id_to_fields().keys());
    let mut fields: HashSet<i32> = fields.copied().collect();
    older.sort_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    let mut outdated = Vec::new();
    for schema in older {
        let n_known = fields.len();
        fields.extend(schema.field_id_to_fields().keys());
        if fields.len() == n_known {
            outdated.push(schema.schema_id());
        }
    }
    outdated
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use iceberg::spec::{
        FormatVersion, NestedField, Operation, PrimitiveType, Schema, Snapshot, SortOrder, Summary,
        TableMetadataBuilder, Type, UnboundPartitionSpec,
    };

    use super::*;

    /// A schema of these fields.
    fn schema(ids: &[i32]) -> Schema {
        let field = |id: &i32| {
            let text = Type::Primitive(PrimitiveType::String);
            NestedField::optional(*id, format!("column_{id}"), text).into()
        };
        let fields: Vec<_> = ids.iter().map(field).collect();
        Schema::builder().with_fields(fields).build().unwrap()
    }

    /// A table that had these schemas one after another, with ids from 0 on, and the snapshots 1, 2, … of these schemas.
    #[track_caller]
    fn check(
        schemas: &[&[i32]],
        current: i32,
        snapshots: &[i32],
        expired: &[i64],
        outdated: &[i32],
    ) {
        let spec = UnboundPartitionSpec::builder().build();
        let order = SortOrder::unsorted_order();
        let location = "file:///w/t".to_owned();
        let version = FormatVersion::V2;
        let first = schema(schemas[0]);
        let mut builder =
            TableMetadataBuilder::new(first, spec, order, location, version, HashMap::new())
                .unwrap();
        for ids in &schemas[1..] {
            builder = builder.add_current_schema(schema(ids)).unwrap();
        }
        builder = builder.set_current_schema(current).unwrap();
        for (id, schema_id) in (1..).zip(snapshots) {
            let snapshot = Snapshot::builder()
                .with_snapshot_id(id)
                .with_sequence_number(id)
                .with_timestamp_ms(i64::MAX / 2 + id)
                .with_manifest_list("file:///w/t/list.avro")
                .with_summary(Summary {
                    operation: Operation::Append,
                    additional_properties: HashMap::new(),
                })
                .with_schema_id(*schema_id)
                .build();
            builder = builder.add_snapshot(snapshot).unwrap();
        }
        let metadata = builder.build().unwrap().metadata;
        assert_eq!(outdated_schemas(&metadata, expired), outdated);
    }

    #[test]
    fn schemas_of_which_later_ones_have_all_fields_are_outdated() {
        check(&[&[1]], 0, &[], &[], &[]);
        check(&[&[1], &[1, 2], &[1, 2, 3]], 2, &[], &[], &[1, 0]);
    }

    #[test]
    fn those_of_snapshots_that_stay_are_not() {
        let added: &[&[i32]] = &[&[1], &[1, 2], &[1, 2, 3]];
        check(added, 2, &[0, 1, 2], &[], &[]);
        check(added, 2, &[0, 1, 2], &[1], &[0]);
        check(added, 2, &[0, 1, 2], &[1, 2], &[1, 0]);
        check(added, 2, &[0, 1, 0], &[1, 2], &[1]);
    }

    #[test]
    fn the_newest_with_a_field_that_was_dropped_is_not() {
        check(&[&[1, 2], &[1, 2, 3], &[1, 3]], 2, &[], &[], &[0]);
        check(&[&[1, 2], &[1], &[1, 3], &[3]], 3, &[], &[], &[1]);
    }

    #[test]
    fn those_newer_than_the_current_one_are_not() {
        check(&[&[1], &[1, 2], &[1, 2, 3]], 1, &[], &[], &[0]);
    }

    #[test]
    fn of_a_thousand_additions_one_is_left() {
        let fields: Vec<i32> = (1..=1000).collect();
        let schemas: Vec<&[i32]> = (1..=1000).map(|n| &fields[..n]).collect();
        let all_but_one: Vec<i32> = (0..999).rev().collect();
        check(&schemas, 999, &[], &[], &all_but_one);
    }
}
