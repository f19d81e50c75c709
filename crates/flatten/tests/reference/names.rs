//! Section 2: pointers, names, reserved names.

use flatten::Column;

const RESERVED: &str = "event_time _ingested_at _time_source _source_id _source_index _doc _file _pos _deleted _spec_id \
    _partition _row_id _last_updated_sequence_number _change_type _change_ordinal _commit_snapshot_id file_path pos _metadata";

/// The path as in RFC 6901.
pub(crate) fn pointer<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    keys.into_iter().fold(String::new(), |above, key| {
        format!("{above}/{}", key.replace('~', "~0").replace('/', "~1"))
    })
}

/// The keys of a pointer, `None` when the text is none.
pub(crate) fn keys(pointer: &str) -> Option<Vec<String>> {
    let well_escaped = pointer
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with('0') || rest.starts_with('1'));
    let begins_well = pointer.is_empty() || pointer.starts_with('/');
    (well_escaped && begins_well).then(|| {
        pointer
            .split('/')
            .skip(1)
            .map(|key| key.replace("~1", "/").replace("~0", "~"))
            .collect()
    })
}

/// The column name of a path.
pub(crate) fn column_name(keys: &[String], partition_fields: &[String]) -> String {
    let plain = |key: &String| -> String {
        key.chars()
            .map(|scalar| scalar.to_ascii_lowercase())
            .map(|scalar| match scalar {
                'a'..='z' | '0'..='9' | '_' => scalar,
                _ => '_',
            })
            .collect()
    };
    let mut name = keys.iter().map(plain).collect::<Vec<_>>().join("_");
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name = format!("_{name}");
    }
    while is_reserved(&name, partition_fields) {
        name = format!("{name}_");
    }
    name
}

pub(crate) fn is_reserved(name: &str, partition_fields: &[String]) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED.split_whitespace().any(|reserved| reserved == name)
        || partition_fields
            .iter()
            .any(|field| field.to_ascii_lowercase() == name)
}

/// The position of a system column, which every table has.
pub(crate) fn system_column(columns: &[Column], name: &str) -> usize {
    columns
        .iter()
        .position(|column| column.name.to_ascii_lowercase() == name)
        .expect("every table that takes events has the system columns")
}

/// The pointer of the path that each column belongs to: its owner's, or the one that it is a sibling for.
///
/// `None`: a system column, the empty pointer, or a name whose pointer another column holds.
pub(crate) fn pointers(columns: &[Column]) -> Vec<Option<String>> {
    let system: Vec<_> = flatten::system::NAMES
        .iter()
        .map(|name| system_column(columns, name))
        .collect();
    let held: Vec<_> = columns
        .iter()
        .enumerate()
        .filter(|(position, _)| !system.contains(position))
        .filter_map(|(_, column)| Some((column.name.as_str(), held_pointer(column)?)))
        .collect();
    columns
        .iter()
        .enumerate()
        .map(|(position, column)| {
            if system.contains(&position) {
                return None;
            }
            let by_name = pointer([column.name.as_str()]);
            match held_pointer(column) {
                Some("") => None,
                Some(pointer) => Some(pointer.to_owned()),
                None => {
                    let mut others = held.iter().filter(|(_, held)| *held == by_name);
                    others
                        .all(|(other, _)| is_sibling(other, &column.name))
                        .then_some(by_name)
                }
            }
        })
        .collect()
}

/// The path's column among those that belong to the path: the one without a pointer if there is one, else the first.
pub(crate) fn column_of(
    columns: &[Column],
    pointers: &[Option<String>],
    pointer: &str,
) -> Option<usize> {
    let belonging =
        || (0..columns.len()).filter(|&position| pointers[position].as_deref() == Some(pointer));
    belonging()
        .find(|&position| held_pointer(&columns[position]).is_none())
        .or_else(|| belonging().next())
}

/// Whether a column has the name of a sibling of another.
fn is_sibling(candidate: &str, name: &str) -> bool {
    ["boolean", "string", "long", "double"]
        .iter()
        .any(|kind| candidate.eq_ignore_ascii_case(&format!("{name}__{kind}")))
}

fn held_pointer(column: &Column) -> Option<&str> {
    column.doc.as_deref().filter(|doc| keys(doc).is_some())
}
