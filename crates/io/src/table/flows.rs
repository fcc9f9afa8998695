//! The flow table that users see: one row a flow, columns as documented in `docs/formats/flows.md`.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock};

use arrow_array::types::{DurationNanosecondType, TimestampNanosecondType};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, UInt16Array, UInt64Array};
use arrow_buffer::BooleanBufferBuilder;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use flowkeep_core::cache::Totals;
use flowkeep_core::flow::client::client;
use flowkeep_core::flow::community::{community_id, LEN};
use flowkeep_core::flow::{state, Details, Flow, Table};
use flowkeep_core::identify::Identified;
use flowkeep_core::select::{FlowFilter, FlowVerdict};

use super::column::Text;
use super::details::{self, Row};
use super::{services, text};

/// Rows in a record batch.
pub const BATCH: usize = 1 << 13;

/// Columns of the flow table.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let field = |name: &str, kind: DataType| Field::new(name, kind, false);
    let maybe = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![
        field("flow_id", DataType::UInt64),
        field("proto", DataType::Utf8),
        field("client_ip", DataType::Utf8),
        field("client_port", DataType::UInt16),
        field("server_ip", DataType::Utf8),
        field("server_port", DataType::UInt16),
        field("first_ts", time()),
        field("last_ts", time()),
        field("duration", DataType::Duration(TimeUnit::Nanosecond)),
    ];
    for name in COUNTERS {
        fields.push(field(name, DataType::UInt64));
    }
    fields.push(field("state", DataType::Utf8));
    fields.push(field("client_guessed", DataType::Boolean));
    fields.push(maybe("vlan"));
    fields.push(maybe("tunnel"));
    fields.push(maybe("community_id"));
    Arc::new(Schema::new(fields))
});

const COUNTERS: [&str; 6] = [
    "client_packets",
    "server_packets",
    "client_bytes",
    "server_bytes",
    "client_payload_bytes",
    "server_payload_bytes",
];

fn counter(flow: &Flow, client: usize, which: usize) -> u64 {
    let side = &flow.side[if which.is_multiple_of(2) { client } else { 1 - client }];
    match which / 2 {
        0 => side.packets,
        1 => side.bytes,
        _ => side.payload,
    }
}

/// Rows of a flow table: all of them or a chosen few, in an order.
#[derive(Clone)]
pub struct Flows {
    table: Arc<Table>,
    details: Option<Arc<Details>>,
    identified: Option<Arc<Identified>>,
    /// What is held of each, where they are those of a cache.
    held: Option<Arc<Vec<Held>>>,
    schema: SchemaRef,
    /// `flow_id` → number in the table; `None` where they are the same.
    ids: Option<Arc<Vec<u32>>>,
    /// The rows shown, as `flow_id`s; `None`: all.
    rows: Option<Arc<Vec<u32>>>,
    seed: u16,
}

/// What a cache holds of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its number in the cache, which no other flow ever gets.
    pub number: u64,
    /// Packets and bytes that are held.
    pub held: Totals,
}

impl Held {
    /// The columns.
    pub const NAMES: [&'static str; 3] = ["held_packets", "held_bytes", "flow_number"];

    /// The value in one of them.
    pub fn value(&self, column: usize) -> u64 {
        [self.held.packets, self.held.bytes, self.number][column]
    }
}

/// What rows can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Bytes of both directions.
    Bytes,
    /// Packets of both directions.
    Packets,
    /// Payload bytes of both directions.
    Payload,
    /// Number of a column.
    Column(usize),
    /// Number of a detail column.
    Detail(usize),
    /// Number of a column of identified flows.
    Service(usize),
    /// Number of a column of [`Held`].
    Held(usize),
}

impl Flows {
    /// All flows of a table, numbered in order of their first packets; `seed` is that of the Community ID.
    ///
    /// With `details` and with `identified` there are columns for them.
    pub fn new(
        table: Table,
        details: Option<Details>,
        identified: Option<Box<Identified>>,
        seed: u16,
    ) -> Self {
        let order = table.order();
        let plain = order.iter().enumerate().all(|(i, &n)| i as u32 == n);
        let own = if details.is_some() { &*details::SCHEMA } else { &*SCHEMA };
        let schema = if identified.is_some() {
            let fields: Vec<_> = own.fields().iter().cloned().chain(services::fields()).collect();
            Arc::new(Schema::new(fields))
        } else {
            own.clone()
        };
        Self {
            table: Arc::new(table),
            details: details.map(Arc::new),
            identified: identified.map(Arc::from),
            held: None,
            schema,
            ids: (!plain).then(|| Arc::new(order)),
            rows: None,
            seed,
        }
    }

    /// With columns of what is held, in the order of the table. There are no columns of details or services then.
    #[must_use]
    pub fn with_held(mut self, held: Vec<Held>) -> Self {
        let more = Held::NAMES.map(|name| Arc::new(Field::new(name, DataType::UInt64, false)));
        let fields: Vec<_> = SCHEMA.fields().iter().cloned().chain(more).collect();
        (self.details, self.identified) = (None, None);
        self.schema = Arc::new(Schema::new(fields));
        self.held = Some(Arc::new(held));
        self
    }

    /// What is held of a row's flow, where that is known.
    pub fn held(&self, row: usize) -> Option<Held> {
        Some(self.held_of(self.id(row))).filter(|_| self.held.is_some())
    }

    fn held_of(&self, id: u32) -> Held {
        let held = self.held.as_ref().and_then(|held| held.get(self.number(id) as usize));
        held.copied().unwrap_or_default()
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The order by a column's name, or by `bytes`, `packets`, `payload_bytes`.
    pub fn order(&self, name: &str) -> Option<Order> {
        Some(match name {
            "bytes" => Order::Bytes,
            "packets" => Order::Packets,
            "payload_bytes" => Order::Payload,
            _ => {
                let column = self.schema().index_of(name).ok()?;
                let own = SCHEMA.fields().len();
                let detailed = if self.details.is_some() { details::SCHEMA.fields().len() } else { own };
                if column < own {
                    Order::Column(column)
                } else if self.held.is_some() {
                    Order::Held(column - own)
                } else if column < detailed {
                    Order::Detail(column - own)
                } else {
                    Order::Service(column - detailed)
                }
            }
        })
    }

    /// A row with its details, where there are any.
    pub fn detail(&self, row: usize) -> Option<Row<'_>> {
        self.details.as_ref().map(|_| self.detail_of(self.id(row)))
    }

    /// A row with what was recognised, if that was asked for.
    pub fn service(&self, row: usize) -> Option<services::Row<'_>> {
        self.service_of(self.id(row))
    }

    /// What was recognised in the flows of the table.
    pub fn identified(&self) -> Option<&Identified> {
        self.identified.as_deref()
    }

    /// The flows that the rows are of.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// For flows of these ids: their numbers in the table, each with its place in `ids`.
    pub fn numbers(&self, ids: &[u32]) -> Result<Vec<(u32, u32)>, String> {
        let number = |(place, &id): (usize, &u32)| {
            if id >= self.table.len() {
                return Err(format!("there is no flow {id}: there are {}", self.table.len()));
            }
            Ok((self.ids.as_ref().map_or(id, |ids| ids[id as usize]), place as u32))
        };
        ids.iter().enumerate().map(number).collect()
    }

    /// Per row: bit 0 if the client's address is in one of these networks (address, bits that count),
    /// bit 1 if the server's is.
    pub fn inside(&self, networks: &[(Vec<u8>, u32)]) -> Vec<u8> {
        let within = |version: u8, address: &[u8; 16]| {
            let width = if version & 0x7f == 4 { 4 } else { 16 };
            networks
                .iter()
                .any(|(network, bits)| network.len() == width && same_bits(network, address, *bits))
        };
        let end =
            |flow: &Flow, hi: bool| within(flow.key.version, if hi { &flow.key.hi } else { &flow.key.lo });
        self.each(|flow| {
            let (c, _) = client(flow);
            u8::from(end(flow, c == 1)) | u8::from(end(flow, c == 0)) << 1
        })
    }

    /// Per row: 0 if the filter does not match, 1 if it does, else the number of the part
    /// ([`flowkeep_core::select::Part`]) that it depends on.
    pub fn matching(&self, filter: &FlowFilter) -> Vec<u8> {
        self.each(|flow| match filter.verdict(flow) {
            FlowVerdict::NoMatch => 0,
            FlowVerdict::Match => 1,
            FlowVerdict::Undecided(part) => part as u8,
        })
    }

    /// Something said of each row's flow; of many on all cores.
    fn each(&self, say: impl Fn(&Flow) -> u8 + Sync) -> Vec<u8> {
        let mut said = vec![0; self.len()];
        let part = said.len().div_ceil(threads()).max(BATCH);
        std::thread::scope(|scope| {
            let fill = |first: usize, part: &mut [u8]| {
                part.iter_mut().zip(first..).for_each(|(out, row)| *out = say(self.row(row).1));
            };
            let mut parts = said.chunks_mut(part).enumerate();
            let own = parts.next();
            for (i, rows) in parts {
                scope.spawn(move || fill(i * part, rows));
            }
            if let Some((_, rows)) = own {
                fill(0, rows);
            }
        });
        said
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.table.len() as usize, |r| r.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows with these ids, in this order.
    pub fn take(&self, ids: Vec<u32>) -> Result<Self, String> {
        self.numbers(&ids)?;
        Ok(Self { rows: Some(Arc::new(ids)), ..self.clone() })
    }

    /// Some of the rows.
    #[must_use]
    pub fn slice(&self, offset: usize, n: usize) -> Self {
        let end = offset.saturating_add(n).min(self.len());
        let rows = (offset.min(end)..end).map(|row| self.id(row)).collect();
        Self { rows: Some(Arc::new(rows)), ..self.clone() }
    }

    /// The first `n` rows in an order; equal ones by `flow_id`.
    #[must_use]
    pub fn top(&self, order: Order, n: usize, descending: bool) -> Self {
        let mut ids: Vec<u32> = (0..self.len()).map(|row| self.id(row)).collect();
        let compare = |a: &u32, b: &u32| {
            let by = self.compare(order, *a, *b);
            (if descending { by.reverse() } else { by }).then(a.cmp(b))
        };
        if n < ids.len() {
            ids.select_nth_unstable_by(n, compare);
            ids.truncate(n);
        }
        ids.sort_unstable_by(compare);
        Self { rows: Some(Arc::new(ids)), ..self.clone() }
    }

    /// A row's `flow_id` and flow.
    pub fn row(&self, row: usize) -> (u32, &Flow) {
        let id = self.id(row);
        (id, self.flow(id))
    }

    /// The Community ID of a flow, with the seed of this table.
    pub fn community_id(&self, flow: &Flow) -> Option<[u8; LEN]> {
        community_id(flow, self.seed)
    }

    fn id(&self, row: usize) -> u32 {
        self.rows.as_ref().map_or(row as u32, |rows| rows[row])
    }

    fn number(&self, id: u32) -> u32 {
        self.ids.as_ref().map_or(id, |ids| ids[id as usize])
    }

    /// The flow of a `flow_id` that is there.
    pub fn flow(&self, id: u32) -> &Flow {
        self.table.flow(self.number(id))
    }

    fn detail_of(&self, id: u32) -> Row<'_> {
        let flow = self.flow(id);
        let detail = self.details.as_ref().and_then(|details| details.of(self.number(id), flow));
        Row { flow, detail, client: client(flow).0 }
    }

    fn service_of(&self, id: u32) -> Option<services::Row<'_>> {
        let identified = self.identified.as_deref()?;
        Some(services::Row { identified, number: self.number(id), flow: self.flow(id) })
    }

    fn compare(&self, order: Order, a: u32, b: u32) -> std::cmp::Ordering {
        let (x, y) = (self.flow(a), self.flow(b));
        let ((cx, gx), (cy, gy)) = (client(x), client(y));
        let port = |f: &Flow, c: usize| if c == 0 { f.key.lo_port } else { f.key.hi_port };
        let addr = |f: &Flow, c: usize| (f.key.version, if c == 0 { f.key.lo } else { f.key.hi });
        match order {
            Order::Bytes => x.bytes().cmp(&y.bytes()),
            Order::Packets => x.packets().cmp(&y.packets()),
            Order::Payload => x.payload().cmp(&y.payload()),
            Order::Detail(c) => details::compare(&self.detail_of(a), &self.detail_of(b), c),
            Order::Service(c) => match (self.service_of(a), self.service_of(b)) {
                (Some(a), Some(b)) => services::compare(&a, &b, c),
                _ => std::cmp::Ordering::Equal,
            },
            Order::Held(c) => self.held_of(a).value(c).cmp(&self.held_of(b).value(c)),
            Order::Column(c) => match c {
                0 => a.cmp(&b),
                1 => text::protocol(x.key.proto).cmp(text::protocol(y.key.proto)),
                2 => addr(x, cx).cmp(&addr(y, cy)),
                3 => port(x, cx).cmp(&port(y, cy)),
                4 => addr(x, 1 - cx).cmp(&addr(y, 1 - cy)),
                5 => port(x, 1 - cx).cmp(&port(y, 1 - cy)),
                6 => x.first_ts.cmp(&y.first_ts),
                7 => x.last_ts.cmp(&y.last_ts),
                8 => duration(x).cmp(&duration(y)),
                9..=14 => counter(x, cx, c - 9).cmp(&counter(y, cy, c - 9)),
                15 => state::name(x).cmp(state::name(y)),
                16 => gx.cmp(&gy),
                17 => x.vlan.cmp(&y.vlan),
                18 => x.tunnels.cmp(&y.tunnels),
                _ => community_id(x, self.seed).cmp(&community_id(y, self.seed)),
            },
        }
    }

    /// The rows as record batches.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static {
        let flows = self.clone();
        (0..self.len().div_ceil(BATCH)).map(move |i| flows.batch(i * BATCH, BATCH))
    }

    /// Some rows as a record batch.
    pub fn batch(&self, offset: usize, n: usize) -> Result<RecordBatch, ArrowError> {
        let end = offset.saturating_add(n).min(self.len());
        let ids: Vec<u32> = (offset.min(end)..end).map(|row| self.id(row)).collect();
        let n = ids.len();
        let mut proto = Text::with_capacity(n, 4);
        let mut ips = [Text::with_capacity(n, 16), Text::with_capacity(n, 16)];
        let mut states = Text::with_capacity(n, 8);
        let mut vlan = Text::with_capacity(n, 0);
        let mut tunnel = Text::with_capacity(n, 0);
        let mut community = Text::with_capacity(n, LEN);
        let mut ports = [Vec::with_capacity(n), Vec::with_capacity(n)];
        let mut times = [(); 3].map(|()| Vec::with_capacity(n));
        let mut counters = COUNTERS.map(|_| Vec::with_capacity(n));
        let mut guesses = BooleanBufferBuilder::new(n);
        // All columns in one go, so that each flow is fetched into the cache once.
        for &id in &ids {
            let flow = self.flow(id);
            let (c, guessed) = client(flow);
            let key = &flow.key;
            proto.push_str(text::protocol(key.proto));
            for (end, ip) in ips.iter_mut().enumerate() {
                ip.push(|out| {
                    text::address(out, key, (c == 1) == (end == 0));
                    true
                });
            }
            let (lo, hi) = (key.lo_port, key.hi_port);
            ports[0].push(if c == 0 { lo } else { hi });
            ports[1].push(if c == 0 { hi } else { lo });
            for (column, value) in times.iter_mut().zip([flow.first_ts, flow.last_ts, duration(flow)]) {
                column.push(value);
            }
            for (which, column) in counters.iter_mut().enumerate() {
                column.push(counter(flow, c, which));
            }
            states.push_str(state::name(flow));
            guesses.append(guessed);
            vlan.push(|out| text::vlan(out, flow.vlan));
            tunnel.push(|out| text::tunnels(out, flow.tunnels));
            let digest = community_id(flow, self.seed);
            community.push(|out| match digest.as_ref().and_then(|id| std::str::from_utf8(id).ok()) {
                Some(id) => {
                    out.push_str(id);
                    true
                }
                None => false,
            });
        }
        let time = |values: Vec<i64>| -> ArrayRef {
            let plain = PrimitiveArray::<TimestampNanosecondType>::from(values);
            Arc::new(plain.with_timezone("UTC"))
        };
        let [client_ip, server_ip] = ips;
        let [client_port, server_port] = ports;
        let [first, last, durations] = times;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(ids.iter().map(|&id| u64::from(id)))),
            proto.finish()?,
            client_ip.finish()?,
            Arc::new(UInt16Array::from(client_port)),
            server_ip.finish()?,
            Arc::new(UInt16Array::from(server_port)),
            time(first),
            time(last),
            Arc::new(PrimitiveArray::<DurationNanosecondType>::from(durations)),
        ];
        for values in counters {
            columns.push(Arc::new(UInt64Array::from(values)));
        }
        columns.push(states.finish()?);
        columns.push(Arc::new(BooleanArray::new(guesses.finish(), None)));
        columns.push(vlan.finish()?);
        columns.push(tunnel.finish()?);
        columns.push(community.finish()?);
        if self.details.is_some() {
            let rows: Vec<Row<'_>> = ids.iter().map(|&id| self.detail_of(id)).collect();
            columns.extend(details::columns(&rows)?);
        }
        if self.identified.is_some() {
            let rows: Vec<services::Row<'_>> = ids.iter().filter_map(|&id| self.service_of(id)).collect();
            columns.extend(services::columns(&rows)?);
        }
        if self.held.is_some() {
            let rows: Vec<Held> = ids.iter().map(|&id| self.held_of(id)).collect();
            for column in 0..Held::NAMES.len() {
                columns.push(Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.value(column)))));
            }
        }
        RecordBatch::try_new(self.schema().clone(), columns)
    }

    /// Writes the rows as an Arrow IPC file.
    pub fn write_arrow<W: Write>(&self, out: W) -> Result<W, ArrowError> {
        let mut writer = FileWriter::try_new(out, self.schema())?;
        self.encode(|batch| writer.write(&batch))?;
        writer.finish()?;
        writer.into_inner()
    }

    /// Makes the batches on two threads more than one and hands them over in order.
    pub(super) fn encode(
        &self,
        mut take: impl FnMut(RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<(), ArrowError> {
        let batches = self.len().div_ceil(BATCH);
        let threads = threads();
        if batches < 2 || threads < 2 {
            return self.batches().try_for_each(|batch| take(batch?));
        }
        std::thread::scope(|scope| {
            // Each thread makes every n-th batch; a channel without room holds it back.
            let made: Vec<_> = (0..threads)
                .map(|t| {
                    let (send, made) = std::sync::mpsc::sync_channel(1);
                    scope.spawn(move || {
                        for i in (t..batches).step_by(threads) {
                            if send.send(self.batch(i * BATCH, BATCH)).is_err() {
                                break; // nobody takes them any more
                            }
                        }
                    });
                    made
                })
                .collect();
            (0..batches).try_for_each(|i| match made[i % threads].recv() {
                Ok(batch) => take(batch?),
                Err(gone) => Err(ArrowError::from(io::Error::other(gone))),
            })
        })
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// Whether the first `bits` bits are the same.
fn same_bits(a: &[u8], b: &[u8], bits: u32) -> bool {
    let (bytes, rest) = (bits as usize / 8, bits % 8);
    if bytes >= a.len() {
        return a == &b[..a.len()];
    }
    a[..bytes] == b[..bytes] && (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0)
}

fn duration(flow: &Flow) -> i64 {
    flow.last_ts.saturating_sub(flow.first_ts)
}
