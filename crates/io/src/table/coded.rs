//! The flow table with each text once: a column of text becomes numbers that sort as the texts do.
//!
//! Of millions of flows most share their addresses, states and names. As numbers they take a fourth of the
//! memory, and are compared without being read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, BooleanBuilder, LargeStringBuilder, PrimitiveBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, DurationNanosecondType, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type,
    UInt8Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::flows::Flows;

/// The table, and the texts that its numbers stand for.
pub struct Coded {
    /// All rows. Columns of text are the smallest unsigned integers that do; those that stay text are
    /// `LargeUtf8`; the others are as in the flow table.
    pub batch: RecordBatch,
    /// Name of each coded column, with its texts: number `n` stands for the text at place `n`. They ascend,
    /// addresses as numbers (IPv4 first), all others as text.
    pub texts: Vec<(String, Vec<Arc<str>>)>,
}

impl Flows {
    /// The rows with numbers for texts, but for the columns of text named in `plain`.
    pub fn coded(&self, plain: &[String]) -> Result<Coded, ArrowError> {
        let fields = self.schema().fields();
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            columns.push(Column::new(field, self.len(), plain.contains(field.name()))?);
        }
        self.encode(|batch| {
            columns.iter_mut().zip(batch.columns()).for_each(|(column, part)| column.append(part));
            Ok(())
        })?;
        let (mut made, mut texts, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for (field, column) in fields.iter().zip(columns) {
            let (array, known) = column.finish(field.name().ends_with("_ip"));
            changed.push(Field::new(field.name(), array.data_type().clone(), field.is_nullable()));
            made.push(array);
            texts.extend(known.map(|known| (field.name().clone(), known)));
        }
        Ok(Coded { batch: RecordBatch::try_new(Arc::new(Schema::new(changed)), made)?, texts })
    }
}

/// A whole column, so that it is one piece of memory which goes back to the system.
enum Column {
    Code(PrimitiveBuilder<UInt32Type>, Coder),
    Text(LargeStringBuilder),
    Flag(BooleanBuilder),
    Byte(PrimitiveBuilder<UInt8Type>),
    Short(PrimitiveBuilder<UInt16Type>),
    Long(PrimitiveBuilder<UInt64Type>),
    Time(PrimitiveBuilder<TimestampNanosecondType>),
    Span(PrimitiveBuilder<DurationNanosecondType>),
}

impl Column {
    fn new(field: &Field, rows: usize, plain: bool) -> Result<Self, ArrowError> {
        fn of<T: ArrowPrimitiveType>(rows: usize, kind: &DataType) -> PrimitiveBuilder<T> {
            PrimitiveBuilder::with_capacity(rows).with_data_type(kind.clone())
        }
        Ok(match field.data_type() {
            DataType::Utf8 if plain => Self::Text(LargeStringBuilder::with_capacity(rows, 0)),
            DataType::Utf8 => Self::Code(of(rows, &DataType::UInt32), Coder::default()),
            DataType::Boolean => Self::Flag(BooleanBuilder::with_capacity(rows)),
            kind @ DataType::UInt8 => Self::Byte(of(rows, kind)),
            kind @ DataType::UInt16 => Self::Short(of(rows, kind)),
            kind @ DataType::UInt64 => Self::Long(of(rows, kind)),
            kind @ DataType::Timestamp(..) => Self::Time(of(rows, kind)),
            kind @ DataType::Duration(..) => Self::Span(of(rows, kind)),
            other => return Err(ArrowError::NotYetImplemented(format!("{}: {other}", field.name()))),
        })
    }

    fn append(&mut self, part: &ArrayRef) {
        match self {
            Self::Code(column, coder) => column.append_array(&coder.code(part)),
            Self::Text(column) => part.as_string::<i32>().iter().for_each(|text| column.append_option(text)),
            Self::Flag(column) => column.append_array(part.as_boolean()),
            Self::Byte(column) => column.append_array(part.as_primitive()),
            Self::Short(column) => column.append_array(part.as_primitive()),
            Self::Long(column) => column.append_array(part.as_primitive()),
            Self::Time(column) => column.append_array(part.as_primitive()),
            Self::Span(column) => column.append_array(part.as_primitive()),
        }
    }

    /// The column, and the texts that it is about.
    fn finish(self, addresses: bool) -> (ArrayRef, Option<Vec<Arc<str>>>) {
        let array = match self {
            Self::Code(mut column, coder) => {
                let (texts, ranks) = coder.finish(addresses);
                return (ranked(&column.finish(), &ranks), Some(texts));
            }
            Self::Text(mut column) => ArrayBuilder::finish(&mut column),
            Self::Flag(mut column) => ArrayBuilder::finish(&mut column),
            Self::Byte(mut column) => ArrayBuilder::finish(&mut column),
            Self::Short(mut column) => ArrayBuilder::finish(&mut column),
            Self::Long(mut column) => ArrayBuilder::finish(&mut column),
            Self::Time(mut column) => ArrayBuilder::finish(&mut column),
            Self::Span(mut column) => ArrayBuilder::finish(&mut column),
        };
        (array, None)
    }
}

/// For each number that was given the place of its text.
fn ranked(codes: &UInt32Array, ranks: &[u32]) -> ArrayRef {
    // The number below a null is 0, for which there may be no text.
    let rank = |code: u32| ranks.get(code as usize).copied().unwrap_or_default();
    match ranks.len() {
        0..=0xff => Arc::new(codes.unary::<_, UInt8Type>(|code| rank(code) as u8)),
        0x100..=0xffff => Arc::new(codes.unary::<_, UInt16Type>(|code| rank(code) as u16)),
        _ => Arc::new(codes.unary::<_, UInt32Type>(rank)),
    }
}

/// Numbers texts as they come.
#[derive(Default)]
struct Coder {
    codes: HashMap<Arc<str>, u32>,
    /// The text before: often the next one is the same.
    last: Option<(Arc<str>, u32)>,
}

impl Coder {
    fn code(&mut self, column: &ArrayRef) -> UInt32Array {
        if column.null_count() == column.len() {
            return UInt32Array::new_null(column.len());
        }
        column.as_string::<i32>().iter().map(|text| text.map(|text| self.number(text))).collect()
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some((_, code)) = self.last.as_ref().filter(|(before, _)| **before == *text) {
            return *code;
        }
        let (text, code) = if let Some((text, &code)) = self.codes.get_key_value(text) {
            (text.clone(), code)
        } else {
            let (text, code) = (Arc::from(text), self.codes.len() as u32);
            self.codes.insert(Arc::clone(&text), code);
            (text, code)
        };
        self.last = Some((text, code));
        code
    }

    /// The texts in order, and for each number that was given its place there.
    fn finish(self, addresses: bool) -> (Vec<Arc<str>>, Vec<u32>) {
        let mut given: Vec<(Arc<str>, u32)> = self.codes.into_iter().collect();
        if addresses {
            given.sort_by_cached_key(|(text, _)| (text.parse::<IpAddr>().ok(), text.clone()));
        } else {
            given.sort_unstable();
        }
        let mut ranks = vec![0; given.len()];
        for (rank, (_, code)) in given.iter().enumerate() {
            ranks[*code as usize] = rank as u32;
        }
        (given.into_iter().map(|(text, _)| text).collect(), ranks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;

    #[test]
    fn numbers_sort_as_texts_and_nulls_stay() {
        let mut coder = Coder::default();
        let first: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("c"), Some("b")]));
        let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 2]));
        let last: ArrayRef = Arc::new(StringArray::from(vec!["a", "c"]));
        let codes: Vec<_> =
            [first, none, last].iter().flat_map(|c| coder.code(c).iter().collect::<Vec<_>>()).collect();
        let (texts, ranks) = coder.finish(false);
        assert_eq!(texts.iter().map(|t| &**t).collect::<Vec<_>>(), ["a", "b", "c"]);
        let said: Vec<_> =
            codes.iter().map(|code| code.map(|c| &*texts[ranks[c as usize] as usize])).collect();
        let wanted = [Some("b"), None, Some("c"), Some("b"), None, None, Some("a"), Some("c")];
        assert_eq!(said, wanted);
    }

    #[test]
    fn addresses_sort_as_numbers() {
        let mut coder = Coder::default();
        let given = ["10.0.0.9", "::1", "10.0.0.10", "9.0.0.0", "2001:db8::2", "2001:db8::10"];
        coder.code(&(Arc::new(StringArray::from(given.to_vec())) as ArrayRef));
        let texts = coder.finish(true).0;
        let wanted = ["9.0.0.0", "10.0.0.9", "10.0.0.10", "::1", "2001:db8::2", "2001:db8::10"];
        assert_eq!(texts.iter().map(|t| &**t).collect::<Vec<_>>(), wanted);
    }
}
