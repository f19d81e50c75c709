//! Random JSON as text: every spelling that means something to a rule.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// An object, with members that collide, repeat and nest.
pub(crate) fn object() -> impl Strategy<Value = String> {
    (vec(member(value()), 0..7), space(), space())
        .prop_map(|(members, before, after)| format!("{before}{{{}}}{after}", members.join(",")))
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            3 => vec(member(inner.clone()), 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => vec((space(), inner.clone()), 0..4).prop_map(|elements| {
                let texts: Vec<_> = elements.iter().map(|(space, text)| format!("{space}{text}{space}")).collect();
                format!("[{}]", texts.join(","))
            }),
            1 => (vec(key(), 1..9), inner).prop_map(|(keys, inner)| {
                keys.iter().fold(inner, |inner, key| format!("{{{key}:{inner}}}"))
            }),
        ]
    })
}

fn member(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (key(), value, space(), space())
        .prop_map(|(key, value, one, other)| format!("{one}{key}{other}:{one}{value}{other}"))
}

/// Keys with their quotes: few, so that paths meet; several spellings and cases of the same.
fn key() -> impl Strategy<Value = String> {
    let usual = select(vec!["a", "b", "A", "\\u0061", "user", "id", "ts", "t", ""]);
    let special = select(vec![
        "a_b",
        "a b",
        "a-b",
        "a.b",
        "a/b",
        "a~b",
        "a~1b",
        "~",
        "1",
        "1a",
        "_",
        "__",
        "a__string",
        "a__long",
        "b__double",
        "userId",
        "userid",
        "user_id",
        "USER_ID",
        "日本",
        "é",
        "É",
        "\\u00e9",
        "\\ud83d\\ude00",
        "😀",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "event_time",
        "event_time_day",
        "EVENT_time",
        "_doc",
        "_DOC",
        "_ingested_at",
        "_source_id",
        "pos",
        "pos_",
        "file_path",
        "_metadata",
        "created_at",
        "timestamp",
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
    ]);
    let long = (118..132usize, select(vec!["k", "日"]))
        .prop_map(|(n_bytes, scalar)| scalar.repeat(n_bytes / scalar.len()));
    prop_oneof![
        30 => usual.prop_map(str::to_owned),
        12 => special.prop_map(str::to_owned),
        1 => long,
    ]
    .prop_map(|key| format!("\"{key}\""))
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => select(vec!["null", "true", "false", "{}", "[]", "{ }", "[ ]"]).prop_map(str::to_owned),
        6 => number(),
        3 => string(),
        3 => time(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (-3..100i64).prop_map(|number| number.to_string()),
        3 => select(vec![
            "-0", "-0.0", "-0e0", "-0.00e-7", "0", "0.0", "0e0", "0e999", "1.0", "1e3", "1E+2", "10e-1", "1.5", "0.1", "1e-1",
            "100.000", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
            "9223372036854775807.0", "922337203685477580.7e1", "18446744073709551615", "18446744073709551616",
            "2147483647", "2147483648", "-2147483648", "-2147483649", "9007199254740991", "9007199254740993", "1e15", "1e16",
            "123456789012345", "1234567890123456", "12345678901234567", "0.123456789012345", "0.1234567890123456",
            "0.12345678901234567", "0.123456789012345678", "16777217", "3.4028235e38", "3.4028236e38", "1e-45", "1.4e-45",
            "5e-324", "2.5e-324", "1e-400", "1e-99999999999999999999", "0e99999999999999999999", "1e308", "1.7976931348623157e308",
            "1.7976931348623159e308", "1e309", "99999999999999999999999999999999999999", "100000000000000000000000000000000000000",
            "0.30000000000000004", "2.2250738585072014e-308", "2.2250738585072011e-308", "1e22", "1e23", "8.5e22",
        ]).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_filter("JSON has no such numbers", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
        1 => any::<f32>().prop_filter("JSON has no such numbers", |number| number.is_finite()).prop_map(|number| format!("{number}")),
        2 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        2 => "-?[1-9][0-9]{7,18}(\\.[0-9]{1,8})?",
    ]
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "\"\"",
            "\"x\"",
            "\"1\"",
            "\"-1\"",
            "\"1e3\"",
            "\"007\"",
            "\"true\"",
            "\"\\u0041\"",
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
            "\"\\ud83d\\ude00\"",
            "\"😀 é\"",
            "\"\\u0000\"",
            "\"\u{7f}\"",
            "\"{}\"",
            "\"\\ud800\"",
            "\"\\udc00x\"",
            "\"0123abcd-0000-4000-8000-00000000ffff\"",
            "\"0123ABCD-0000-4000-8000-00000000FFFF\"",
            "\"0123abcd-0000-4000-8000-00000000fff\\u0066\"",
            "\"2024-02-29\"",
            "\"2023-02-29\"",
            "\"0000-01-01\"",
            "\"0001-01-01\"",
        ])
        .prop_map(str::to_owned),
        "\"[a-z0-9 ]{0,40}\"",
        "\"([a-z]{0,20}\\\\[nrt\"/]){0,6}\"",
        "\"[\\PC&&[^\"\\\\]]{0,20}\"",
        (0..300usize).prop_map(|length| format!("\"{}\"", "l".repeat(length))),
    ]
}

/// Times in every spelling, some of them wrong.
fn time() -> impl Strategy<Value = String> {
    let date = select(vec![
        "2025-01-01",
        "2024-02-29",
        "2023-02-29",
        "1970-01-01",
        "1969-12-31",
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "1990-01-01",
        "1989-12-31",
        "2025-10-10",
        "2025-13-01",
        "2025-00-10",
        "2025-04-31",
        "2025-1-1",
        "10000-01-01",
    ]);
    let clock = select(vec![
        "00:00:00", "23:59:59", "23:59:60", "12:30:60", "08:53:20", "08:53:21", "24:00:00",
        "00:60:00", "00:00:61", "1:02:03", "00:00",
    ]);
    let fraction = select(vec![
        "",
        ".0",
        ".1",
        ".12",
        ".123",
        ".000",
        ".120",
        ".123456",
        ".120000",
        ".000000",
        ".1234567",
        ".123456789",
        ".123456000",
        ".000000000",
        ".999999999",
        ".",
        ".12345678901234567890",
    ]);
    let offset = select(vec![
        "Z", "z", "+00:00", "-00:00", "+01:00", "-23:59", "+24:00", "+0100", "+01:60", "", " ",
        "\\u005a",
    ]);
    let separator = select(vec!["T", "T", "T", "t", " ", "_"]);
    let text = (date, separator, clock, fraction, offset).prop_map(
        |(date, separator, clock, fraction, offset)| {
            format!("\"{date}{separator}{clock}{fraction}{offset}\"")
        },
    );
    let readable = ("(19|20)[0-9]{2}-0[1-9]-[12][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{3}|\\.[0-9]{6})?(Z|\\+00:00|\\+02:00)")
        .prop_map(|text| format!("\"{text}\""));
    let around_now = (
        1_759_900_000i64..1_760_200_000,
        select(vec![
            "",
            "000",
            "123",
            "000000",
            "123456",
            "123456789",
            ".5",
            ".1234567",
        ]),
    )
        .prop_map(|(second, rest)| format!("{second}{rest}"));
    let edges = select(vec![
        "99999999999",
        "100000000000",
        "99999999999999",
        "100000000000000",
        "99999999999999999",
        "100000000000000000",
        "253402300799",
        "-62167219200",
        "-62167219201",
        "631152000",
        "631151999.9999999",
        "1760086400",
        "1760086400.0000009",
        "1760086401",
        "9223372036854775807",
        "-1",
        "1.76e9",
        "1760000000000e-3",
        "99999999999.99999999",
        "253402300799999999",
        "-0",
    ])
    .prop_map(str::to_owned);
    prop_oneof![
        2 => text,
        2 => readable,
        2 => around_now.clone(),
        1 => around_now.prop_map(|text| format!("\"{text}\"")),
        1 => edges.clone(),
        1 => edges.prop_map(|text| format!("\"{text}\"")),
    ]
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(""),
        1 => select(vec![" ", "\n", "\t", "\r\n", "  "]),
    ]
}
