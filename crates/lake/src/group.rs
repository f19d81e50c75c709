use std::collections::HashMap;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::{DataType, TimeUnit};

/// Rows sorted into groups: each row has the number of its group; groups are numbered by their first row.
#[derive(Debug)]
pub(crate) struct Groups {
    of_row: Vec<u32>,
    first_rows: Vec<u32>,
}

impl Groups {
    /// All rows in one group.
    pub(crate) fn one(n_rows: usize) -> Self {
        Self {
            of_row: vec![0; n_rows],
            first_rows: vec![0; n_rows.min(1)],
        }
    }

    /// Splits each group by the codes of its rows.
    pub(crate) fn refined(self, codes: &[u32]) -> Self {
        let [first, rest @ ..] = codes else {
            return self;
        };
        if rest.iter().all(|code| code == first) {
            return self;
        }
        let mut numbers = Numbers::default();
        let of_row: Vec<u32> = self
            .of_row
            .iter()
            .zip(codes)
            .map(|pair| numbers.of((*pair.0, *pair.1)))
            .collect();
        let mut first_rows = Vec::new();
        for (row, group) in (0_u32..).zip(&of_row) {
            if *group as usize == first_rows.len() {
                first_rows.push(row);
            }
        }
        Self { of_row, first_rows }
    }

    /// The first row of each group.
    pub(crate) fn first_rows(&self) -> UInt32Array {
        UInt32Array::from(self.first_rows.clone())
    }

    /// The rows of each group, rising.
    pub(crate) fn indices(&self) -> Vec<UInt32Array> {
        let mut rows = vec![Vec::new(); self.first_rows.len()];
        for (row, group) in (0_u32..).zip(&self.of_row) {
            rows[*group as usize].push(row);
        }
        rows.into_iter().map(UInt32Array::from).collect()
    }
}

/// Returns a number for each row, equal where the values are equal; nothing for a type that is not a primitive one.
pub(crate) fn codes(array: &ArrayRef) -> Option<Vec<u32>> {
    if array.null_count() == array.len() {
        return Some(vec![0; array.len()]);
    }
    Some(match array.data_type() {
        DataType::Null => vec![0; array.len()],
        DataType::Boolean => numbered(array, array.as_boolean().iter()),
        DataType::Int32 => numbered(array, array.as_primitive::<Int32Type>().iter()),
        DataType::Date32 => numbered(array, array.as_primitive::<Date32Type>().iter()),
        DataType::Int64 => numbered(array, array.as_primitive::<Int64Type>().iter()),
        DataType::Time64(TimeUnit::Microsecond) => {
            numbered(array, array.as_primitive::<Time64MicrosecondType>().iter())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => numbered(
            array,
            array.as_primitive::<TimestampMicrosecondType>().iter(),
        ),
        DataType::Decimal128(..) => numbered(array, array.as_primitive::<Decimal128Type>().iter()),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().iter();
            numbered(array, values.map(|value| value.map(f32::to_bits)))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().iter();
            numbered(array, values.map(|value| value.map(f64::to_bits)))
        }
        DataType::Utf8 => numbered(array, array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => numbered(array, array.as_string::<i64>().iter()),
        DataType::Binary => numbered(array, array.as_binary::<i32>().iter()),
        DataType::LargeBinary => numbered(array, array.as_binary::<i64>().iter()),
        DataType::FixedSizeBinary(_) => numbered(array, array.as_fixed_size_binary().iter()),
        _ => return None,
    })
}

fn numbered<T: Hash + Eq + Copy>(
    array: &ArrayRef,
    values: impl Iterator<Item = Option<T>>,
) -> Vec<u32> {
    let mut numbers = Numbers::default();
    let mut codes = Vec::with_capacity(array.len());
    codes.extend(values.map(|value| numbers.of(value)));
    codes
}

/// Numbers values by their first appearance. Neighbours are often equal, which costs a comparison and no look-up.
struct Numbers<T> {
    of: HashMap<T, u32>,
    last: Option<(T, u32)>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self {
            of: HashMap::new(),
            last: None,
        }
    }
}

impl<T: Hash + Eq + Copy> Numbers<T> {
    fn of(&mut self, value: T) -> u32 {
        if let Some((last, number)) = self.last
            && last == value
        {
            return number;
        }
        // A batch has fewer than 2^32 rows.
        let next = u32::try_from(self.of.len()).unwrap_or(u32::MAX);
        let number = *self.of.entry(value).or_insert(next);
        self.last = Some((value, number));
        number
    }
}
