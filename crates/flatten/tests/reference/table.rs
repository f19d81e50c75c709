//! Section 4: the columns of the table and those that the batch adds.

use std::collections::BTreeMap;

use arrow_schema::DataType;
use flatten::{Column, Conflict, DeclaredType, NewColumn, Schema, Shape};

use super::walk::{Found, Scalar, What};
use super::{Cell, Kinds, fits, names};

const MAX_NAME_BYTES: usize = 128;

/// The columns so far, and who owns them.
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) new_columns: Vec<NewColumn>,
    pub(crate) n_rescued: u64,
    /// The kinds of the values of each path in the batch.
    pub(crate) types: BTreeMap<String, Kinds>,
    /// The path of each column, where it has one.
    pointers: Vec<Option<String>>,
    partition_fields: Vec<String>,
    shape: Shape,
}

/// What became of one value.
pub(crate) struct Placed {
    pub(crate) cell: Option<(usize, Cell)>,
    /// Whether it goes to `_doc`, alone or as well.
    pub(crate) left_over: bool,
}

/// Why there is no column.
enum NoColumn {
    /// Its values are left over.
    Limit,
    /// Its values are rescued.
    Taken,
}

impl Table {
    pub(crate) fn new(schema: &Schema, shape: &Shape) -> Self {
        Self {
            columns: schema.columns.clone(),
            new_columns: Vec::new(),
            n_rescued: 0,
            types: BTreeMap::new(),
            pointers: names::pointers(&schema.columns),
            partition_fields: schema.reserved.clone(),
            shape: shape.clone(),
        }
    }

    /// The first required column, `_doc` apart, that none of an event's values goes to. New columns are all optional.
    pub(crate) fn required_without_value(&self, found: &[Found]) -> Option<String> {
        let filled: Vec<_> = found
            .iter()
            .filter_map(|found| self.cell_in_existing(found))
            .map(|(column, _, _)| column)
            .collect();
        let (_, column) = self.columns.iter().enumerate().find(|(position, column)| {
            let is_system = flatten::system::NAMES
                .iter()
                .any(|name| names::system_column(&self.columns, name) == *position);
            column.required && !is_system && !filled.contains(position)
        })?;
        Some(column.name.clone())
    }

    /// Rules 4 and 10: gives a value its cell, adding the columns that it needs, and counts it when it is rescued.
    pub(crate) fn place(&mut self, found: &Found) -> Placed {
        if matches!(found.what, What::LeftOver) {
            return Placed {
                cell: None,
                left_over: true,
            };
        }
        let column = match self.column_of(&found.pointer()) {
            Some(column) => Ok(column),
            None => self.add_for_path(found),
        };
        let Ok(column) = column else {
            return self.leave_over(matches!(column, Err(NoColumn::Taken)));
        };
        if let What::Scalar(scalar) = &found.what
            && self.store(found, column).is_none()
            && self.shape.conflict == Conflict::Sibling
            && self.sibling_of(column, scalar).is_none()
        {
            let _ = self.add_sibling(found, column, scalar);
        }
        match self.cell_in_existing(found) {
            None => self.leave_over(true),
            Some((column, cell, prints_back)) => Placed {
                cell: Some((column, cell)),
                left_over: !prints_back,
            },
        }
    }

    fn leave_over(&mut self, is_rescued: bool) -> Placed {
        self.n_rescued += u64::from(is_rescued);
        Placed {
            cell: None,
            left_over: true,
        }
    }

    /// The column that a value goes to, its cell, and whether that prints back; no column is added.
    fn cell_in_existing(&self, found: &Found) -> Option<(usize, Cell, bool)> {
        if matches!(found.what, What::LeftOver) {
            return None;
        }
        let column = self.column_of(&found.pointer())?;
        if let Some((cell, prints_back)) = self.store(found, column) {
            return Some((column, cell, prints_back));
        }
        let What::Scalar(scalar) = &found.what else {
            return None;
        };
        if self.shape.conflict != Conflict::Sibling {
            return None;
        }
        let sibling = self.sibling_of(column, scalar)?;
        let (cell, prints_back) = self.store(found, sibling)?;
        Some((sibling, cell, prints_back))
    }

    fn store(&self, found: &Found, column: usize) -> Option<(Cell, bool)> {
        let data_type = &self.columns[column].data_type;
        match &found.what {
            What::LeftOver => None,
            What::Json => {
                (*data_type == DataType::Utf8).then(|| (Cell::Text(found.text.clone()), true))
            }
            What::Scalar(scalar) => {
                fits::store(scalar, data_type, self.shape.assume_offset.as_deref())
                    .map(|stored| (stored.cell, stored.prints_back))
            }
        }
    }

    /// The first column that belongs to the path.
    fn column_of(&self, pointer: &str) -> Option<usize> {
        names::column_of(&self.columns, &self.pointers, pointer)
    }

    /// The other column of the same path that is named for the value's type.
    fn sibling_of(&self, column: usize, scalar: &Scalar) -> Option<usize> {
        let name = self.sibling_name(column, scalar).to_ascii_lowercase();
        (0..self.columns.len()).find(|&candidate| {
            self.columns[candidate].name.to_ascii_lowercase() == name
                && self.pointers[candidate] == self.pointers[column]
        })
    }

    fn sibling_name(&self, column: usize, scalar: &Scalar) -> String {
        format!("{}__{}", self.columns[column].name, own_type(scalar).0)
    }

    fn add_for_path(&mut self, found: &Found) -> Result<usize, NoColumn> {
        let pointer = found.pointer();
        let name = names::column_name(&found.keys(), &self.partition_fields);
        let declared = self
            .shape
            .columns
            .get(&pointer)
            .and_then(|declared| declared_type(*declared));
        let data_type = match declared {
            Some(data_type) => data_type,
            None => self.type_of_values(&pointer),
        };
        self.add(name, pointer, data_type)
    }

    fn add_sibling(
        &mut self,
        found: &Found,
        column: usize,
        scalar: &Scalar,
    ) -> Result<usize, NoColumn> {
        let name = self.sibling_name(column, scalar);
        if names::is_reserved(&name, &self.partition_fields) {
            return Err(NoColumn::Taken);
        }
        self.add(name, found.pointer(), own_type(scalar).1)
    }

    fn add(
        &mut self,
        name: String,
        pointer: String,
        data_type: DataType,
    ) -> Result<usize, NoColumn> {
        if name.len() > MAX_NAME_BYTES {
            return Err(NoColumn::Limit);
        }
        let lower_case = name.to_ascii_lowercase();
        if self
            .columns
            .iter()
            .any(|column| column.name.to_ascii_lowercase() == lower_case)
        {
            return Err(NoColumn::Taken);
        }
        if self.columns.len() + 1 > self.shape.max_columns
            || self.new_columns.len() >= self.shape.max_new_columns
        {
            return Err(NoColumn::Limit);
        }
        self.pointers.push(Some(pointer.clone()));
        self.columns.push(Column {
            name: name.clone(),
            doc: Some(pointer.clone()),
            data_type: data_type.clone(),
            required: false,
        });
        self.new_columns.push(NewColumn {
            name,
            pointer,
            data_type,
        });
        Ok(self.columns.len() - 1)
    }

    /// The type of an undeclared path, from all its values in the batch.
    fn type_of_values(&self, pointer: &str) -> DataType {
        match self.types.get(pointer) {
            Some(kinds) if kinds.first == "boolean" => DataType::Boolean,
            Some(kinds) if kinds.first == "number" && kinds.all_numbers_are_integers => {
                DataType::Int64
            }
            Some(kinds) if kinds.first == "number" => DataType::Float64,
            _ => DataType::Utf8,
        }
    }
}

/// The value's own type: its name in a sibling's name, and the sibling's type.
fn own_type(scalar: &Scalar) -> (&'static str, DataType) {
    match scalar {
        Scalar::Boolean(_) => ("boolean", DataType::Boolean),
        Scalar::String(_) => ("string", DataType::Utf8),
        Scalar::Number(token) => {
            let fits_long = fits::store(scalar, &DataType::Int64, None).is_some();
            if fits_long && !token.contains(['.', 'e', 'E']) {
                ("long", DataType::Int64)
            } else {
                ("double", DataType::Float64)
            }
        }
    }
}

/// The Arrow type of a declared column.
fn declared_type(declared: DeclaredType) -> Option<DataType> {
    Some(match declared {
        DeclaredType::Boolean => DataType::Boolean,
        DeclaredType::Long => DataType::Int64,
        DeclaredType::Double => DataType::Float64,
        DeclaredType::String | DeclaredType::Json | DeclaredType::Sha256 => DataType::Utf8,
        DeclaredType::Timestamptz => flatten::timestamptz(),
        DeclaredType::Date => DataType::Date32,
        DeclaredType::Decimal { precision, scale } => {
            DataType::Decimal128(precision, i8::try_from(scale).ok()?)
        }
        _ => return None,
    })
}
