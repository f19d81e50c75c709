use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::DataType;
use lake::{ColumnDefinition, FileLayout, Receipt, SchemaChange, WriteOptions, encode, split};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{DAY_US, NOW_MS, TODAY_US, Warehouse, batch, batch_id, data_files};

/// Splits rows with these times and ids, and shows each part as its path and its ids.
async fn check_parts(terms: &[&str], rows: &[(i64, &str)], expected: &[(&str, &[&str])]) {
    let warehouse = Warehouse::partitioned_by(terms).await;
    let table = warehouse.table().await;
    // Two batches, so that parts are also put together.
    let (first, second) = rows.split_at(rows.len() / 2);
    let parts = split(&table, &[batch(first), batch(second)]).unwrap();
    let layout = FileLayout::new(&table).unwrap();
    let found: Vec<(String, Vec<String>)> = parts
        .iter()
        .map(|part| {
            let files = encode(part, &layout, &WriteOptions::default()).unwrap();
            let ids = files.iter().flat_map(|file| ids(&file.bytes)).collect();
            (part.key().path().to_owned(), ids)
        })
        .collect();
    let found: Vec<(&str, Vec<&str>)> = found
        .iter()
        .map(|(path, ids)| (path.as_str(), ids.iter().map(String::as_str).collect()))
        .collect();
    let expected: Vec<(&str, Vec<&str>)> = expected
        .iter()
        .map(|(path, ids)| (*path, ids.to_vec()))
        .collect();
    assert_eq!(found, expected, "{terms:?}");
}

fn ids(bytes: &bytes::Bytes) -> Vec<String> {
    read(bytes)
        .iter()
        .flat_map(|batch| {
            let ids = batch.column_by_name("id").unwrap().as_string::<i32>();
            ids.iter()
                .map(|id| id.unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn read(bytes: &bytes::Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())
        .unwrap()
        .build()
        .unwrap();
    reader.map(Result::unwrap).collect()
}

const ROWS: [(i64, &str); 6] = [
    (TODAY_US + 1, "abc"),
    (TODAY_US - 1, "abd"),
    (TODAY_US + 3_600_000_000, "abc"),
    (-1, "old"),
    (TODAY_US + DAY_US, "xyz"),
    (TODAY_US + 2, "abc"),
];

#[tokio::test]
async fn rows_are_split_by_each_transform_in_the_order_of_keys() {
    check_parts(
        &[],
        &ROWS,
        &[("", &["abc", "abd", "abc", "old", "xyz", "abc"])],
    )
    .await;
    check_parts(
        &["day(event_time)"],
        &ROWS,
        &[
            ("event_time_day=1969-12-31", &["old"]),
            ("event_time_day=2026-11-20", &["abd"]),
            ("event_time_day=2026-11-21", &["abc", "abc", "abc"]),
            ("event_time_day=2026-11-22", &["xyz"]),
        ],
    )
    .await;
    check_parts(
        &["year(event_time)"],
        &ROWS,
        &[
            ("event_time_year=1969", &["old"]),
            ("event_time_year=2026", &["abc", "abd", "abc", "xyz", "abc"]),
        ],
    )
    .await;
    check_parts(
        &["month(event_time)"],
        &ROWS,
        &[
            ("event_time_month=1969-12", &["old"]),
            (
                "event_time_month=2026-11",
                &["abc", "abd", "abc", "xyz", "abc"],
            ),
        ],
    )
    .await;
    check_parts(
        &["hour(event_time)"],
        &ROWS,
        &[
            ("event_time_hour=1969-12-31-23", &["old"]),
            ("event_time_hour=2026-11-20-23", &["abd"]),
            ("event_time_hour=2026-11-21-00", &["abc", "abc"]),
            ("event_time_hour=2026-11-21-01", &["abc"]),
            ("event_time_hour=2026-11-22-00", &["xyz"]),
        ],
    )
    .await;
    check_parts(
        &["id"],
        &ROWS,
        &[
            ("id=abc", &["abc"; 3]),
            ("id=abd", &["abd"]),
            ("id=old", &["old"]),
            ("id=xyz", &["xyz"]),
        ],
    )
    .await;
    check_parts(
        &["truncate(2, id)"],
        &ROWS,
        &[
            ("id_trunc=ab", &["abc", "abd", "abc", "abc"]),
            ("id_trunc=ol", &["old"]),
            ("id_trunc=xy", &["xyz"]),
        ],
    )
    .await;
    check_parts(
        &["void(id)"],
        &ROWS,
        &[("id_null=null", &["abc", "abd", "abc", "old", "xyz", "abc"])],
    )
    .await;
    check_parts(
        &["truncate(1, id)", "day(event_time)"],
        &ROWS,
        &[
            ("id_trunc=a/event_time_day=2026-11-20", &["abd"]),
            (
                "id_trunc=a/event_time_day=2026-11-21",
                &["abc", "abc", "abc"],
            ),
            ("id_trunc=o/event_time_day=1969-12-31", &["old"]),
            ("id_trunc=x/event_time_day=2026-11-22", &["xyz"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn buckets_are_those_of_the_iceberg_specification() {
    // The specification gives the 32-bit hash of "iceberg" as 1210000089.
    check_parts(
        &["bucket(1000, id)"],
        &[(0, "iceberg"), (1, "iceberg")],
        &[("id_bucket=89", &["iceberg", "iceberg"])],
    )
    .await;
}

#[tokio::test]
async fn a_partition_path_is_safe_for_any_value() {
    let long = "x".repeat(300);
    let values = ["../../etc", "a b?c#d%", "日本", long.as_str()];
    let warehouse = Warehouse::partitioned_by(&["id"]).await;
    let table = warehouse.table().await;
    let rows: Vec<(i64, &str)> = values.iter().map(|value| (0, *value)).collect();
    let id = batch_id(&table, "paths");
    let options = WriteOptions::default();
    let files = warehouse
        .lake
        .write(&table, &[batch(&rows)], &id, &options)
        .await
        .unwrap();
    for file in &files {
        let path = file.location.strip_prefix(table.location()).unwrap();
        let safe = |c: char| c.is_ascii_alphanumeric() || "/._=-".contains(c);
        assert!(
            path.chars().all(safe) && path.len() < 200 && !path.contains("/.."),
            "{path}"
        );
        assert!(
            warehouse
                .lake
                .storage()
                .exists(&file.location)
                .await
                .unwrap()
        );
    }
    assert_eq!(files.len(), 4);
}

#[tokio::test]
async fn identity_partitions_are_named_by_their_values() {
    check_parts(
        &["identity(event_time)"],
        &[
            (TODAY_US + 1_500, "c"),
            (-500_000, "a"),
            (0, "b"),
            (-500_000, "a2"),
        ],
        &[
            ("event_time=1969-12-31T23_59_59.500_00_00", &["a", "a2"]),
            ("event_time=1970-01-01T00_00_00_00_00", &["b"]),
            ("event_time=2026-11-21T00_00_00.001500_00_00", &["c"]),
        ],
    )
    .await;
    check_parts(
        &["id", "identity(n)"],
        &[(0, "x y"), (0, "null"), (0, "x y"), (0, "\u{e9}")],
        &[
            ("id=null/n=1", &["null"]),
            ("id=x_y/n=0", &["x y", "x y"]),
            ("id=_/n=1", &["\u{e9}"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_table_by_identity_of_a_time_before_1970_is_written_and_read() {
    let warehouse = Warehouse::partitioned_by(&["identity(event_time)"]).await;
    let table = warehouse.table().await;
    let id = batch_id(&table, "old");
    let rows = [(-86_400_500_000, "a"), (-1, "b"), (TODAY_US, "c")];
    let (rows, options) = ([batch(&rows)], WriteOptions::default());
    let written = warehouse.lake.write(&table, &rows, &id, &options).await;
    let receipt = Receipt::new(&table, &id, NOW_MS, "old".to_owned(), written.unwrap());
    warehouse.commit(vec![receipt]).await;
    assert_eq!(warehouse.ids().await, ["a", "b", "c"]);
    let paths = data_files(&warehouse.lake, &warehouse.table().await).await;
    assert!(
        paths[0].contains("/data/event_time=1969-12-30T23_59_59.500_00_00/"),
        "{paths:?}"
    );
}

#[tokio::test]
async fn rows_without_a_value_of_the_partition_column_come_first() {
    let warehouse = Warehouse::partitioned_by(&["id"]).await;
    let table = warehouse.table().await;
    let times = TimestampMicrosecondArray::from(vec![0; 3]).with_timezone("+00:00");
    let ids = StringArray::from(vec![Some("a"), None, Some("a")]);
    let rows = RecordBatch::try_from_iter([
        ("event_time", Arc::new(times.clone()) as ArrayRef),
        ("id", Arc::new(ids) as ArrayRef),
    ])
    .unwrap();
    let parts = split(&table, &[rows]).unwrap();
    let paths: Vec<(&str, usize)> = parts
        .iter()
        .map(|part| (part.key().path(), part.n_rows()))
        .collect();
    assert_eq!(paths, [("id=null", 1), ("id=a", 2)]);

    let without =
        RecordBatch::try_from_iter([("event_time", Arc::new(times) as ArrayRef)]).unwrap();
    let parts = split(&table, &[without]).unwrap();
    assert_eq!(parts[0].key().path(), "id=null");
}

#[tokio::test]
async fn the_same_rows_give_the_same_bytes_with_any_number_of_threads() {
    let warehouse = Warehouse::new().await;
    let table = warehouse.table().await;
    let ids: Vec<String> = (0..20_000)
        .map(|n| format!("id-{}", n * 7919 % 5000))
        .collect();
    let rows: Vec<(i64, &str)> = (0_i64..)
        .zip(&ids)
        .map(|(n, id)| (TODAY_US + n % 3 * DAY_US + n, id.as_str()))
        .collect();
    let files = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads.max(1))
            .build()
            .unwrap();
        let options = WriteOptions {
            bloom_column: Some("id".to_owned()),
            row_group_bytes: 5_000,
            target_file_bytes: 15_000,
            threads: (n_threads > 0).then(|| Arc::new(pool)),
            ..WriteOptions::default()
        };
        let layout = FileLayout::new(&table).unwrap();
        let parts = split(&table, &[batch(&rows)]).unwrap();
        parts
            .iter()
            .flat_map(|part| encode(part, &layout, &options).unwrap())
            .map(|file| (file.bytes, file.data_file))
            .collect::<Vec<_>>()
    };
    let expected = files(0);
    assert!(expected.len() > 3);
    for n_threads in [0, 1, 2, 5] {
        assert!(files(n_threads) == expected, "{n_threads} threads");
    }
}

#[tokio::test]
async fn files_and_row_groups_are_bounded_in_bytes_and_hold_every_row_once() {
    let warehouse = Warehouse::new().await;
    let table = warehouse.table().await;
    let ids: Vec<String> = (0..50_000)
        .map(|n| format!("{:x}", n * 0x9e37_79b9_7f4a_7c15_u128))
        .collect();
    let rows: Vec<(i64, &str)> = ids.iter().map(|id| (TODAY_US, id.as_str())).collect();
    let options = WriteOptions {
        row_group_bytes: 50_000,
        target_file_bytes: 150_000,
        ..WriteOptions::default()
    };
    let id = batch_id(&table, "large");
    let files = warehouse
        .lake
        .write(&table, &[batch(&rows)], &id, &options)
        .await
        .unwrap();
    assert!(files.len() > 2, "{} files", files.len());
    assert_eq!(files.iter().map(|file| file.n_rows).sum::<u64>(), 50_000);
    for (n, file) in files.iter().enumerate() {
        let size = warehouse
            .lake
            .storage()
            .size(&file.location)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(size, file.file_bytes);
        assert!(size < 200_000, "{size}");
        assert!(
            file.split_offsets.len() >= 2 || n + 1 == files.len(),
            "{:?}",
            file.split_offsets
        );
        let name = format!("{}-{:016x}-{n}.parquet", id.token, id.attempt);
        assert!(file.location.ends_with(&name), "{}", file.location);
    }
    let mut found = Vec::new();
    for file in &files {
        found.extend(self::ids(
            &warehouse.lake.storage().get(&file.location).await.unwrap(),
        ));
    }
    assert_eq!(found, ids);
}

/// Adds the column, writes its values, and returns what the data file says about it.
async fn facts(name: &str, values: ArrayRef) -> lake::ColumnFacts {
    let warehouse = Warehouse::partitioned_by(&[]).await;
    let column = ColumnDefinition {
        name: name.to_owned(),
        doc: None,
        data_type: values.data_type().clone(),
        required: false,
    };
    let table = warehouse.table().await;
    let change = warehouse.lake.add_columns(&table, &[column]).await.unwrap();
    let SchemaChange::Added(table) = change else {
        panic!("it raced")
    };
    let times = TimestampMicrosecondArray::from(vec![0; values.len()]).with_timezone("+00:00");
    let rows =
        RecordBatch::try_from_iter([(name, values), ("event_time", Arc::new(times) as ArrayRef)])
            .unwrap();
    let id = batch_id(&table, "facts");
    let options = WriteOptions::default();
    let files = warehouse
        .lake
        .write(&table, &[rows], &id, &options)
        .await
        .unwrap();
    files[0].columns[&4].clone()
}

async fn check_text_bounds(values: &[&str], lower: Option<&str>, upper: Option<&str>) {
    let facts = facts("c", Arc::new(StringArray::from_iter_values(values))).await;
    let text = |bound: Option<Vec<u8>>| bound.map(|bytes| String::from_utf8(bytes).unwrap());
    let (found_lower, found_upper) = (text(facts.lower), text(facts.upper));
    assert_eq!(
        (found_lower.as_deref(), found_upper.as_deref()),
        (lower, upper),
        "{values:?}"
    );
    for value in values {
        assert!(lower.is_none_or(|lower| lower <= *value), "{value}");
        assert!(upper.is_none_or(|upper| upper >= *value), "{value}");
    }
}

#[tokio::test]
async fn bounds_of_texts_hold_sixteen_characters_and_enclose_every_value() {
    let max = "\u{10ffff}";
    check_text_bounds(&["b", "a"], Some("a"), Some("b")).await;
    check_text_bounds(&[""], Some(""), Some("")).await;
    check_text_bounds(
        &["0123456789abcdef"],
        Some("0123456789abcdef"),
        Some("0123456789abcdef"),
    )
    .await;
    check_text_bounds(
        &["0123456789abcdefg"],
        Some("0123456789abcdef"),
        Some("0123456789abcdeg"),
    )
    .await;
    let long = "z".repeat(1000);
    check_text_bounds(
        &[&long],
        Some(&"z".repeat(16)),
        Some(&format!("{}{{", "z".repeat(15))),
    )
    .await;
    // Characters of more bytes, the last of their length, and those before the surrogates.
    let wide = "é".repeat(100);
    check_text_bounds(
        &[&wide],
        Some(&"é".repeat(16)),
        Some(&format!("{}ê", "é".repeat(15))),
    )
    .await;
    let seven_f = "\u{7f}".repeat(20);
    let raised = format!("{}\u{80}", "\u{7f}".repeat(15));
    check_text_bounds(&[&seven_f], Some(&seven_f[..16]), Some(&raised)).await;
    let before_surrogates = "\u{d7ff}".repeat(20);
    let raised = format!("{}\u{e000}", "\u{d7ff}".repeat(15));
    check_text_bounds(
        &[&before_surrogates],
        Some(&"\u{d7ff}".repeat(16)),
        Some(&raised),
    )
    .await;
    // The greatest character cannot be raised: the one before it is, or there is no bound.
    let tail = format!("abc{}", max.repeat(30));
    let lower = format!("abc{}", max.repeat(13));
    check_text_bounds(&[&tail], Some(&lower), Some("abd")).await;
    let all = max.repeat(30);
    check_text_bounds(&[&all], Some(&max.repeat(16)), None).await;
    // One such value among others takes the upper bound away and leaves the lower.
    check_text_bounds(&["a", &all], Some("a"), None).await;
}

#[tokio::test]
async fn bounds_of_other_types_are_exact() {
    let check = async |values: ArrayRef, lower: &[u8], upper: &[u8]| {
        let facts = facts("c", values).await;
        assert_eq!(
            (facts.lower.as_deref(), facts.upper.as_deref()),
            (Some(lower), Some(upper))
        );
    };
    let longs = Int64Array::from(vec![Some(-5), None, Some(7)]);
    check(
        Arc::new(longs),
        &(-5_i64).to_le_bytes(),
        &7_i64.to_le_bytes(),
    )
    .await;
    let doubles = Float64Array::from(vec![1.5, f64::NAN, -2.0, f64::INFINITY]);
    check(
        Arc::new(doubles),
        &(-2.0_f64).to_le_bytes(),
        &f64::INFINITY.to_le_bytes(),
    )
    .await;
    let zeros = Float64Array::from(vec![0.0, -0.0]);
    check(
        Arc::new(zeros),
        &(-0.0_f64).to_le_bytes(),
        &0.0_f64.to_le_bytes(),
    )
    .await;
    let decimals = arrow_array::Decimal128Array::from(vec![-129, 128, 0])
        .with_precision_and_scale(20, 2)
        .unwrap();
    check(Arc::new(decimals), &[0xff, 0x7f], &[0x00, 0x80]).await;
    let dates = arrow_array::Date32Array::from(vec![-1, 20_000]);
    check(
        Arc::new(dates),
        &(-1_i32).to_le_bytes(),
        &20_000_i32.to_le_bytes(),
    )
    .await;
    let flags = arrow_array::BooleanArray::from(vec![false, true]);
    check(Arc::new(flags), &[0], &[1]).await;
    let bytes = BinaryArray::from_iter_values([vec![0xff; 3], vec![1; 40]]);
    let upper = [0xff_u8; 3];
    check(Arc::new(bytes), &[1; 16], &upper).await;
}

#[tokio::test]
async fn values_nulls_and_nans_are_counted_and_columns_without_values_are_left_out() {
    let doubles = Float64Array::from(vec![Some(f64::NAN), None, Some(1.0), Some(f64::NAN)]);
    let found = facts("c", Arc::new(doubles)).await;
    assert_eq!(
        (found.n_values, found.n_nulls, found.n_nans),
        (4, 1, Some(2))
    );
    assert!(found.column_bytes > 0);

    let nans = facts("c", Arc::new(Float64Array::from(vec![f64::NAN]))).await;
    assert_eq!((nans.lower, nans.upper), (None, None));

    let nulls = facts("c", Arc::new(Int64Array::new_null(3))).await;
    assert_eq!(
        (nulls.n_values, nulls.n_nulls, nulls.column_bytes),
        (3, 3, 0)
    );
    assert_eq!((nulls.lower, nulls.upper), (None, None));
}

#[tokio::test]
async fn the_document_column_has_counts_and_no_bounds() {
    let found = facts("_doc", Arc::new(StringArray::from(vec![Some("{}"), None]))).await;
    assert_eq!((found.n_values, found.n_nulls), (2, 1));
    assert_eq!((found.lower, found.upper), (None, None));
}

#[tokio::test]
async fn rows_that_do_not_fit_the_table_are_refused_with_their_column() {
    let warehouse = Warehouse::new().await;
    let table = warehouse.table().await;
    let time = || {
        let times = TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("+00:00");
        Arc::new(times) as ArrayRef
    };
    let write = async |columns: Vec<(&str, ArrayRef)>| {
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let id = batch_id(&table, "bad");
        let options = WriteOptions::default();
        warehouse
            .lake
            .write(&table, &[rows], &id, &options)
            .await
            .unwrap_err()
            .to_string()
    };
    let one = |array: ArrayRef| array.slice(0, 1);
    assert_eq!(
        write(vec![("event_time", time())]).await,
        "column `event_time` of table `t.events`: 1 rows have no value, and the table requires one"
    );
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    assert_eq!(
        write(vec![("event_time", one(time())), ("n", text.clone())]).await,
        "column `n` of table `t.events`: it is `Utf8` in the rows and `Int64` in the table"
    );
    assert_eq!(
        write(vec![("event_time", one(time())), ("stranger", text)]).await,
        "column `stranger` of table `t.events`: the table has no such column"
    );
}

#[tokio::test]
async fn columns_may_come_in_any_order_and_those_that_are_absent_are_null() {
    let warehouse = Warehouse::new().await;
    let table = warehouse.table().await;
    let rows = batch(&[(TODAY_US, "a"), (TODAY_US, "b")])
        .project(&[2, 0])
        .unwrap();
    let id = batch_id(&table, "order");
    let options = WriteOptions::default();
    let files = warehouse
        .lake
        .write(&table, &[rows], &id, &options)
        .await
        .unwrap();
    let bytes = warehouse
        .lake
        .storage()
        .get(&files[0].location)
        .await
        .unwrap();
    let read = &read(&bytes)[0];
    let names: Vec<&str> = read
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["event_time", "n"]);
    assert_eq!(read.column(1).as_primitive::<Int64Type>().values(), &[0, 1]);
    assert_eq!(read.schema().field(1).metadata()["PARQUET:field_id"], "3");
    assert_eq!(
        read.column(0).data_type(),
        &DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some("UTC".into()))
    );
}

#[tokio::test]
async fn the_bloom_filter_is_there_and_as_large_as_the_rows_need() {
    let warehouse = Warehouse::new().await;
    let table = warehouse.table().await;
    let size = |n_rows: usize| {
        let ids: Vec<String> = (0..n_rows).map(|n| format!("id-{n}")).collect();
        let rows: Vec<(i64, &str)> = ids.iter().map(|id| (TODAY_US, id.as_str())).collect();
        let options = WriteOptions {
            bloom_column: Some("id".to_owned()),
            ..WriteOptions::default()
        };
        let parts = split(&table, &[batch(&rows)]).unwrap();
        let layout = FileLayout::new(&table).unwrap();
        let file = encode(&parts[0], &layout, &options).unwrap().remove(0);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.bytes).unwrap();
        let with_filter = |column: usize| {
            builder
                .metadata()
                .row_group(0)
                .column(column)
                .bloom_filter_length()
                .unwrap_or(0)
        };
        assert_eq!((with_filter(0), with_filter(2)), (0, 0));
        with_filter(1)
    };
    let (small, large) = (size(100), size(20_000));
    assert!((64..=512).contains(&small), "{small}");
    assert!((16_000..=70_000).contains(&large), "{large}");
}
