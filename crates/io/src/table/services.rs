//! The columns of identified flows: appended behind all others when they are asked for.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, UInt8Array};
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

/// The columns of some rows.
pub fn columns(rows: &[Row<'_>]) -> Result<Vec<ArrayRef>, ArrowError> {
    COLUMNS.iter().map(|&(column, _)| array(rows, column)).collect()
}

fn array(rows: &[Row<'_>], column: Column) -> Result<ArrayRef, ArrowError> {
    match column {
        Column::Confidence => {
            let values = rows.iter().map(|row| row.identified.confidence(row.number));
            Ok(Arc::new(values.collect::<UInt8Array>()))
        }
        Column::PortMismatch => {
            let values = rows.iter().map(|row| row.identified.port_mismatch(row.number, row.flow));
            Ok(Arc::new(values.collect::<BooleanArray>()))
        }
        _ => {
            let mut text = Text::with_capacity(rows.len(), 8);
            for row in rows {
                text.push(|out| match row.value(column) {
                    Value::Text(value) => {
                        out.push_str(&value);
                        true
                    }
                    _ => false,
                });
            }
            text.finish()
        }
    }
}
