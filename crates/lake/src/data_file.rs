use std::collections::BTreeMap;

use iceberg::spec::PrimitiveType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A Parquet file of a table, with all that a manifest says about it.
///
/// It stands on its own: it can be sent to another process and committed there without reading the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    /// Where it is.
    pub location: String,
    /// The partition spec that it follows.
    pub spec_id: i32,
    /// The values of its partition fields, in Iceberg's JSON single-value form; null for none.
    pub partition: Vec<Value>,
    /// How many rows it has.
    pub n_rows: u64,
    /// Its size in bytes.
    pub file_bytes: u64,
    /// Where its row groups begin.
    pub split_offsets: Vec<i64>,
    /// What is known of its columns, by field id.
    pub columns: BTreeMap<i32, ColumnFacts>,
}

/// What a [`DataFile`] knows of one of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// The column's type when the file was written.
    #[serde(rename = "type")]
    pub column_type: PrimitiveType,
    /// Its size in the file in bytes; 0 when it is not in the file, because each value is null.
    pub column_bytes: u64,
    /// How many values it has, nulls and NaNs among them.
    pub n_values: u64,
    /// How many of them are null.
    pub n_nulls: u64,
    /// How many of them are not a number; only columns of floats have such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_nans: Option<u64>,
    /// A value that none is below, in Iceberg's binary single-value form as hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex")]
    pub lower: Option<Vec<u8>>,
    /// A value that none is above, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex")]
    pub upper: Option<Vec<u8>>,
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.collect_str(&Hex(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect();
        match digits {
            Some(digits) if digits.len() % 2 == 0 => Ok(Some(
                digits
                    .chunks_exact(2)
                    .map(|pair| pair[0] << 4 | pair[1])
                    .collect(),
            )),
            _ => Err(serde::de::Error::custom(
                "a bound is not written in hex digits",
            )),
        }
    }

    struct Hex<'a>(&'a [u8]);

    impl std::fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}
