//! One Arrow column under construction, from which the last row can be taken back.

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, PrimitiveArray,
    new_null_array,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use crate::gaps::Gaps;
use crate::number::Number;
use crate::text::TextBuilder;
use crate::time;

/// A scalar of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    Boolean(bool),
    Number(Number<'a>),
    /// The content of a string, unescaped.
    Text(&'a [u8]),
}

/// Whether a column took a value (section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It prints back from the column.
    Whole,
    /// The column holds it, but not its spelling: the original has to be kept as well.
    KeepOriginal,
    /// It does not fit.
    None,
}

#[derive(Debug)]
enum Values {
    Boolean(BooleanBufferBuilder),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Date(Vec<i32>),
    Timestamp(Vec<i64>, Option<i32>),
    Text(TextBuilder),
    Uuid(Vec<u8>),
    /// A type that takes nothing.
    Nothing,
}

/// A column of one chunk. Rows that were never put are null.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    data_type: DataType,
    values: Values,
    /// The row behind the last one put, or [`NOT_BEGUN`].
    next: usize,
    gaps: Gaps,
    /// How many rows the column will have at most.
    max_rows: usize,
}

/// No value has been put, and no room made. No row has this number, so that one comparison finds what is not the usual case.
const NOT_BEGUN: usize = usize::MAX;

impl ColumnBuilder {
    /// An empty column of at most `max_rows` rows; `assume_offset_s` is for times without an offset.
    pub(crate) fn new(data_type: &DataType, assume_offset_s: Option<i32>, max_rows: usize) -> Self {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int32 => Values::Int(Vec::new()),
            DataType::Int64 => Values::Long(Vec::new()),
            DataType::Float32 => Values::Float(Vec::new()),
            DataType::Float64 => Values::Double(Vec::new()),
            DataType::Decimal128(precision, scale) => {
                Values::Decimal(Vec::new(), *precision, *scale)
            }
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Values::Timestamp(Vec::new(), assume_offset_s)
            }
            DataType::Utf8 => Values::Text(TextBuilder::new()),
            DataType::FixedSizeBinary(16) => Values::Uuid(Vec::new()),
            _ => Values::Nothing,
        };
        Self {
            data_type: data_type.clone(),
            values,
            next: NOT_BEGUN,
            gaps: Gaps::default(),
            max_rows,
        }
    }

    /// How many rows have been put, nulls before the last value included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        if self.next == NOT_BEGUN { 0 } else { self.next }
    }

    /// Puts the value into row `row`, which must not be before the last one put.
    #[inline]
    pub(crate) fn put(&mut self, row: usize, scalar: Scalar<'_>) -> Fit {
        match (&self.values, scalar) {
            (Values::Text(_), Scalar::Text(text)) => self.put_text(row, text, text.len()),
            (Values::Long(_), Scalar::Number(number)) => {
                let Some(long) = number.to_long() else {
                    return Fit::None;
                };
                self.put_long(row, long);
            }
            (Values::Double(_), Scalar::Number(number)) => {
                let Some(double) = number.to_double() else {
                    return Fit::None;
                };
                self.put_double(row, double);
            }
            (Values::Boolean(_), Scalar::Boolean(boolean)) => self.put_boolean(row, boolean),
            _ => return self.put_rare(row, scalar),
        }
        Fit::Whole
    }

    /// Puts a number into a `long` or `double` column that can hold it. False: nothing was put, [`Self::put`] says why.
    #[inline]
    pub(crate) fn put_number(&mut self, row: usize, number: Number<'_>) -> bool {
        match &self.values {
            Values::Long(_) => {
                let long = number.to_long();
                long.is_some_and(|long| {
                    self.put_long(row, long);
                    true
                })
            }
            Values::Double(_) => {
                let double = number.to_double();
                double.is_some_and(|double| {
                    self.put_double(row, double);
                    true
                })
            }
            _ => false,
        }
    }

    /// Puts a value of a `double` column.
    #[inline]
    pub(crate) fn put_double(&mut self, row: usize, double: f64) {
        self.pad(row);
        if let Values::Double(values) = &mut self.values {
            values.push(double);
        }
        self.next = row + 1;
    }

    /// Puts a value of a `boolean` column.
    #[inline]
    pub(crate) fn put_boolean(&mut self, row: usize, boolean: bool) {
        self.pad(row);
        if let Values::Boolean(values) = &mut self.values {
            values.append(boolean);
        }
        self.next = row + 1;
    }

    /// The types that only declared columns and other tools' tables have.
    fn put_rare(&mut self, row: usize, scalar: Scalar<'_>) -> Fit {
        let mut fit = Fit::Whole;
        // Found before padding: a value that does not fit leaves the column as it was.
        let value = match (&self.values, scalar) {
            (Values::Int(_), Scalar::Number(number)) => number.to_int().map(i128::from),
            (Values::Float(_), Scalar::Number(number)) => {
                number.to_float().map(|float| i128::from(float.to_bits()))
            }
            (Values::Decimal(_, precision, scale), Scalar::Number(number)) => {
                number.to_decimal(*precision, *scale)
            }
            (Values::Date(_), Scalar::Text(text)) => time::parse_date(text)
                .filter(|&days| days >= time::FIRST_DAY)
                .map(i128::from),
            (Values::Timestamp(_, assume_offset_s), Scalar::Text(text)) => {
                time::read_text(text, *assume_offset_s).map(|reading| {
                    if text != time::canonical(reading.time_us).as_bytes() {
                        fit = Fit::KeepOriginal;
                    }
                    i128::from(reading.time_us)
                })
            }
            (Values::Timestamp(..), Scalar::Number(number)) => {
                fit = Fit::KeepOriginal;
                time::read_number(number).map(|reading| i128::from(reading.time_us))
            }
            (Values::Uuid(_), Scalar::Text(text)) => uuid(text),
            _ => None,
        };
        if matches!(self.values, Values::Timestamp(..))
            && value.is_some_and(|time_us| time_us < i128::from(time::FIRST_DAY) * 86_400_000_000)
        {
            return Fit::None;
        }
        let Some(value) = value else { return Fit::None };
        self.pad(row);
        // Each value was made for its column above, so the narrowing loses nothing.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "made for its width above"
        )]
        match &mut self.values {
            Values::Int(values) | Values::Date(values) => values.push(value as i32),
            Values::Float(values) => values.push(f32::from_bits(value as u32)),
            Values::Decimal(values, ..) => values.push(value),
            Values::Timestamp(values, _) => values.push(value as i64),
            Values::Uuid(values) => values.extend_from_slice(&value.to_be_bytes()),
            _ => {}
        }
        self.next = row + 1;
        fit
    }

    /// Puts a value of a `long` or time column.
    #[inline]
    pub(crate) fn put_long(&mut self, row: usize, long: i64) {
        self.pad(row);
        if let Values::Long(values) | Values::Timestamp(values, _) = &mut self.values {
            values.push(long);
        }
        self.next = row + 1;
    }

    /// Puts a value of a `string` column: the first `n_bytes` bytes, and more bytes behind them make it faster.
    #[inline]
    pub(crate) fn put_text(&mut self, row: usize, ahead: &[u8], n_bytes: usize) {
        self.pad(row);
        let max_rows = self.max_rows;
        if let Values::Text(texts) = &mut self.values {
            texts.push(ahead, n_bytes, max_rows);
        }
        self.next = row + 1;
    }

    /// Puts a value of a `string` column which is that of the last row put.
    #[inline]
    pub(crate) fn put_text_again(&mut self, row: usize, text: &[u8]) {
        self.pad(row);
        let max_rows = self.max_rows;
        if let Values::Text(texts) = &mut self.values {
            texts.push_again(text, max_rows);
        }
        self.next = row + 1;
    }

    /// Whether `string` values go here.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.values, Values::Text(_))
    }

    /// Fills the rows up to `row` with nulls.
    #[inline]
    fn pad(&mut self, row: usize) {
        if row != self.next {
            self.skip_to(row);
        }
    }

    #[inline(never)]
    fn skip_to(&mut self, row: usize) {
        if self.next == NOT_BEGUN {
            self.next = 0;
            self.reserve();
        }
        debug_assert!(row >= self.next, "no row has two values of a column");
        if row > self.next {
            self.append_nulls(row - self.next);
        }
    }

    /// Makes room for all rows, once the column has a value: most columns of a wide table have none in a chunk.
    #[cold]
    fn reserve(&mut self) {
        match &mut self.values {
            Values::Int(values) | Values::Date(values) => values.reserve_exact(self.max_rows),
            Values::Long(values) | Values::Timestamp(values, _) => {
                values.reserve_exact(self.max_rows);
            }
            Values::Double(values) => values.reserve_exact(self.max_rows),
            Values::Boolean(values) => values.reserve(self.max_rows),
            Values::Text(texts) => texts.begin(self.max_rows),
            _ => {}
        }
    }

    fn append_nulls(&mut self, n_nulls: usize) {
        let len = self.next + n_nulls;
        match &mut self.values {
            Values::Boolean(values) => values.append_n(n_nulls, false),
            Values::Int(values) | Values::Date(values) => values.resize(len, 0),
            Values::Long(values) | Values::Timestamp(values, _) => values.resize(len, 0),
            Values::Float(values) => values.resize(len, 0.0),
            Values::Double(values) => values.resize(len, 0.0),
            Values::Decimal(values, ..) => values.resize(len, 0),
            Values::Text(texts) => texts.append_nulls(n_nulls),
            Values::Uuid(values) => values.resize(len * 16, 0),
            Values::Nothing => {}
        }
        self.gaps.add(self.next, n_nulls);
        self.next = len;
    }

    /// Takes back everything from row `n_rows` on.
    pub(crate) fn truncate(&mut self, n_rows: usize) {
        if self.len() <= n_rows {
            return;
        }
        match &mut self.values {
            Values::Boolean(values) => values.truncate(n_rows),
            Values::Int(values) | Values::Date(values) => values.truncate(n_rows),
            Values::Long(values) | Values::Timestamp(values, _) => values.truncate(n_rows),
            Values::Float(values) => values.truncate(n_rows),
            Values::Double(values) => values.truncate(n_rows),
            Values::Decimal(values, ..) => values.truncate(n_rows),
            Values::Text(texts) => texts.truncate(n_rows),
            Values::Uuid(values) => values.truncate(n_rows * 16),
            Values::Nothing => {}
        }
        self.gaps.truncate(n_rows);
        self.next = n_rows;
    }

    /// The array of `n_rows` rows.
    ///
    /// # Errors
    ///
    /// None are known: the buffers are built to match. Arrow checks them all the same.
    pub(crate) fn finish(mut self, n_rows: usize) -> Result<ArrayRef, ArrowError> {
        self.pad(n_rows);
        let nulls = self.gaps.validity(n_rows);
        Ok(match self.values {
            Values::Boolean(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int(values) => primitive::<Int32Type>(values, nulls)?,
            Values::Long(values) => primitive::<Int64Type>(values, nulls)?,
            Values::Float(values) => primitive::<Float32Type>(values, nulls)?,
            Values::Double(values) => primitive::<Float64Type>(values, nulls)?,
            Values::Decimal(values, precision, scale) => Arc::new(
                PrimitiveArray::<Decimal128Type>::try_new(values.into(), nulls)?
                    .with_precision_and_scale(precision, scale)?,
            ),
            Values::Date(values) => primitive::<Date32Type>(values, nulls)?,
            Values::Timestamp(values, _) => Arc::new(
                PrimitiveArray::<TimestampMicrosecondType>::try_new(values.into(), nulls)?
                    .with_data_type(self.data_type),
            ),
            Values::Text(texts) => texts.finish(nulls)?,
            Values::Uuid(values) => Arc::new(FixedSizeBinaryArray::try_new(
                16,
                Buffer::from_vec(values),
                nulls,
            )?),
            Values::Nothing => new_null_array(&self.data_type, n_rows),
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<Arc<dyn Array>, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(
        values.into(),
        nulls,
    )?))
}

/// Reads 32 lower-case hex digits with hyphens in the usual places.
fn uuid(text: &[u8]) -> Option<i128> {
    if text.len() != 36 {
        return None;
    }
    let mut value: i128 = 0;
    for (position, &byte) in text.iter().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        value = (value << 4) | i128::from(digit);
    }
    Some(value)
}
