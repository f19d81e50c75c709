//! The same values in another Arrow type.
//!
//! `arrow_cast::cast` would do, but it holds the conversions between all types, two megabytes of them, of which writing needs a
//! handful. What reads the files of others (`dedupe`) does use it; the functions do not have that in them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Float64Array, Int64Array, LargeBinaryArray, LargeStringArray,
    StringArray, make_array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::take;

/// Returns the values as `wanted`: out of a dictionary, in another spelling of their type, or promoted as a column of a table may be.
///
/// # Errors
///
/// When no value could be one of `wanted` without a change, and when one is too large for it.
pub(crate) fn retyped(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    use DataType::{
        Binary, Date32, Decimal128, Float32, Float64, Int32, Int64, LargeBinary, LargeUtf8,
        Timestamp, Utf8,
    };
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    if let Some(keyed) = array.as_any_dictionary_opt() {
        return retyped(&take(keyed.values(), keyed.keys(), None)?, wanted);
    }
    Ok(match (array.data_type(), wanted) {
        (Int32, Int64) => {
            let widened: Int64Array = array.as_primitive::<Int32Type>().unary(i64::from);
            Arc::new(widened)
        }
        (Float32, Float64) => {
            let widened: Float64Array = array.as_primitive::<Float32Type>().unary(f64::from);
            Arc::new(widened)
        }
        (Decimal128(found, scale), &Decimal128(precision, same)) if *scale == same => {
            let decimals = array.as_primitive::<Decimal128Type>().clone();
            if precision < *found {
                decimals.validate_decimal_precision(precision)?;
            }
            Arc::new(decimals.with_precision_and_scale(precision, same)?)
        }
        (LargeUtf8, Utf8) => {
            let (offsets, bytes, nulls) = array.as_string::<i64>().clone().into_parts();
            Arc::new(StringArray::try_new(narrowed(&offsets)?, bytes, nulls)?)
        }
        (Utf8, LargeUtf8) => {
            let (offsets, bytes, nulls) = array.as_string::<i32>().clone().into_parts();
            Arc::new(LargeStringArray::try_new(widened(&offsets), bytes, nulls)?)
        }
        (LargeBinary, Binary) => {
            let (offsets, bytes, nulls) = array.as_binary::<i64>().clone().into_parts();
            Arc::new(BinaryArray::try_new(narrowed(&offsets)?, bytes, nulls)?)
        }
        (Binary, LargeBinary) => {
            let (offsets, bytes, nulls) = array.as_binary::<i32>().clone().into_parts();
            Arc::new(LargeBinaryArray::try_new(widened(&offsets), bytes, nulls)?)
        }
        // The same numbers with another meaning, or with another name of UTC: tables have no other zone.
        (Int32, Date32) | (Date32, Int32) => relabelled(array, wanted)?,
        (Timestamp(found, from), Timestamp(unit, to))
            if found == unit && from.is_some() == to.is_some() =>
        {
            relabelled(array, wanted)?
        }
        (found, _) => {
            return Err(ArrowError::CastError(format!(
                "`{found}` cannot be written as `{wanted}`"
            )));
        }
    })
}

fn relabelled(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data().into_builder().data_type(wanted.clone());
    Ok(make_array(data.build()?))
}

fn widened(offsets: &OffsetBuffer<i32>) -> OffsetBuffer<i64> {
    let offsets = offsets.iter().map(|&offset| i64::from(offset)).collect();
    OffsetBuffer::new(offsets)
}

fn narrowed(offsets: &OffsetBuffer<i64>) -> Result<OffsetBuffer<i32>, ArrowError> {
    let offsets: Result<ScalarBuffer<i32>, _> = offsets
        .iter()
        .map(|&offset| i32::try_from(offset))
        .collect();
    let offsets = offsets.map_err(|_| {
        ArrowError::CastError("more than 2 GiB of texts are in one column".to_owned())
    })?;
    Ok(OffsetBuffer::new(offsets))
}

#[cfg(test)]
mod tests {
    use arrow_array::types::{Int8Type, Int32Type as Key, UInt64Type};
    use arrow_array::{
        Date32Array, Decimal128Array, DictionaryArray, Float32Array, Int32Array,
        TimestampMicrosecondArray,
    };
    use arrow_schema::TimeUnit;

    use super::*;

    /// The arrays that batches and data files bring, each with a null.
    fn arrays() -> Vec<ArrayRef> {
        let texts = [Some("a"), None, Some("äöü"), Some(""), Some("a")];
        let bytes = [Some(&b"\xff"[..]), None, Some(b""), Some(b"b")];
        let times = TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1_700_000_000)]);
        let decimals = Decimal128Array::from(vec![Some(-12_345), None, Some(0)]);
        vec![
            Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(7)])),
            Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)])),
            Arc::new(Float32Array::from(vec![Some(0.1), None, Some(-0.0)])),
            Arc::new(decimals.with_precision_and_scale(9, 2).unwrap()),
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(LargeStringArray::from(texts.to_vec())),
            Arc::new(BinaryArray::from(bytes.to_vec())),
            Arc::new(LargeBinaryArray::from(bytes.to_vec())),
            Arc::new(times.clone()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(texts.into_iter().collect::<DictionaryArray<Key>>()),
            Arc::new(texts.into_iter().collect::<DictionaryArray<Int8Type>>()),
            Arc::new(texts.into_iter().collect::<DictionaryArray<UInt64Type>>()),
        ]
    }

    fn types() -> Vec<DataType> {
        let micros =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        vec![
            DataType::Int32,
            DataType::Int64,
            DataType::Date32,
            DataType::Float64,
            DataType::Decimal128(18, 2),
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Binary,
            DataType::LargeBinary,
            micros(None),
            micros(Some("+00:00")),
        ]
    }

    #[test]
    fn what_is_retyped_is_what_a_cast_gives() {
        let mut n_retyped = 0;
        for array in arrays() {
            for wanted in types() {
                // Also of a part of an array, which does not begin with its buffers.
                for array in [array.clone(), array.slice(1, 2)] {
                    let Ok(retyped) = retyped(&array, &wanted) else {
                        continue;
                    };
                    let expected = arrow_cast::cast(&array, &wanted).unwrap();
                    assert_eq!(&retyped, &expected, "{} as {wanted}", array.data_type());
                    n_retyped += 1;
                }
            }
        }
        // 7 arrays that have one of the types already and 16 conversions, each of the whole and of a part.
        assert_eq!(n_retyped, 2 * (7 + 16), "other pairs of types than before");
    }

    #[test]
    fn what_would_change_values_is_refused() {
        for (array, wanted) in [
            (
                Arc::new(StringArray::from(vec!["7"])) as ArrayRef,
                DataType::Int32,
            ),
            (
                Arc::new(Int64Array::from(vec![7])) as ArrayRef,
                DataType::Int32,
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![7])) as ArrayRef,
                DataType::Timestamp(TimeUnit::Nanosecond, None),
            ),
        ] {
            let found = array.data_type().clone();
            let error = retyped(&array, &wanted).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{found}` cannot be written as `{wanted}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_decimal_keeps_to_fewer_digits_only_when_it_has_no_more() {
        let decimals = |value| {
            let decimals = Decimal128Array::from(vec![value]);
            Arc::new(decimals.with_precision_and_scale(9, 2).unwrap()) as ArrayRef
        };
        let wanted = DataType::Decimal128(4, 2);
        assert!(retyped(&decimals(9_999), &wanted).is_ok());
        assert!(retyped(&decimals(10_000), &wanted).is_err());
    }
}
