//! The columns of identified flows: appended behind all others when they are asked for.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, UInt8Builder};
use arrow_array::ArrayRef;
use arrow_schema::{ArrowError, DataType, Field};
use flowkeep_core::flow::Flow;
use flowkeep_core::identify::flows::{Column, COLUMNS};
use flowkeep_core::identify::Identified;

use super::column::Text;

/// A flow, its number in the table, and what was recognised in it.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// What was recognised in the flows of the table.
    pub identified: &'a Identified,
    /// The flow's number in the table.
    pub number: u32,
    /// The flow.
    pub flow: &'a Flow,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<'a> {
    /// Not known.
    Null,
    /// A number.
    Number(u8),
    /// True or false.
    Flag(bool),
    /// A text; it shows nothing but printable characters.
    Text(Cow<'a, str>),
}

impl<'a> Row<'a> {
    /// The value in a column.
    pub fn value(&self, column: Column) -> Value<'a> {
        let (known, n) = (self.identified, self.number);
        match column {
            Column::Confidence => known.confidence(n).map_or(Value::Null, Value::Number),
            Column::PortMismatch => known.port_mismatch(n, self.flow).map_or(Value::Null, Value::Flag),
            _ => known.text(n, self.flow, column).map_or(Value::Null, Value::Text),
        }
    }
}

/// The columns' names and types.
pub fn fields() -> Vec<Arc<Field>> {
    let kind = |column| match column {
        Column::Confidence => DataType::UInt8,
        Column::PortMismatch => DataType::Boolean,
        _ => DataType::Utf8,
    };
    COLUMNS.iter().map(|&(column, name)| Arc::new(Field::new(name, kind(column), true))).collect()
}

/// The order of two rows by a column; null is less than anything.
pub fn compare(a: &Row<'_>, b: &Row<'_>, column: usize) -> Ordering {
    let column = COLUMNS[column].0;
    a.value(column).cmp(&b.value(column))
}

/// A column that is being filled.
enum Filling {
    Text(Text),
    Numbers(UInt8Builder),
    Flags(BooleanBuilder),
}

impl Filling {
    fn of(column: Column, rows: usize) -> Self {
        match column {
            Column::Confidence => Self::Numbers(UInt8Builder::with_capacity(rows)),
            Column::PortMismatch => Self::Flags(BooleanBuilder::with_capacity(rows)),
            _ => Self::Text(Text::with_capacity(rows, 8)),
        }
    }

    fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Text(text), Value::Text(value)) => text.push_str(&value),
            (Self::Text(text), _) => text.push(|_| false),
            (Self::Numbers(numbers), Value::Number(value)) => numbers.append_value(value),
            (Self::Numbers(numbers), _) => numbers.append_null(),
            (Self::Flags(flags), Value::Flag(value)) => flags.append_value(value),
            (Self::Flags(flags), _) => flags.append_null(),
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Text(text) => text.finish(),
            Self::Numbers(mut numbers) => Ok(Arc::new(numbers.finish())),
            Self::Flags(mut flags) => Ok(Arc::new(flags.finish())),
        }
    }
}

/// The columns of some rows. Most rows of small flows are blank, so each row is asked that first.
pub fn columns(rows: &[Row<'_>]) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut filling: Vec<_> = COLUMNS.iter().map(|&(column, _)| Filling::of(column, rows.len())).collect();
    for row in rows {
        if row.identified.is_blank(row.number) {
            for column in &mut filling {
                column.push(Value::Null);
            }
            continue;
        }
        for (filling, &(column, _)) in filling.iter_mut().zip(&COLUMNS) {
            filling.push(row.value(column));
        }
    }
    filling.into_iter().map(Filling::finish).collect()
}
