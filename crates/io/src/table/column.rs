//! Small helpers to fill Arrow columns.

use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

/// A column of text that may hold nulls.
pub struct Text {
    values: String,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Text {
    /// For about `rows` values of about `width` bytes.
    pub fn with_capacity(rows: usize, width: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { values: String::with_capacity(rows * width), offsets, nulls: NullBufferBuilder::new(rows) }
    }

    /// Appends a value: what `write` appends to the text, or null where it says false.
    pub fn push(&mut self, write: impl FnOnce(&mut String) -> bool) {
        if write(&mut self.values) {
            self.nulls.append_non_null();
        } else {
            self.nulls.append_null();
        }
        self.offsets.push(self.values.len() as i32);
    }

    /// Appends a value.
    pub fn push_str(&mut self, value: &str) {
        self.push(|out| {
            out.push_str(value);
            true
        });
    }

    /// The column.
    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let values = Buffer::from_vec(self.values.into_bytes());
        Ok(Arc::new(StringArray::try_new(offsets, values, self.nulls.finish())?))
    }
}

/// A column of numbers without nulls.
pub fn numbers<T: ArrowPrimitiveType>(values: impl Iterator<Item = T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values(values))
}
