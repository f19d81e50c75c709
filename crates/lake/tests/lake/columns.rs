//! Every column that is written reads back as it was, and its statistics hold, whatever is in it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use lake::{ColumnDefinition, FileLayout, Lake, TableDefinition, WriteOptions, encode, split};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Encoding, PageType};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use parquet::file::statistics::Statistics;
use proptest::prelude::*;

const COLUMNS: [&str; 7] = ["text", "keyed", "long", "time", "double", "flag", "int"];

/// How the values of a column repeat, and how many are null.
#[derive(Debug, Clone, Copy)]
struct Draw {
    n_distinct: u64,
    /// How many rows in a row are alike.
    run: u64,
    null_share: u64,
}

impl Draw {
    /// A number for the row, or null. A hash, so that any two runs see the same.
    fn value(self, column: usize, row: u64) -> Option<u64> {
        let mix = |n: u64| {
            let n = (n ^ (n >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            n ^ (n >> 29)
        };
        let run = mix((row / self.run) << 3 | column as u64);
        (mix(run ^ 0x55) % 8 >= self.null_share).then_some(run % self.n_distinct)
    }
}

fn draws() -> impl Strategy<Value = Draw> {
    let n_distinct = prop_oneof![
        Just(1),
        Just(2),
        Just(5),
        Just(300),
        Just(30_000),
        Just(u64::MAX)
    ];
    let run = prop_oneof![Just(1_u64), Just(9), Just(700)];
    (n_distinct, run, 0_u64..=8).prop_map(|(n_distinct, run, null_share)| Draw {
        n_distinct,
        run,
        null_share,
    })
}

/// A text for a number: some are long, some not ASCII, one is empty.
fn text(n: u64) -> String {
    match n % 5 {
        0 if n == 0 => String::new(),
        1 => format!("{}{n}", "é".repeat(40)),
        2 => format!("{n:064x}"),
        _ => format!("text {n}"),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any number will do")]
fn rows(draw: Draw, first: u64, n_rows: u64) -> RecordBatch {
    let values = |column| (first..first + n_rows).map(move |row| draw.value(column, row));
    let double = |n: u64| match n % 7 {
        0 => f64::NAN,
        1 => -0.0,
        2 => 0.0,
        _ => n as f64 / 8.0 - 1000.0,
    };
    let keyed: DictionaryArray<Int32Type> = {
        let texts: Vec<Option<String>> = values(1).map(|n| n.map(text)).collect();
        texts.iter().map(Option::as_deref).collect()
    };
    let long = |n: u64| n.wrapping_mul(0x9E37_79B9).cast_signed();
    let times = values(3).map(|n| n.map(|n| long(n % 1000)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(values(0).map(|n| n.map(text)).collect::<StringArray>()),
        Arc::new(keyed),
        Arc::new(values(2).map(|n| n.map(long)).collect::<Int64Array>()),
        Arc::new(
            times
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("+00:00"),
        ),
        Arc::new(values(4).map(|n| n.map(double)).collect::<Float64Array>()),
        Arc::new(
            values(5)
                .map(|n| n.map(|n| n % 2 == 1))
                .collect::<BooleanArray>(),
        ),
        Arc::new(
            values(6)
                .map(|n| n.map(|n| n as i32))
                .collect::<Int32Array>(),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        COLUMNS
            .into_iter()
            .zip(columns)
            .map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

fn table() -> (tempfile::TempDir, lake::Table) {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let types = [
        DataType::Utf8,
        DataType::Utf8,
        DataType::Int64,
        time,
        DataType::Float64,
        DataType::Boolean,
        DataType::Int32,
    ];
    table_of(COLUMNS.into_iter().zip(types), false)
}

fn table_of(
    columns: impl IntoIterator<Item = (&'static str, DataType)>,
    required: bool,
) -> (tempfile::TempDir, lake::Table) {
    let columns = columns
        .into_iter()
        .map(|(name, data_type)| ColumnDefinition {
            name: name.to_owned(),
            doc: None,
            data_type,
            required,
        });
    let definition = TableDefinition {
        columns: columns.collect(),
        ..TableDefinition::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::embedded(directory.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let name = "t.columns".parse().unwrap();
    let table = runtime
        .block_on(lake.create_table(&name, &definition))
        .unwrap();
    (directory, table)
}

/// Each value of a column as a text that is the same for equal values.
fn shown(array: &dyn Array) -> Vec<Option<String>> {
    let plain = match array.data_type() {
        DataType::Dictionary(_, values) => arrow_cast::cast(array, values).unwrap(),
        DataType::Timestamp(..) => arrow_cast::cast(array, &DataType::Int64).unwrap(),
        _ => array.slice(0, array.len()),
    };
    let options = arrow_cast::display::FormatOptions::default();
    let formatter = arrow_cast::display::ArrayFormatter::try_new(&plain, &options).unwrap();
    (0..plain.len())
        .map(|row| {
            plain
                .is_valid(row)
                .then(|| formatter.value(row).to_string())
        })
        .collect()
}

fn check(batches: &[RecordBatch], options: &WriteOptions) {
    let (_directory, table) = table();
    let layout = FileLayout::new(&table).unwrap();
    let parts = split(&table, batches).unwrap();
    let mut at = 0;
    for file in encode(&parts[0], &layout, options).unwrap() {
        let reader_options = ArrowReaderOptions::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_encoding_stats_as_mask(false);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(
            file.bytes.clone(),
            reader_options,
        )
        .unwrap();
        let metadata = reader.metadata().clone();
        let n_rows = usize::try_from(metadata.file_metadata().num_rows()).unwrap();
        let reader = reader.with_batch_size(n_rows.max(1)).build().unwrap();
        let found: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        for name in COLUMNS {
            let expected: Vec<Option<String>> = batches
                .iter()
                .flat_map(|batch| shown(batch.column_by_name(name).unwrap()))
                .skip(at)
                .take(n_rows)
                .collect();
            let column = |batch: &RecordBatch| batch.column_by_name(name).map(|array| shown(array));
            let read: Vec<Option<String>> = found
                .iter()
                .flat_map(|batch| column(batch).unwrap_or_else(|| vec![None; batch.num_rows()]))
                .collect();
            assert_eq!(read, expected, "column {name}");
        }
        check_statistics(&metadata, &found);
        at += n_rows;
    }
    assert_eq!(at, batches.iter().map(RecordBatch::num_rows).sum::<usize>());
}

/// How many data pages a column chunk has.
fn n_data_pages(chunk: &ColumnChunkMetaData) -> usize {
    let uses = chunk.page_encoding_stats().unwrap().iter();
    let data = uses.filter(|used| used.page_type == PageType::DATA_PAGE);
    data.map(|used| usize::try_from(used.count).unwrap()).sum()
}

/// The bounds of row groups and pages hold for `long` and `text`, are reached by `long`, and the nulls are counted. There are
/// indexes of pages where there is more than one page to choose from.
fn check_statistics(metadata: &ParquetMetaData, rows: &[RecordBatch]) {
    let rows = arrow_select::concat::concat_batches(&rows[0].schema(), rows).unwrap();
    let first_group = metadata.row_group(0).columns();
    assert_eq!(
        metadata.offset_index().is_some(),
        first_group.iter().any(|chunk| n_data_pages(chunk) > 1)
    );
    let mut first_row = 0;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let n_rows = usize::try_from(group.num_rows()).unwrap();
        for (place, chunk) in group.columns().iter().enumerate() {
            let array = rows.column(place).slice(first_row, n_rows);
            let statistics = chunk.statistics().unwrap();
            assert_eq!(statistics.null_count_opt(), Some(array.null_count() as u64));
            if let (Statistics::Int64(found), Some(longs)) =
                (statistics, array.as_primitive_opt::<Int64Type>())
            {
                assert_eq!(found.min_opt().copied(), longs.iter().flatten().min());
                assert_eq!(found.max_opt().copied(), longs.iter().flatten().max());
            }
            let Some(offsets) = metadata.offset_index() else {
                continue;
            };
            let pages = &offsets[number][place].page_locations;
            assert_eq!(pages.len(), n_data_pages(chunk));
            let index = &metadata.column_index().unwrap()[number][place];
            for (page, location) in pages.iter().enumerate() {
                let begin = usize::try_from(location.first_row_index).unwrap();
                let end = pages.get(page + 1);
                let end = end.map_or(n_rows, |next| {
                    usize::try_from(next.first_row_index).unwrap()
                });
                check_page(index, page, &array.slice(begin, end - begin));
            }
        }
        first_row += n_rows;
    }
}

fn check_page(index: &ColumnIndexMetaData, page: usize, array: &ArrayRef) {
    match index {
        ColumnIndexMetaData::INT64(index) => {
            let Some(longs) = array.as_primitive_opt::<Int64Type>() else {
                return;
            };
            assert_eq!(index.min_value(page).copied(), longs.iter().flatten().min());
            assert_eq!(index.max_value(page).copied(), longs.iter().flatten().max());
            assert_eq!(
                index.null_count(page),
                Some(i64::try_from(array.null_count()).unwrap())
            );
        }
        ColumnIndexMetaData::BYTE_ARRAY(index) => {
            for text in array.as_string::<i32>().iter().flatten() {
                assert!(index.min_value(page).unwrap() <= text.as_bytes());
                assert!(index.max_value(page).unwrap() >= text.as_bytes());
            }
            assert_eq!(index.is_null_page(page), array.null_count() == array.len());
        }
        _ => {}
    }
}

/// Of these `test.sh --long` runs fewer cases than of the others.
mod costly_tests {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_reads_back_with_statistics_that_hold(
            draws in prop::collection::vec((draws(), prop_oneof![1_u64..50, 900_u64..3000, Just(21_000)]), 1..4),
            row_group_bytes in prop_oneof![Just(20_000_u64), Just(32 << 20)],
            filtered in prop::sample::select(&COLUMNS[..]),
            delta_encodings: bool,
        ) {
            let batches: Vec<RecordBatch> = draws
                .iter()
                .scan(0, |first, &(draw, n_rows)| {
                    let batch = rows(draw, *first, n_rows);
                    *first += n_rows;
                    Some(batch)
                })
                .collect();
            let options = WriteOptions {
                row_group_bytes,
                delta_encodings,
                bloom_column: Some(filtered.to_owned()),
                ..WriteOptions::default()
            };
            check(&batches, &options);
        }
    }
}

#[test]
fn a_dictionary_that_grows_too_large_is_followed_by_plain_pages() {
    let draw = Draw {
        n_distinct: 60_000,
        run: 1,
        null_share: 1,
    };
    let few = Draw {
        n_distinct: 3,
        run: 1,
        null_share: 1,
    };
    // Few values first, so that a dictionary is chosen; then more than it may hold.
    let batches = [
        rows(few, 0, 3000),
        rows(draw, 3000, 90_000),
        rows(few, 93_000, 5000),
    ];
    check(&batches, &WriteOptions::default());
}

/// The encodings of all data pages of a file of ids, times and few kinds.
fn page_encodings(delta_encodings: bool) -> Vec<Encoding> {
    let (_directory, table) = table();
    let texts = StringArray::from_iter_values((0..1000).map(|n| format!("id-{}", n * 7_919)));
    let longs = Int64Array::from_iter_values((0..1000).map(|n| n * n));
    let columns: [(&str, ArrayRef); 2] = [("text", Arc::new(texts)), ("long", Arc::new(longs))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let options = WriteOptions {
        delta_encodings,
        ..WriteOptions::default()
    };
    let parts = split(&table, &[batch]).unwrap();
    let files = encode(&parts[0], &FileLayout::new(&table).unwrap(), &options).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(files[0].bytes.clone()).unwrap();
    let columns = reader.metadata().row_group(0).columns().iter();
    columns.flat_map(ColumnChunkMetaData::encodings).collect()
}

#[test]
fn only_encodings_that_every_reader_knows_are_written_unless_others_are_asked_for() {
    let common = page_encodings(false);
    let is_common = |encoding| {
        matches!(
            encoding,
            Encoding::PLAIN | Encoding::RLE | Encoding::RLE_DICTIONARY
        )
    };
    assert!(common.iter().copied().all(is_common), "{common:?}");
    let all = page_encodings(true);
    for delta in [
        Encoding::DELTA_BINARY_PACKED,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
    ] {
        assert!(all.contains(&delta), "{all:?}");
    }
}

#[test]
fn texts_of_a_megabyte_each_make_pages_of_about_a_megabyte() {
    let long = "x".repeat(1 << 20);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..40).map(|n| format!("{n}{long}")),
    ));
    let (_directory, table) = table();
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let parts = split(&table, &[batch]).unwrap();
    let files = encode(
        &parts[0],
        &FileLayout::new(&table).unwrap(),
        &WriteOptions::default(),
    )
    .unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new_with_options(files[0].bytes.clone(), options)
            .unwrap();
    let pages = &reader.metadata().offset_index().unwrap()[0][0].page_locations;
    assert_eq!(pages.len(), 40);
}

#[test]
fn pages_have_an_index_where_there_are_several_and_documents_have_none() {
    for (n_rows, has_index) in [(100, false), (50_000, true)] {
        let longs: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n_rows));
        let texts = (0..n_rows).map(|n| n.to_string());
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let (_directory, table) = table();
        let batch = RecordBatch::try_from_iter([("long", longs), ("text", texts)]).unwrap();
        let options = WriteOptions {
            unbounded_columns: vec!["text".to_owned()],
            ..WriteOptions::default()
        };
        let parts = split(&table, &[batch]).unwrap();
        let files = encode(&parts[0], &FileLayout::new(&table).unwrap(), &options).unwrap();
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let bytes = files[0].bytes.clone();
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).unwrap();
        let metadata = reader.metadata();
        assert_eq!(
            metadata.offset_index().is_some(),
            has_index,
            "{n_rows} rows"
        );
        if has_index {
            let index = &metadata.column_index().unwrap()[0];
            let names = metadata.row_group(0).columns().iter();
            for (chunk, index) in names.zip(index) {
                let is_none = matches!(index, ColumnIndexMetaData::NONE);
                assert_eq!(is_none, chunk.column_descr().name() == "text");
            }
        }
    }
}

#[test]
fn a_bloom_filter_finds_a_zero_by_either_sign() {
    // By dictionary, and as they are.
    for (n_distinct, n_rows) in [(3, 3000), (u64::MAX, 3000)] {
        for zero in [0.0, -0.0] {
            let doubles = (0..n_rows).map(|n| {
                if n == 5 {
                    zero
                } else {
                    (n % n_distinct + 1) as f64
                }
            });
            let doubles: ArrayRef = Arc::new(Float64Array::from_iter_values(doubles));
            let (_directory, table) = table();
            let batch = RecordBatch::try_from_iter([("double", doubles)]).unwrap();
            let options = WriteOptions {
                bloom_column: Some("double".to_owned()),
                ..WriteOptions::default()
            };
            let parts = split(&table, &[batch]).unwrap();
            let files = encode(&parts[0], &FileLayout::new(&table).unwrap(), &options).unwrap();
            let properties = ReaderProperties::builder()
                .set_read_bloom_filter(true)
                .build();
            let options = ReadOptionsBuilder::new()
                .with_reader_properties(properties)
                .build();
            let reader =
                SerializedFileReader::new_with_options(files[0].bytes.clone(), options).unwrap();
            let group = reader.get_row_group(0).unwrap();
            let filter = group.get_column_bloom_filter(0).unwrap();
            assert!(
                filter.check(&0.0_f64) && filter.check(&-0.0_f64),
                "{zero} of {n_distinct}"
            );
        }
    }
}

#[test]
fn a_dictionary_takes_long_texts_with_keys_only_up_to_about_a_megabyte() {
    let long = "x".repeat(1 << 18);
    let texts: Vec<String> = (0..40).map(|n| format!("{n}{long}")).collect();
    let keyed: ArrayRef = Arc::new(
        texts
            .iter()
            .map(|text| Some(text.as_str()))
            .collect::<DictionaryArray<Int32Type>>(),
    );
    let (_directory, table) = table();
    let batch = RecordBatch::try_from_iter([("keyed", keyed)]).unwrap();
    let parts = split(&table, &[batch]).unwrap();
    let layout = FileLayout::new(&table).unwrap();
    let files = encode(&parts[0], &layout, &WriteOptions::default()).unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new_with_options(files[0].bytes.clone(), options)
            .unwrap();
    let pages = &reader.metadata().offset_index().unwrap()[0][0].page_locations;
    assert_eq!(pages.len(), 10);
}

#[test]
fn a_required_column_has_no_null_behind_a_key_either() {
    let entries: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let keys = Int32Array::from(vec![0, 1, 0]);
    let keyed: ArrayRef = Arc::new(DictionaryArray::try_new(keys, entries).unwrap());
    let (_directory, table) = table_of([("keyed", DataType::Utf8)], true);
    let batch = RecordBatch::try_from_iter([("keyed", keyed)]).unwrap();
    let parts = split(&table, &[batch]).unwrap();
    let layout = FileLayout::new(&table).unwrap();
    let error = encode(&parts[0], &layout, &WriteOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("1 rows have no value"),
        "{error}"
    );
}
