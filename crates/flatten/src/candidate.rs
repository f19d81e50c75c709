//! What a batch shows about a path that has no column yet, and the type that follows from it (section 4).

use arrow_schema::DataType;

use crate::DeclaredType;
use crate::builder::{ColumnBuilder, Fit, Scalar};
use crate::number::Number;

/// Where a value stands in a batch: the number of its event, then its offset in it.
pub(crate) type Position = (usize, usize);

/// The type of a sibling column, in the order of [`SIBLING_TYPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SiblingType {
    Boolean = 0,
    Long = 1,
    Double = 2,
    String = 3,
}

pub(crate) const SIBLING_TYPES: [SiblingType; 4] = [
    SiblingType::Boolean,
    SiblingType::Long,
    SiblingType::Double,
    SiblingType::String,
];

impl SiblingType {
    /// The type of the column that takes a scalar which does not fit its path's.
    pub(crate) fn of(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Boolean(_) => Self::Boolean,
            Scalar::Text(_) => Self::String,
            Scalar::Number(number) if number.is_integer && number.to_long().is_some() => Self::Long,
            Scalar::Number(_) => Self::Double,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Long => "long",
            Self::Double => "double",
            Self::String => "string",
        }
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::String => DataType::Utf8,
        }
    }
}

/// How many classes of values are told apart: boolean, string, and numbers by three traits.
const N_CLASSES: usize = 10;
const BOOLEAN: usize = 0;
const STRING: usize = 1;
const NUMBERS: usize = 2;
const INTEGER_TOKEN: usize = 1;
const FITS_LONG: usize = 2;
const FITS_DOUBLE: usize = 4;

/// A value as far as the type of its column depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Evidence {
    /// A value of a path whose type is not declared, by class.
    Class(usize),
    /// A value of a declared path that fits.
    Fits,
    /// A value of a declared path that does not fit.
    Misfit(SiblingType),
}

impl Evidence {
    /// What a scalar shows about a path with or without a declared type.
    pub(crate) fn of(
        declared: Option<&DataType>,
        assume_offset_s: Option<i32>,
        scalar: Scalar<'_>,
    ) -> Self {
        let Some(declared) = declared else {
            return Self::Class(class_of(scalar));
        };
        match ColumnBuilder::new(declared, assume_offset_s, 1).put(0, scalar) {
            Fit::None => Self::Misfit(SiblingType::of(scalar)),
            Fit::Whole | Fit::KeepOriginal => Self::Fits,
        }
    }
}

fn class_of(scalar: Scalar<'_>) -> usize {
    match scalar {
        Scalar::Boolean(_) => BOOLEAN,
        Scalar::Text(_) => STRING,
        Scalar::Number(number) => NUMBERS + traits_of(number),
    }
}

fn traits_of(number: Number<'_>) -> usize {
    usize::from(number.is_integer) * INTEGER_TOKEN
        + usize::from(number.to_long().is_some()) * FITS_LONG
        + usize::from(number.to_double().is_some()) * FITS_DOUBLE
}

/// What all accepted events of a batch show about one path.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) first: Position,
    declared: Option<DeclaredType>,
    classes: [Option<Position>; N_CLASSES],
    misfits: [Option<Position>; 4],
}

impl Candidate {
    pub(crate) fn new(first: Position, declared: Option<DeclaredType>) -> Self {
        Self {
            first,
            declared,
            classes: [None; N_CLASSES],
            misfits: [None; 4],
        }
    }

    pub(crate) fn note(&mut self, position: Position, evidence: Evidence) {
        self.first = self.first.min(position);
        let seen = match evidence {
            Evidence::Class(class) => &mut self.classes[class],
            Evidence::Misfit(kind) => &mut self.misfits[kind as usize],
            Evidence::Fits => return,
        };
        *seen = earlier(*seen, Some(position));
    }

    /// Joins what another chunk shows.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        for (seen, theirs) in self.classes.iter_mut().zip(other.classes) {
            *seen = earlier(*seen, theirs);
        }
        for (seen, theirs) in self.misfits.iter_mut().zip(other.misfits) {
            *seen = earlier(*seen, theirs);
        }
    }

    /// The type of its column: as declared, or the kind of its first value.
    pub(crate) fn data_type(&self) -> DataType {
        if let Some(data_type) = self.declared.and_then(DeclaredType::data_type) {
            return data_type;
        }
        let seen = self
            .classes
            .iter()
            .enumerate()
            .filter_map(|(class, seen)| Some(((*seen)?, class)));
        match seen.min().map(|(_, class)| class) {
            Some(BOOLEAN) => DataType::Boolean,
            Some(NUMBERS..) => {
                let all_integers = (0..8)
                    .filter(|traits| traits & INTEGER_TOKEN == 0)
                    .all(|traits| self.classes[NUMBERS + traits].is_none());
                if all_integers {
                    DataType::Int64
                } else {
                    DataType::Float64
                }
            }
            _ => DataType::Utf8,
        }
    }

    /// The siblings that its values need, each with the first value that does.
    pub(crate) fn misfits(&self) -> Vec<(SiblingType, Position)> {
        let mut first = self.misfits;
        if self.declared.is_none() {
            let data_type = self.data_type();
            for (class, seen) in self.classes.iter().enumerate() {
                if !fits(class, &data_type) {
                    let kind = sibling_of(class) as usize;
                    first[kind] = earlier(first[kind], *seen);
                }
            }
        }
        SIBLING_TYPES
            .into_iter()
            .filter_map(|kind| Some((kind, first[kind as usize]?)))
            .collect()
    }
}

fn fits(class: usize, data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean => class == BOOLEAN,
        DataType::Int64 => class >= NUMBERS && (class - NUMBERS) & FITS_LONG != 0,
        DataType::Float64 => class >= NUMBERS && (class - NUMBERS) & FITS_DOUBLE != 0,
        _ => class == STRING,
    }
}

fn sibling_of(class: usize) -> SiblingType {
    match class {
        BOOLEAN => SiblingType::Boolean,
        STRING => SiblingType::String,
        number if (number - NUMBERS) & (INTEGER_TOKEN | FITS_LONG) == INTEGER_TOKEN | FITS_LONG => {
            SiblingType::Long
        }
        _ => SiblingType::Double,
    }
}

fn earlier(a: Option<Position>, b: Option<Position>) -> Option<Position> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
