use std::collections::HashMap;

use iceberg::spec::{
    FormatVersion, NestedField, PrimitiveType, Schema, SortOrder, TableMetadataBuilder, Transform,
    Type, UnboundPartitionSpec,
};

use super::*;

/// A table whose spec 0 has a partition field, merging from three manifests on.
fn metadata(properties: &[(&str, &str)]) -> TableMetadata {
    let id = NestedField::optional(1, "id", Type::Primitive(PrimitiveType::Long));
    let schema = Schema::builder().with_fields([id.into()]).build().unwrap();
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(1, "id_field", Transform::Identity)
        .unwrap()
        .build();
    let three = ("commit.manifest.min-count-to-merge", "3");
    let properties: HashMap<String, String> = [three]
        .iter()
        .chain(properties)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let order = SortOrder::unsorted_order();
    let location = "file:///w/t".to_owned();
    TableMetadataBuilder::new(schema, spec, order, location, FormatVersion::V2, properties)
        .unwrap()
        .build()
        .unwrap()
        .metadata
}

/// A manifest of so many files and bytes; its name is its place in the list.
fn manifest(at: usize, n_files: u32, bytes: i64, spec_id: i32) -> ManifestFile {
    ManifestFile {
        manifest_path: at.to_string(),
        manifest_length: bytes,
        partition_spec_id: spec_id,
        content: ManifestContentType::Data,
        sequence_number: 1,
        min_sequence_number: 1,
        added_snapshot_id: 1,
        added_files_count: Some(n_files),
        existing_files_count: Some(0),
        deleted_files_count: Some(0),
        added_rows_count: Some(1),
        existing_rows_count: Some(0),
        deleted_rows_count: Some(0),
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    }
}

/// The groups of these manifests (files, bytes) when a thousand bytes are merged at once, by places.
#[track_caller]
fn check(manifests: &[(u32, i64)], expected: &[&[&str]]) {
    let manifests: Vec<_> = (0..)
        .zip(manifests)
        .map(|(at, (n_files, bytes))| manifest(at, *n_files, *bytes, 0))
        .collect();
    let metadata = metadata(&[]);
    let found: Vec<Vec<&str>> = groups(&metadata, &manifests, 1000)
        .iter()
        .map(|group| group.manifests.iter())
        .map(|group| {
            group
                .map(|manifest| manifest.manifest_path.as_str())
                .collect()
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_group_ends_at_the_bytes_it_may_have() {
    check(&[(1, 100), (1, 100)], &[]);
    check(&[(1, 100), (1, 100), (2, 100)], &[&["0", "1", "2"]]);
    check(&[(1, 400), (1, 300), (1, 350), (1, 500)], &[&["1", "2"]]);
    check(&[(1, 500), (1, 500), (1, 500)], &[&["0", "1"]]);
    check(&[(1, 100), (1, 501), (1, 100), (1, 9000)], &[]);
}

#[test]
fn manifests_of_like_size_are_merged_and_the_largest_group_first() {
    check(
        &[
            (3, 9),
            (1, 9),
            (8, 9),
            (2, 9),
            (5, 9),
            (1, 9),
            (1, 9),
            (9, 9),
        ],
        &[&["1", "3", "5", "6"], &["0", "2", "4"]],
    );
}

#[test]
fn manifests_that_cannot_be_written_again_are_left_out() {
    let plain = || manifest(0, 1, 100, 0);
    let encrypted = ManifestFile {
        key_metadata: Some(vec![1]),
        ..plain()
    };
    let deletes = ManifestFile {
        content: ManifestContentType::Deletes,
        ..plain()
    };
    let uncounted = ManifestFile {
        added_files_count: None,
        ..plain()
    };
    let other_spec = manifest(0, 1, 100, 7);
    for odd in [encrypted, deletes, uncounted, other_spec] {
        let manifests = [odd.clone(), odd.clone(), odd, plain(), plain()];
        assert_eq!(groups(&metadata(&[]), &manifests, 1000).len(), 0);
    }
    let never = metadata(&[("commit.manifest-merge.enabled", "false")]);
    let manifests = [plain(), plain(), plain()];
    assert_eq!(groups(&never, &manifests, 1000).len(), 0);
    assert_eq!(groups(&metadata(&[]), &manifests, 1000).len(), 1);
}

/// Commits of so many files each, when a file takes so many bytes in a manifest and each manifest some more: how many manifests
/// there are at most.
fn longest_list(n_commits: usize, n_files: u32, file_bytes: i64) -> usize {
    const FRAME_BYTES: i64 = 10_000;
    const TARGET_BYTES: i64 = 8 << 20;
    let metadata = metadata(&[("commit.manifest.min-count-to-merge", "100")]);
    let mut list: Vec<ManifestFile> = Vec::new();
    let mut longest = 0;
    for at in 0..n_commits {
        let best = groups(&metadata, &list, TARGET_BYTES).into_iter().next();
        let group = best.map(|group| group.manifests.into_iter().cloned().collect::<Vec<_>>());
        if let Some(group) = group {
            let bytes: i64 = group.iter().map(|input| input.manifest_length).sum();
            assert!(bytes <= TARGET_BYTES, "{bytes}");
            let n_files = group
                .iter()
                .filter_map(|input| input.added_files_count)
                .sum();
            let of_files = bytes - FRAME_BYTES * i64::try_from(group.len()).unwrap();
            let output = manifest(n_commits + at, n_files, FRAME_BYTES + of_files, 0);
            let inputs = group.into_iter().map(|input| input.manifest_path).collect();
            list = replaced(list, &Merged { inputs, output });
        }
        let bytes = FRAME_BYTES + file_bytes * i64::from(n_files);
        list.push(manifest(at, n_files, bytes, 0));
        longest = longest.max(list.len());
    }
    longest
}

#[test]
fn the_list_of_ten_thousand_commits_stays_short() {
    assert!(longest_list(10_000, 1, 1_500) <= 300);
    // Two million files in manifests of at least 4 MiB, and what is being collected.
    assert!(longest_list(10_000, 200, 1_500) <= 1_000);
    assert!(longest_list(2_000, 1, 200_000) <= 300);
}
