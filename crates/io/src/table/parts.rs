//! The captures that hold packets of each flow, columns as documented in `docs/formats/lake.md`.

use std::sync::{Arc, LazyLock};

use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use flowkeep_core::flow::client::client;
use flowkeep_core::flow::parts::Part;

use super::column::numbers;
use super::flows::{Flows, BATCH};

const NUMBERS: [&str; 5] =
    ["client_packets", "server_packets", "client_bytes", "server_bytes", "packets_left"];

/// The columns.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |name: &str, kind| Field::new(name, kind, false);
    let mut fields = vec![field("flow_id", DataType::UInt64), field("file", DataType::UInt32)];
    fields.extend(NUMBERS.map(|name| field(name, DataType::UInt64)));
    fields.extend(["first_ts", "last_ts"].map(|name| field(name, DataType::Int64)));
    Arc::new(Schema::new(fields))
});

/// The parts of a table's flows, in order of `flow_id`, then of the files.
#[derive(Clone)]
pub struct Parts {
    flows: Flows,
    /// Each with the `flow_id`.
    parts: Arc<Vec<(u32, Part)>>,
}

impl Parts {
    /// Of these flows, all of them.
    pub fn new(flows: Flows, parts: Vec<Part>) -> Self {
        let order = flows.table().order();
        let mut ids = vec![0; order.len()];
        for (id, &n) in (0_u32..).zip(&order) {
            ids[n as usize] = id;
        }
        let mut parts: Vec<_> = parts.into_iter().map(|part| (ids[part.flow as usize], part)).collect();
        parts.sort_by_key(|(id, part)| (*id, part.file));
        Self { flows, parts: Arc::new(parts) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Those of the flows with these ids, from the first to before the second.
    #[must_use]
    pub fn of(&self, first: u32, end: u32) -> Self {
        let at = |id| self.parts.partition_point(|part| part.0 < id);
        let (from, to) = (at(first), at(end));
        Self { flows: self.flows.clone(), parts: Arc::new(self.parts[from..to.max(from)].to_vec()) }
    }

    /// As record batches.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static {
        let parts = self.clone();
        (0..self.len().div_ceil(BATCH)).map(move |i| parts.batch(i * BATCH))
    }

    fn batch(&self, offset: usize) -> Result<RecordBatch, ArrowError> {
        let rows = &self.parts[offset..(offset + BATCH).min(self.parts.len())];
        let counter = |which: usize| {
            numbers::<UInt64Type>(rows.iter().map(move |(id, part)| {
                let (c, _) = client(self.flows.flow(*id));
                let end = if which.is_multiple_of(2) { c } else { 1 - c };
                match which {
                    0 | 1 => part.packets[end],
                    2 | 3 => part.bytes[end],
                    _ => part.left,
                }
            }))
        };
        let mut columns = vec![
            numbers::<UInt64Type>(rows.iter().map(|(id, _)| u64::from(*id))),
            numbers::<UInt32Type>(rows.iter().map(|(_, part)| part.file)),
        ];
        columns.extend((0..NUMBERS.len()).map(counter));
        columns.push(numbers::<Int64Type>(rows.iter().map(|(_, part)| part.first_ts)));
        columns.push(numbers::<Int64Type>(rows.iter().map(|(_, part)| part.last_ts)));
        RecordBatch::try_new(SCHEMA.clone(), columns)
    }
}
