//! The detail columns of the flow table: appended behind its own when they are asked for.

use std::cmp::Ordering;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use arrow_array::types::{DurationNanosecondType, UInt16Type, UInt64Type, UInt8Type};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use flowkeep_core::flow::{Detail, Flow};

use super::column::Text;
use super::flows;

/// A flow with what is known of it, and its client's end.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The flow.
    pub flow: &'a Flow,
    /// Its details, where they are known.
    pub detail: Option<&'a Detail>,
    /// The client's end: 0 the key's `lo`, 1 its `hi`.
    pub client: usize,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Not known, or nothing that such a flow has.
    Null,
    /// A duration in nanoseconds.
    Ns(i64),
    /// A number.
    Number(u64),
    /// A text.
    Text(&'static str),
    /// A history.
    History(String),
    /// A MAC address.
    Mac([u8; 6]),
}

#[derive(Clone, Copy)]
enum Kind {
    Ns,
    Count,
    Port,
    Byte,
    Text,
}

/// Names of the columns.
pub const NAMES: [&str; 17] = [
    "rtt",
    "rtt_client",
    "rtt_server",
    "client_retransmitted",
    "server_retransmitted",
    "client_out_of_order",
    "server_out_of_order",
    "client_missed_bytes",
    "server_missed_bytes",
    "client_ttl",
    "server_ttl",
    "client_mss",
    "server_mss",
    "client_mac",
    "server_mac",
    "conn_state",
    "history",
];

const KINDS: [Kind; NAMES.len()] = [
    Kind::Ns,
    Kind::Ns,
    Kind::Ns,
    Kind::Count,
    Kind::Count,
    Kind::Count,
    Kind::Count,
    Kind::Count,
    Kind::Count,
    Kind::Byte,
    Kind::Byte,
    Kind::Port,
    Kind::Port,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
];

/// Columns of the flow table with details.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields: Vec<_> = flows::SCHEMA.fields().iter().cloned().collect();
    for (name, kind) in NAMES.iter().zip(KINDS) {
        let kind = match kind {
            Kind::Ns => DataType::Duration(TimeUnit::Nanosecond),
            Kind::Count => DataType::UInt64,
            Kind::Port => DataType::UInt16,
            Kind::Byte => DataType::UInt8,
            Kind::Text => DataType::Utf8,
        };
        fields.push(Arc::new(Field::new(*name, kind, true)));
    }
    Arc::new(Schema::new(fields))
});

impl Row<'_> {
    /// The value in the column of this number in [`NAMES`].
    pub fn value(&self, column: usize) -> Value {
        let Some(d) = self.detail else { return Value::Null };
        let flow = self.flow;
        // Pairs of columns: the client's, the server's.
        let end = |first: usize| if column == first { self.client } else { 1 - self.client };
        let count = |n: u64| if flow.key.proto == 6 { Value::Number(n) } else { Value::Null };
        let number = |n: Option<u64>| n.map_or(Value::Null, Value::Number);
        let ns = |ns: Option<i64>| ns.map_or(Value::Null, Value::Ns);
        match column {
            0 => ns(d.rtt(flow)),
            1 => ns(d.rtt_client(flow)),
            2 => ns(d.rtt_server(flow)),
            3 | 4 => count(d.retransmitted(end(3))),
            5 | 6 => count(d.out_of_order(end(5))),
            7 | 8 => number(d.missed(end(7))),
            9 | 10 => number(d.ttl(end(9)).map(u64::from)),
            11 | 12 => number(d.mss(end(11)).map(u64::from)),
            13 | 14 => d.mac(end(13)).map_or(Value::Null, Value::Mac),
            15 => Value::Text(d.conn_state(flow)),
            _ if d.history().is_empty() => Value::Null,
            _ => Value::History(d.history().to_owned()),
        }
    }
}

impl Value {
    /// Appends a text; false for null. Numbers have none.
    pub fn write(&self, out: &mut String) -> bool {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::History(text) => out.push_str(text),
            Self::Mac(mac) => {
                for (i, byte) in mac.iter().enumerate() {
                    let colon = if i == 0 { "" } else { ":" };
                    _ = write!(out, "{colon}{byte:02x}");
                }
            }
            Self::Null | Self::Ns(_) | Self::Number(_) => return false,
        }
        true
    }

    fn key(&self) -> (bool, i128, String) {
        let mut text = String::new();
        let number = match self {
            Self::Ns(ns) => i128::from(*ns),
            Self::Number(n) => i128::from(*n),
            _ => 0,
        };
        self.write(&mut text);
        (*self != Self::Null, number, text)
    }
}

/// The order of two rows by a column; null is less than anything.
pub fn compare(a: &Row<'_>, b: &Row<'_>, column: usize) -> Ordering {
    a.value(column).key().cmp(&b.value(column).key())
}

/// The detail columns of some rows.
pub fn columns(rows: &[Row<'_>]) -> Result<Vec<ArrayRef>, ArrowError> {
    (0..NAMES.len()).map(|column| array(rows, column)).collect()
}

fn array(rows: &[Row<'_>], column: usize) -> Result<ArrayRef, ArrowError> {
    let number = |row: &Row<'_>| match row.value(column) {
        Value::Number(n) => Some(n),
        _ => None,
    };
    let numbers = rows.iter().map(number);
    Ok(match KINDS[column] {
        Kind::Ns => {
            let ns = |row: &Row<'_>| if let Value::Ns(ns) = row.value(column) { Some(ns) } else { None };
            Arc::new(rows.iter().map(ns).collect::<PrimitiveArray<DurationNanosecondType>>())
        }
        Kind::Count => Arc::new(numbers.collect::<PrimitiveArray<UInt64Type>>()),
        Kind::Port => Arc::new(numbers.map(|n| n.map(|n| n as u16)).collect::<PrimitiveArray<UInt16Type>>()),
        Kind::Byte => Arc::new(numbers.map(|n| n.map(|n| n as u8)).collect::<PrimitiveArray<UInt8Type>>()),
        Kind::Text => {
            let mut text = Text::with_capacity(rows.len(), 8);
            for row in rows {
                text.push(|out| row.value(column).write(out));
            }
            return text.finish();
        }
    })
}
