use std::fmt;
use std::str::FromStr;

use iceberg::spec::{Schema, Transform, UnboundPartitionField, UnboundPartitionSpec};
use serde::{Deserialize, Serialize};

use crate::error::LakeError;
use crate::name::TableName;

/// One field of a partitioning: a transform over a column of the top level.
///
/// ```text
/// day(event_time)   bucket(16, user_id)   truncate(8, url)   identity(country) or country   void(x)
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartitionTerm {
    transform: Transform,
    column: String,
}

impl PartitionTerm {
    /// The column that it is made from.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The transform.
    pub fn transform(&self) -> Transform {
        self.transform
    }

    /// The name of the partition field, as other Iceberg writers give it: `event_time_day`, `user_id_bucket`.
    pub fn field_name(&self) -> String {
        let column = &self.column;
        match self.transform {
            Transform::Bucket(_) => format!("{column}_bucket"),
            Transform::Truncate(_) => format!("{column}_trunc"),
            Transform::Year => format!("{column}_year"),
            Transform::Month => format!("{column}_month"),
            Transform::Day => format!("{column}_day"),
            Transform::Hour => format!("{column}_hour"),
            Transform::Void => format!("{column}_null"),
            Transform::Identity | Transform::Unknown => column.clone(),
        }
    }
}

impl fmt::Display for PartitionTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = &self.column;
        match self.transform {
            Transform::Bucket(n) => write!(f, "bucket({n}, {column})"),
            Transform::Truncate(width) => write!(f, "truncate({width}, {column})"),
            transform => write!(f, "{transform}({column})"),
        }
    }
}

impl FromStr for PartitionTerm {
    type Err = InvalidPartitionTerm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |reason| InvalidPartitionTerm {
            term: text.to_owned(),
            reason,
        };
        let term = text.trim();
        let Some((word, rest)) = term.split_once('(') else {
            let column = column_name(term).ok_or_else(|| refused("a column is missing"))?;
            return Ok(Self {
                transform: Transform::Identity,
                column,
            });
        };
        let inner = rest
            .strip_suffix(')')
            .ok_or_else(|| refused("`)` is missing at the end"))?;
        let (argument, column) = match inner.split_once(',') {
            Some((argument, column)) => (Some(argument.trim()), column),
            None => (None, inner),
        };
        let column = column_name(column.trim()).ok_or_else(|| refused("a column is missing"))?;
        let number = || match argument.map(str::parse::<u32>) {
            Some(Ok(number)) if (1..=i32::MAX.unsigned_abs()).contains(&number) => Ok(number),
            _ => Err(refused("it needs a whole number above 0 before the column")),
        };
        let transform = match word.trim() {
            "bucket" => Transform::Bucket(number()?),
            "truncate" => Transform::Truncate(number()?),
            _ if argument.is_some() => return Err(refused("it takes a column and nothing else")),
            "identity" => Transform::Identity,
            "year" => Transform::Year,
            "month" => Transform::Month,
            "day" => Transform::Day,
            "hour" => Transform::Hour,
            "void" => Transform::Void,
            _ => {
                return Err(refused(
                    "the transform is none of identity, year, month, day, hour, bucket, truncate \
                     and void",
                ));
            }
        };
        Ok(Self { transform, column })
    }
}

fn column_name(text: &str) -> Option<String> {
    let odd = |c: char| matches!(c, '(' | ')' | ',');
    (!text.is_empty() && !text.contains(odd)).then(|| text.to_owned())
}

impl TryFrom<String> for PartitionTerm {
    type Error = InvalidPartitionTerm;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PartitionTerm> for String {
    fn from(term: PartitionTerm) -> Self {
        term.to_string()
    }
}

/// A text that is not a partition term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{term}` is not a partition term: {reason}")]
pub struct InvalidPartitionTerm {
    /// What was given.
    pub term: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The ids of a table's partition fields begin here.
const FIRST_FIELD_ID: i32 = 1000;

/// Returns the partitioning of a new table over these columns.
///
/// It has ids, although a REST catalog gives out its own: those in Java refuse a partitioning without one.
pub(crate) fn new_spec(
    table: &TableName,
    schema: &Schema,
    terms: &[PartitionTerm],
) -> Result<UnboundPartitionSpec, LakeError> {
    let mut builder = UnboundPartitionSpec::builder().with_spec_id(0);
    for (field_id, term) in (FIRST_FIELD_ID..).zip(terms) {
        let refused = |reason: String| LakeError::Partition {
            table: table.clone(),
            term: term.to_string(),
            reason,
        };
        let top_level = schema.as_struct();
        let field = top_level
            .field_by_name(&term.column)
            .ok_or_else(|| refused(format!("there is no column `{}`", term.column)))?;
        term.transform.result_type(&field.field_type).map_err(|_| {
            refused(format!(
                "it cannot be made from a column of type `{}`",
                field.field_type
            ))
        })?;
        let added = UnboundPartitionField {
            source_id: field.id,
            field_id: Some(field_id),
            name: term.field_name(),
            transform: term.transform,
        };
        builder = builder
            .add_partition_fields([added])
            .map_err(|error| refused(error.message().to_owned()))?;
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let term = text.parse::<PartitionTerm>();
        let found = term.as_ref().ok().map(|t| (t.to_string(), t.field_name()));
        assert_eq!(
            found
                .as_ref()
                .map(|(text, name)| (text.as_str(), name.as_str())),
            expected,
            "{term:?}"
        );
    }

    /// Catalogs in Java read no partitioning without ids.
    #[test]
    fn a_new_partitioning_has_ids() {
        let column = |id, name: &str, kind| iceberg::spec::NestedField::optional(id, name, kind);
        let time = iceberg::spec::PrimitiveType::Timestamptz.into();
        let text = iceberg::spec::PrimitiveType::String.into();
        let fields = [
            column(1, "event_time", time).into(),
            column(2, "city", text).into(),
        ];
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        let terms: Vec<PartitionTerm> = ["day(event_time)", "city"]
            .map(|term| term.parse().unwrap())
            .into();
        let spec = new_spec(&"sales.events".parse().unwrap(), &schema, &terms).unwrap();
        assert_eq!(spec.spec_id(), Some(0));
        let ids: Vec<_> = spec.fields().iter().map(|field| field.field_id).collect();
        assert_eq!(ids, [Some(1000), Some(1001)]);
    }

    #[test]
    fn terms_read_and_print() {
        check(
            "day(event_time)",
            Some(("day(event_time)", "event_time_day")),
        );
        check(
            " bucket( 16 ,user_id ) ",
            Some(("bucket(16, user_id)", "user_id_bucket")),
        );
        check("truncate(8, url)", Some(("truncate(8, url)", "url_trunc")));
        check("country", Some(("identity(country)", "country")));
        check("identity(country)", Some(("identity(country)", "country")));
        check("void(x)", Some(("void(x)", "x_null")));
        check("year(t)", Some(("year(t)", "t_year")));
        check("month(t)", Some(("month(t)", "t_month")));
        check("hour(t)", Some(("hour(t)", "t_hour")));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "day()",
            "day(t",
            "bucket(x)",
            "bucket(0, x)",
            "week(t)",
            "day(1, t)",
            "a,b",
            "bucket(-1, x)",
        ] {
            check(text, None);
        }
    }
}
