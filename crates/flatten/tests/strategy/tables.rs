//! Random tables and shapes, of the few keys that events have.

use std::collections::BTreeMap;

use arrow_schema::{DataType, Field, TimeUnit};
use flatten::{Column, Conflict, DeclaredType, Doc, Schema, Shape, UnreadableTime};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The system columns, and some that another tool or an earlier batch made.
pub(crate) fn schema() -> impl Strategy<Value = Schema> {
    let reserved = select(vec![vec![], vec!["event_time_day"], vec!["A_b", "a__long"]]);
    (vec(column(), 0..6), 0..2usize, reserved).prop_map(|(others, n_before, reserved)| {
        let mut schema = Schema::of_system_columns();
        for (position, column) in others.into_iter().enumerate() {
            let lower_case = column.name.to_ascii_lowercase();
            if schema
                .columns
                .iter()
                .any(|other| other.name.to_ascii_lowercase() == lower_case)
            {
                continue;
            }
            let at = if position < n_before {
                0
            } else {
                schema.columns.len()
            };
            schema.columns.insert(at, column);
        }
        schema.reserved = reserved.into_iter().map(str::to_owned).collect();
        schema
    })
}

fn column() -> impl Strategy<Value = Column> {
    let name = select(vec![
        "a",
        "A",
        "b",
        "user",
        "user_id",
        "userId",
        "id",
        "ts",
        "a_b",
        "a__string",
        "a__long",
        "a__double",
        "a__boolean",
        "b__string",
        "__",
        "_",
        "pos_",
        "a/b",
        "other",
    ]);
    let doc = prop_oneof![
        3 => Just(None),
        6 => pointer().prop_map(|pointer| Some(pointer.to_owned())),
        1 => select(vec!["", "what the user wrote", "/~2", "/a/~"]).prop_map(|doc| Some(doc.to_owned())),
    ];
    (name, doc, data_type(), prop::bool::weighted(0.03)).prop_map(
        |(name, doc, data_type, required)| Column {
            name: name.to_owned(),
            doc,
            data_type,
            required,
        },
    )
}

fn data_type() -> impl Strategy<Value = DataType> {
    let child = Field::new("id", DataType::Int64, true);
    prop_oneof![
        12 => select(vec![
            DataType::Boolean,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Utf8,
            DataType::Date32,
            DataType::Decimal128(9, 2),
            DataType::Decimal128(38, 10),
            DataType::Decimal128(3, 3),
            flatten::timestamptz(),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::FixedSizeBinary(16),
        ]),
        1 => select(vec![
            DataType::FixedSizeBinary(4),
            DataType::LargeBinary,
            DataType::Binary,
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Struct(vec![child.clone()].into()),
            DataType::List(child.into()),
        ]),
    ]
}

/// What decides how these events become rows.
pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let time = prop_oneof![
        Just(Shape::default().time),
        subsequence(
            vec!["/t", "/user/ts", "/a", "/ts", "/a/b", "/", "/a~1b"],
            0..4
        )
        .prop_map(|list| list.into_iter().map(str::to_owned).collect()),
    ];
    let earliest = prop_oneof![
        3 => Just("0000-01-01T00:00:00Z".to_owned()),
        1 => Just(Shape::default().earliest),
    ];
    let latest_seconds = prop_oneof![Just(86_400), Just(u32::MAX), Just(0)];
    let modes = (
        any::<bool>(),
        prop::bool::weighted(0.2),
        any::<bool>(),
        select(vec![None, Some("Z"), Some("+05:30")]),
    );
    let limits = (
        prop_oneof![3 => Just(8usize), 1 => 1..4usize],
        prop_oneof![3 => Just(500usize), 1 => 6..20usize],
        prop_oneof![3 => Just(64usize), 1 => 0..6usize],
        prop_oneof![8 => Just(1usize << 20), 1 => 2..60usize],
    );
    let columns = btree_map(pointer(), declared(), 0..5);
    (columns, time, earliest, latest_seconds, modes, limits).prop_map(
        |(columns, time, earliest, latest_seconds, modes, limits)| Shape {
            columns: reachable(columns),
            time,
            earliest,
            latest_seconds,
            unreadable_time: if modes.0 {
                UnreadableTime::Arrival
            } else {
                UnreadableTime::Refuse
            },
            doc: if modes.1 { Doc::Full } else { Doc::LeftOver },
            conflict: if modes.2 {
                Conflict::Sibling
            } else {
                Conflict::Rescue
            },
            assume_offset: modes.3.map(str::to_owned),
            max_depth: limits.0,
            max_columns: limits.1,
            max_new_columns: limits.2,
            max_event_bytes: limits.3,
            ..Shape::default()
        },
    )
}

fn reachable(columns: BTreeMap<&str, DeclaredType>) -> BTreeMap<String, DeclaredType> {
    columns
        .into_iter()
        .map(|(pointer, declared)| (pointer.to_owned(), declared))
        .collect()
}

fn pointer() -> impl Strategy<Value = &'static str> {
    select(vec![
        "/a", "/A", "/b", "/user", "/user/id", "/user/a", "/a/a", "/a/b", "/a/b/a", "/b/a", "/ts",
        "/t", "/user/ts", "/a~1b", "/a~0b", "/", "//a", "/日本", "/é", "/userId", "/id",
    ])
}

fn declared() -> impl Strategy<Value = DeclaredType> {
    prop_oneof![
        select(vec![
            DeclaredType::Boolean,
            DeclaredType::Long,
            DeclaredType::Double,
            DeclaredType::String,
            DeclaredType::Timestamptz,
            DeclaredType::Date,
            DeclaredType::Json,
            DeclaredType::Rescue,
            DeclaredType::Drop,
            DeclaredType::Sha256,
        ]),
        (1..=38u8).prop_flat_map(|precision| {
            (0..=precision).prop_map(move |scale| DeclaredType::Decimal { precision, scale })
        }),
    ]
}
