//! Section 5: what fits.

use arrow_schema::{DataType, TimeUnit};
use expect_test::{Expect, expect};

use super::{check, table};

/// Each value in an event of its own, at the path of a column of the type.
#[track_caller]
fn check_column(data_type: DataType, values: &[&str], expected: Expect) {
    let events: Vec<_> = values
        .iter()
        .map(|value| format!("{{\"v\":{value}}}"))
        .collect();
    check(
        table().column("v", Some("/v"), data_type),
        &events,
        expected,
    );
}

#[test]
fn a_boolean_column_takes_booleans() {
    check_column(
        DataType::Boolean,
        &["true", "false", "1", "\"true\""],
        expect![[r#"
        row: v = true
        row: v = false
        row: _doc = {"v":1}
        row: _doc = {"v":"true"}
        rescued: 2
    "#]],
    );
}

#[test]
fn an_int_takes_integers_in_range_however_spelt() {
    check_column(
        DataType::Int32,
        &[
            "2147483647",
            "-2147483648",
            "2147483648",
            "1.0",
            "1e3",
            "1.5e1",
            "100e-2",
            "-0",
            "-0.0",
            "0e9",
            "1e-1",
        ],
        expect![[r#"
            row: v = 2147483647
            row: v = -2147483648
            row: _doc = {"v":2147483648}
            row: v = 1
            row: v = 1000
            row: v = 15
            row: v = 1
            row: v = 0
            row: v = 0
            row: v = 0
            row: _doc = {"v":1e-1}
            rescued: 2
        "#]],
    );
}

#[test]
fn a_long_takes_integers_in_range_however_spelt() {
    check_column(
        DataType::Int64,
        &[
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "9223372036854775807.0",
            "9.223372036854775807e18",
            "9.2233720368547758070e18",
            "92233720368547758070e-1",
            "0.5",
            "\"1\"",
        ],
        expect![[r#"
            row: v = 9223372036854775807
            row: v = -9223372036854775808
            row: _doc = {"v":9223372036854775808}
            row: v = 9223372036854775807
            row: v = 9223372036854775807
            row: v = 9223372036854775807
            row: v = 9223372036854775807
            row: _doc = {"v":0.5}
            row: _doc = {"v":"1"}
            rescued: 3
        "#]],
    );
}

#[test]
fn a_double_takes_what_the_nearest_double_denotes() {
    check_column(
        DataType::Float64,
        &[
            "0.1",
            "0.10",
            "9007199254740993",
            "9007199254740992",
            "123456789012345678",
            "1e23",
            "0.1234567890123456789",
            "1e-400",
            "0e-400",
            "5e-324",
            "4.9e-324",
            "1.7976931348623157e308",
            "-0",
            "-0.0",
            "-0e5",
        ],
        expect![[r#"
            row: v = 0.1
            row: v = 0.1
            row: _doc = {"v":9007199254740993}
            row: v = 9007199254740992.0
            row: _doc = {"v":123456789012345678}
            row: v = 1e23
            row: _doc = {"v":0.1234567890123456789}
            row: _doc = {"v":1e-400}
            row: v = 0.0
            row: v = 5e-324
            row: _doc = {"v":4.9e-324}
            row: v = 1.7976931348623157e308
            row: v = 0.0
            row: v = -0.0
            row: v = -0.0
            rescued: 5
        "#]],
    );
}

#[test]
fn a_float_takes_what_the_nearest_float_denotes() {
    check_column(
        DataType::Float32,
        &[
            "0.1",
            "16777217",
            "16777216",
            "3.4028235e38",
            "3.5e38",
            "1e-45",
            "1e-46",
            "-0.0",
            "-0",
            "0.12345679",
        ],
        expect![[r#"
            row: v = 0.1
            row: _doc = {"v":16777217}
            row: v = 16777216.0
            row: v = 3.4028235e38
            row: _doc = {"v":3.5e38}
            row: v = 1e-45
            row: _doc = {"v":1e-46}
            row: v = -0.0
            row: v = 0.0
            row: v = 0.12345679
            rescued: 3
        "#]],
    );
}

#[test]
fn a_decimal_takes_what_needs_no_more_digits() {
    check_column(
        DataType::Decimal128(5, 2),
        &[
            "1", "999.99", "1000", "1000.0", "0.001", "1.230", "-999.99", "1e2", "1e3", "1e-2",
            "-0.0", "12345e-2",
        ],
        expect![[r#"
            row: v = 100 unscaled
            row: v = 99999 unscaled
            row: _doc = {"v":1000}
            row: _doc = {"v":1000.0}
            row: _doc = {"v":0.001}
            row: v = 123 unscaled
            row: v = -99999 unscaled
            row: v = 10000 unscaled
            row: _doc = {"v":1e3}
            row: v = 1 unscaled
            row: v = 0 unscaled
            row: v = 12345 unscaled
            rescued: 4
        "#]],
    );
    check_column(
        DataType::Decimal128(38, 0),
        &[
            "99999999999999999999999999999999999999",
            "100000000000000000000000000000000000000",
            "1e37",
        ],
        expect![[r#"
            row: v = 99999999999999999999999999999999999999 unscaled
            row: _doc = {"v":100000000000000000000000000000000000000}
            row: v = 10000000000000000000000000000000000000 unscaled
            rescued: 1
        "#]],
    );
}

#[test]
fn a_string_column_takes_strings() {
    check_column(
        DataType::Utf8,
        &["\"\"", "\"\\u00e9\\n\\ud83d\\ude00\"", "1", "true"],
        expect![[r#"
        row: v = 
        row: v = é
        😀
        row: _doc = {"v":1}
        row: _doc = {"v":true}
        rescued: 2
    "#]],
    );
}

#[test]
fn a_date_takes_dates() {
    check_column(
        DataType::Date32,
        &[
            "\"1970-01-02\"",
            "\"0001-01-01\"",
            "\"9999-12-31\"",
            "\"0000-01-01\"",
            "\"2024-02-29\"",
            "\"2023-02-29\"",
            "\"2023-2-9\"",
            "\"2023-02-09T00:00:00Z\"",
            "\"2023\\u002d02-09\"",
            "1",
        ],
        expect![[r#"
            row: v = 1
            row: v = -719162
            row: v = 2932896
            row: _doc = {"v":"0000-01-01"}
            row: v = 19782
            row: _doc = {"v":"2023-02-29"}
            row: _doc = {"v":"2023-2-9"}
            row: _doc = {"v":"2023-02-09T00:00:00Z"}
            row: v = 19397
            row: _doc = {"v":1}
            rescued: 5
        "#]],
    );
}

#[test]
fn a_timestamptz_takes_times_and_leaves_over_what_does_not_print_back() {
    check_column(
        flatten::timestamptz(),
        &[
            "\"2025-01-01T00:00:00Z\"",
            "\"2025-01-01T00:00:00.120Z\"",
            "\"2025-01-01T00:00:00.000001Z\"",
            "\"2025-01-01T00:00:00.000Z\"",
            "\"2025-01-01T00:00:00.120000Z\"",
            "\"2025-01-01T00:00:00.1Z\"",
            "\"2025-01-01T00:00:00.0000001Z\"",
            "\"2025-01-01T00:00:00+00:00\"",
            "\"2025-01-01 01:00:00+01:00\"",
            "\"2025-01-01t00:00:00z\"",
            "\"2025-01-01T00:00:00\"",
            "\"0001-01-01T00:00:00Z\"",
            "\"0000-12-31T23:59:59Z\"",
            "\"9999-12-31T23:59:59.999999Z\"",
            "\"9999-12-31T23:59:60Z\"",
            "1735689600",
            "1735689600123",
            "-1.5",
            "true",
        ],
        expect![[r#"
            row: v = 2025-01-01T00:00:00Z
            row: v = 2025-01-01T00:00:00.120Z
            row: v = 2025-01-01T00:00:00.000001Z
            row: _doc = {"v":"2025-01-01T00:00:00.000Z"}, v = 2025-01-01T00:00:00Z
            row: _doc = {"v":"2025-01-01T00:00:00.120000Z"}, v = 2025-01-01T00:00:00.120Z
            row: _doc = {"v":"2025-01-01T00:00:00.1Z"}, v = 2025-01-01T00:00:00.100Z
            row: _doc = {"v":"2025-01-01T00:00:00.0000001Z"}, v = 2025-01-01T00:00:00Z
            row: _doc = {"v":"2025-01-01T00:00:00+00:00"}, v = 2025-01-01T00:00:00Z
            row: _doc = {"v":"2025-01-01 01:00:00+01:00"}, v = 2025-01-01T00:00:00Z
            row: _doc = {"v":"2025-01-01t00:00:00z"}, v = 2025-01-01T00:00:00Z
            row: _doc = {"v":"2025-01-01T00:00:00"}
            row: v = 0001-01-01T00:00:00Z
            row: _doc = {"v":"0000-12-31T23:59:59Z"}
            row: v = 9999-12-31T23:59:59.999999Z
            row: _doc = {"v":"9999-12-31T23:59:60Z"}
            row: _doc = {"v":1735689600}, v = 2025-01-01T00:00:00Z
            row: _doc = {"v":1735689600123}, v = 2025-01-01T00:00:00.123Z
            row: _doc = {"v":-1.5}, v = 1969-12-31T23:59:58.500Z
            row: _doc = {"v":true}
            rescued: 4
        "#]],
    );
}

#[test]
fn a_timestamp_without_zone_takes_the_same() {
    check_column(
        DataType::Timestamp(TimeUnit::Microsecond, None),
        &[
            "\"2025-01-01T00:00:00Z\"",
            "\"2025-01-01T00:00:00\"",
            "1735689600",
        ],
        expect![[r#"
            row: v = 2025-01-01T00:00:00Z
            row: _doc = {"v":"2025-01-01T00:00:00"}
            row: _doc = {"v":1735689600}, v = 2025-01-01T00:00:00Z
            rescued: 1
        "#]],
    );
}

#[test]
fn a_string_of_digits_is_a_time_to_a_timestamptz_too() {
    check_column(
        flatten::timestamptz(),
        &["\"1735689600\""],
        expect![[r#"
        row: _doc = {"v":"1735689600"}, v = 2025-01-01T00:00:00Z
    "#]],
    );
}

#[test]
fn an_assumed_offset_makes_times_without_one_readable() {
    check(
        table()
            .shape(|shape| shape.assume_offset = Some("+02:00".to_owned()))
            .column("v", Some("/v"), flatten::timestamptz()),
        &[
            r#"{"v":"2025-01-01T00:00:00"}"#,
            r#"{"v":"2025-01-01T00:00:00Z"}"#,
        ],
        expect![[r#"
            row: _doc = {"v":"2025-01-01T00:00:00"}, v = 2024-12-31T22:00:00Z
            row: v = 2025-01-01T00:00:00Z
        "#]],
    );
}

#[test]
fn a_uuid_takes_lower_case_hex_with_hyphens() {
    check_column(
        DataType::FixedSizeBinary(16),
        &[
            "\"0123abcd-0000-4000-8000-00000000ffff\"",
            "\"0123ABCD-0000-4000-8000-00000000ffff\"",
            "\"0123abcd000040008000-00000000ffff----\"",
            "\"0123abcd00004000800000000000ffff\"",
            "1",
        ],
        expect![[r#"
            row: v = [01, 23, ab, cd, 00, 00, 40, 00, 80, 00, 00, 00, 00, 00, ff, ff]
            row: _doc = {"v":"0123ABCD-0000-4000-8000-00000000ffff"}
            row: _doc = {"v":"0123abcd000040008000-00000000ffff----"}
            row: _doc = {"v":"0123abcd00004000800000000000ffff"}
            row: _doc = {"v":1}
            rescued: 4
        "#]],
    );
}

#[test]
fn other_types_take_nothing() {
    check_column(
        DataType::Time64(TimeUnit::Microsecond),
        &["\"00:00:00\"", "1"],
        expect![[r#"
        row: _doc = {"v":"00:00:00"}
        row: _doc = {"v":1}
        rescued: 2
    "#]],
    );
    check_column(
        DataType::FixedSizeBinary(4),
        &["\"abcd\""],
        expect![[r#"
        row: _doc = {"v":"abcd"}
        rescued: 1
    "#]],
    );
    check_column(
        DataType::LargeBinary,
        &["\"abcd\""],
        expect![[r#"
        row: _doc = {"v":"abcd"}
        rescued: 1
    "#]],
    );
    let item = arrow_schema::Field::new("element", DataType::Int64, true);
    check_column(
        DataType::List(item.into()),
        &["[1]", "1"],
        expect![[r#"
        row: _doc = {"v":[1]}
        row: _doc = {"v":1}
        rescued: 1
    "#]],
    );
}
