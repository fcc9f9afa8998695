//! The file of a summary: Arrow IPC, one row a flow and one a fragment (see `docs/formats/summary.md`).

use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type, UInt8Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch,
};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::CompressionType;
use arrow_schema::{ArrowError, Field, Metadata, Schema};
use flowkeep_core::flow::{Assembly, Flow, Left, Lists, Parts, Rules, Side, Summary, Told, ToldRow, NONE};
use flowkeep_core::packet::{Key, Options, Seed};

use super::column::numbers;
use super::fragment;

/// Version of the layout.
pub const VERSION: &str = "1";

/// Rows in a record batch.
const ROWS: usize = 1 << 16;
/// The two ends of a key.
const ENDS: [&str; 2] = ["lo", "hi"];

/// What a row is.
mod kind {
    pub const FLOW: u8 = 0;
    pub const HEAD: u8 = 1;
    pub const KNOWN: u8 = 2;
    pub const UNDECIDED: u8 = 3;
    pub const WAITING: u8 = 4;
}

/// One row of the file.
struct Line {
    kind: u8,
    flow: Flow,
    id: u64,
    told: ToldRow,
    fragment: Vec<u8>,
}

impl Line {
    fn of_flow(flow: Flow, id: u64, told: ToldRow) -> Self {
        Self { kind: kind::FLOW, flow, id, told, fragment: Vec::new() }
    }

    fn of_fragment(kind: u8, fragment: Vec<u8>) -> Self {
        Self { kind, flow: Flow::NOTHING, id: 0, told: ToldRow::default(), fragment }
    }
}

/// Writes a summary. `options`: how the headers of its packets were read.
pub fn write<W: Write>(out: W, summary: &Summary, options: Options) -> Result<W, ArrowError> {
    let parts = summary.parts();
    let first = batch(&[])?;
    let schema =
        Arc::new(Schema::new_with_metadata(first.schema().fields().clone(), metadata(&parts, options)));
    let write_options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = FileWriter::try_new_with_options(out, &schema, write_options)?;
    let told = parts.told.iter().flat_map(|told| told.rows.iter().copied());
    let told = told.chain(std::iter::repeat(ToldRow::default()));
    let flows = summary.flows().zip(told).map(|((flow, id), told)| Line::of_flow(flow, id, told));
    let lists = &parts.fragments;
    let firsts =
        [(kind::HEAD, &lists.heads), (kind::KNOWN, &lists.known)].into_iter().flat_map(|(kind, list)| {
            list.iter().map(move |(key, first)| Line::of_fragment(kind, fragment::first(key, first)))
        });
    let waits = [(kind::UNDECIDED, &lists.undecided), (kind::WAITING, &lists.waiting)];
    let waits = waits.into_iter().flat_map(|(kind, list)| {
        list.iter().map(move |early| Line::of_fragment(kind, fragment::early(early)))
    });
    let mut lines = flows.chain(firsts).chain(waits);
    let mut room = Vec::new();
    loop {
        room.clear();
        room.extend(lines.by_ref().take(ROWS));
        if room.is_empty() {
            break;
        }
        let batch = batch(&room)?;
        writer.write(&RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?)?;
    }
    writer.finish()?;
    writer.into_inner()
}

fn metadata(parts: &Parts, options: Options) -> HashMap<String, String> {
    let told = parts.told.as_ref();
    let last = told.and_then(|told| told.last);
    let all: [(&str, String); 17] = [
        ("summary", VERSION.to_owned()),
        ("writer", env!("CARGO_PKG_VERSION").to_owned()),
        ("begins", (parts.left == Left::Start).to_string()),
        ("packets", parts.packets.to_string()),
        ("bytes", parts.bytes.to_string()),
        ("untracked", parts.untracked.to_string()),
        ("fragments_overflow", parts.overflow.to_string()),
        ("next_id", parts.next_id.to_string()),
        ("id_step", parts.step.to_string()),
        ("idle_ns", parts.rules.idle_ns.to_string()),
        ("tcp_idle_ns", parts.rules.tcp_idle_ns.to_string()),
        ("max_flows", parts.rules.max_flows.to_string()),
        ("outer", options.outer.to_string()),
        ("key_vlan", options.key_vlan.to_string()),
        ("told", told.is_some().to_string()),
        ("told_cutting", told.is_some_and(|told| told.cutting).to_string()),
        ("told_last", last.map_or_else(String::new, |(packets, bytes)| format!("{packets} {bytes}"))),
    ];
    all.into_iter().map(|(name, value)| (format!("flowkeep.{name}"), value)).collect()
}

/// Reads a summary, and how the headers of its packets were read. The error says in words what is wrong with it.
pub fn read<R: Read + Seek>(input: R, seed: Seed) -> Result<(Summary, Options), String> {
    // The Arrow reader checks what it reads; should it panic on a forged file all the same, that
    // is an error of the file and not of the program.
    catch_unwind(AssertUnwindSafe(|| read_checked(input, seed)))
        .unwrap_or_else(|_| Err("its Arrow data is broken".to_owned()))
}

fn read_checked<R: Read + Seek>(mut input: R, seed: Seed) -> Result<(Summary, Options), String> {
    super::lengths::check(&mut input)?;
    let reader = FileReader::try_new(input, None).map_err(|e| format!("it is no Arrow IPC file: {e}"))?;
    let (parts, options) = about(reader.schema().metadata())?;
    let mut assembly = Assembly::new(parts, seed)?;
    for batch in reader {
        let batch = batch.map_err(|e| format!("its Arrow data is broken: {e}"))?;
        read_batch(&batch, &mut assembly)?;
    }
    Ok((assembly.finish()?, options))
}

fn about(metadata: &Metadata) -> Result<(Parts, Options), String> {
    let text = |name: &str| {
        let found = metadata.get(&format!("flowkeep.{name}"));
        found.map(String::as_str).ok_or_else(|| format!("it lacks the metadata flowkeep.{name}"))
    };
    let version = text("summary")?;
    if version != VERSION {
        return Err(format!("its layout is version {version}, version {VERSION} is read"));
    }
    let wrong = |name: &str| format!("its metadata flowkeep.{name} is not what it should be");
    let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| wrong(name));
    let time = |name: &str| text(name)?.parse::<i64>().map_err(|_| wrong(name));
    let flag = |name: &str| text(name)?.parse::<bool>().map_err(|_| wrong(name));
    let last = match text("told_last")? {
        "" => None,
        both => {
            let both = both.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            Some(both.ok_or_else(|| wrong("told_last"))?)
        }
    };
    let (cutting, packets, bytes) = (flag("told_cutting")?, number("packets")?, number("bytes")?);
    if last.is_some_and(|(pos, before): (u64, u64)| pos >= packets || before > bytes) {
        return Err(wrong("told_last"));
    }
    let parts = Parts {
        rules: Rules {
            idle_ns: time("idle_ns")?,
            tcp_idle_ns: time("tcp_idle_ns")?,
            max_flows: u32::try_from(number("max_flows")?).map_err(|_| wrong("max_flows"))?,
        },
        left: if flag("begins")? { Left::Start } else { Left::Open },
        packets,
        bytes,
        untracked: number("untracked")?,
        overflow: number("fragments_overflow")?,
        next_id: number("next_id")?,
        step: number("id_step")?,
        fragments: Lists::default(),
        told: flag("told")?.then_some(Told { rows: Vec::new(), cutting, last }),
    };
    Ok((parts, Options { outer: flag("outer")?, key_vlan: flag("key_vlan")? }))
}

/// A number of a flow, by the name of its column.
type Of<N> = (&'static str, fn(&Flow) -> N);
const TIMES: [Of<i64>; 4] = [
    ("first_ts", |f| f.first_ts),
    ("last_ts", |f| f.last_ts),
    ("head_ts", |f| f.head_ts),
    ("tail_ts", |f| f.tail_ts),
];
const BYTES: [Of<u8>; 4] = [
    ("proto", |f| f.key.proto),
    ("version", |f| f.key.version),
    ("icmp_type", |f| f.icmp[0]),
    ("icmp_code", |f| f.icmp[1]),
];
const SHORTS: [Of<u16>; 8] = [
    ("lo_port", |f| f.key.lo_port),
    ("hi_port", |f| f.key.hi_port),
    ("key_outer_vlan", |f| f.key.vlan[0]),
    ("key_inner_vlan", |f| f.key.vlan[1]),
    ("outer_vlan", |f| f.vlan[0]),
    ("inner_vlan", |f| f.vlan[1]),
    ("tunnels", |f| f.tunnels),
    ("flags", |f| f.flags),
];
/// A number of one end, by the name of its column.
type OfEnd<N> = (&'static str, fn(&Side) -> N);
const COUNTS: [OfEnd<u64>; 4] = [
    ("packets", |s| s.packets),
    ("bytes", |s| s.bytes),
    ("wire_bytes", |s| s.wire),
    ("payload_bytes", |s| s.payload),
];
const WORDS: [OfEnd<u32>; 3] = [("syn", |s| s.syn), ("end", |s| s.end), ("ack", |s| s.ack)];

fn batch(lines: &[Line]) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    let mut add = |name: String, array: ArrayRef| {
        fields.push(Field::new(&name, array.data_type().clone(), name == "fragment"));
        arrays.push(array);
    };
    let flows = || lines.iter().map(|line| &line.flow);
    add("kind".to_owned(), numbers::<UInt8Type>(lines.iter().map(|line| line.kind)));
    add("id".to_owned(), numbers::<UInt64Type>(lines.iter().map(|line| line.id)));
    add("first_packet".to_owned(), numbers::<UInt64Type>(flows().map(|f| f.first)));
    let address = |of: fn(&Key) -> [u8; 16]| -> Result<ArrayRef, ArrowError> {
        let bytes: Vec<u8> = flows().flat_map(|f| of(&f.key)).collect();
        Ok(Arc::new(FixedSizeBinaryArray::try_new(16, bytes.into(), None)?))
    };
    add("lo_address".to_owned(), address(|key| key.lo)?);
    add("hi_address".to_owned(), address(|key| key.hi)?);
    for (name, of) in BYTES {
        add(name.to_owned(), numbers::<UInt8Type>(flows().map(of)));
    }
    for (name, of) in SHORTS {
        add(name.to_owned(), numbers::<UInt16Type>(flows().map(of)));
    }
    add("head_seq".to_owned(), numbers::<UInt32Type>(flows().map(|f| f.head_seq)));
    for (name, of) in TIMES {
        let times = PrimitiveArray::<TimestampNanosecondType>::from_iter_values(flows().map(of));
        add(name.to_owned(), Arc::new(times.with_timezone("UTC")));
    }
    for (at, end) in ENDS.iter().enumerate() {
        let sides = || flows().map(|f| &f.side[at]);
        for (name, of) in COUNTS {
            add(format!("{end}_{name}"), numbers::<UInt64Type>(sides().map(of)));
        }
        for (name, of) in WORDS {
            add(format!("{end}_{name}"), numbers::<UInt32Type>(sides().map(of)));
        }
        add(format!("{end}_window"), numbers::<UInt16Type>(sides().map(|s| s.window)));
        add(format!("{end}_wscale"), numbers::<UInt8Type>(sides().map(|s| s.wscale)));
        add(format!("{end}_seen"), numbers::<UInt8Type>(sides().map(|s| s.seen)));
        for (name, of) in COUNTS {
            let before = lines.iter().map(|line| of(&line.told.before[at]));
            add(format!("before_{end}_{name}"), numbers::<UInt64Type>(before));
        }
    }
    let continues: BooleanArray = lines.iter().map(|line| Some(line.told.continues)).collect();
    add("continues".to_owned(), Arc::new(continues));
    let fragments = lines.iter().map(|line| (line.kind != kind::FLOW).then_some(&line.fragment[..]));
    add("fragment".to_owned(), Arc::new(fragments.collect::<BinaryArray>()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// Looks up the columns of a batch by name and type.
struct Lookup<'a>(&'a RecordBatch);

impl<'a> Lookup<'a> {
    fn array(&self, name: &str) -> Result<&'a ArrayRef, String> {
        self.0.column_by_name(name).ok_or_else(|| format!("it lacks the column {name}"))
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&'a PrimitiveArray<T>, String> {
        let array = self.array(name)?.as_primitive_opt::<T>().filter(|a| a.null_count() == 0);
        array.ok_or_else(|| wrong(name))
    }

    fn address(&self, name: &str) -> Result<&'a FixedSizeBinaryArray, String> {
        let array = self.array(name)?.as_fixed_size_binary_opt();
        array.filter(|a| a.null_count() == 0 && a.value_length() == 16).ok_or_else(|| wrong(name))
    }
}

fn wrong(name: &str) -> String {
    format!("its column {name} is not of the right type")
}

/// The columns of one end.
struct End<'a> {
    counts: [&'a PrimitiveArray<UInt64Type>; 4],
    words: [&'a PrimitiveArray<UInt32Type>; 3],
    window: &'a PrimitiveArray<UInt16Type>,
    bytes: [&'a PrimitiveArray<UInt8Type>; 2],
    before: [&'a PrimitiveArray<UInt64Type>; 4],
}

impl<'a> End<'a> {
    fn new(l: &Lookup<'a>, end: &str) -> Result<Self, String> {
        let count = |name: &str| l.number(&format!("{end}_{name}"));
        let word = |name: &str| l.number(&format!("{end}_{name}"));
        let byte = |name: &str| l.number(&format!("{end}_{name}"));
        let before = |name: &str| l.number(&format!("before_{end}_{name}"));
        Ok(Self {
            counts: [count("packets")?, count("bytes")?, count("wire_bytes")?, count("payload_bytes")?],
            words: [word("syn")?, word("end")?, word("ack")?],
            window: l.number(&format!("{end}_window"))?,
            bytes: [byte("wscale")?, byte("seen")?],
            before: [before("packets")?, before("bytes")?, before("wire_bytes")?, before("payload_bytes")?],
        })
    }

    fn side(&self, i: usize) -> Side {
        Side {
            syn: self.words[0].value(i),
            end: self.words[1].value(i),
            ack: self.words[2].value(i),
            window: self.window.value(i),
            wscale: self.bytes[0].value(i),
            seen: self.bytes[1].value(i),
            ..counted(self.counts, i)
        }
    }
}

fn counted(columns: [&PrimitiveArray<UInt64Type>; 4], i: usize) -> Side {
    let [packets, bytes, wire, payload] = columns.map(|column| column.value(i));
    Side { packets, bytes, wire, payload, ..Side::default() }
}

fn read_batch(batch: &RecordBatch, to: &mut Assembly) -> Result<(), String> {
    let l = Lookup(batch);
    let small = |name: &str| l.number::<UInt8Type>(name);
    let medium = |name: &str| l.number::<UInt16Type>(name);
    let time = |name: &str| l.number::<TimestampNanosecondType>(name);
    let (kinds, ids, first) =
        (small("kind")?, l.number::<UInt64Type>("id")?, l.number::<UInt64Type>("first_packet")?);
    let (lo, hi) = (l.address("lo_address")?, l.address("hi_address")?);
    let (proto, version) = (small("proto")?, small("version")?);
    let icmp = [small("icmp_type")?, small("icmp_code")?];
    let ports = [medium("lo_port")?, medium("hi_port")?];
    let key_vlan = [medium("key_outer_vlan")?, medium("key_inner_vlan")?];
    let vlan = [medium("outer_vlan")?, medium("inner_vlan")?];
    let (tunnels, flags) = (medium("tunnels")?, medium("flags")?);
    let head_seq = l.number::<UInt32Type>("head_seq")?;
    let times = [time("first_ts")?, time("last_ts")?, time("head_ts")?, time("tail_ts")?];
    let ends = [End::new(&l, ENDS[0])?, End::new(&l, ENDS[1])?];
    let continues = l.array("continues")?.as_boolean_opt().filter(|a| a.null_count() == 0);
    let continues = continues.ok_or_else(|| wrong("continues"))?;
    let fragments = l.array("fragment")?.as_binary_opt::<i32>().ok_or_else(|| wrong("fragment"))?;
    let address = |column: &FixedSizeBinaryArray, i: usize| -> [u8; 16] {
        column.value(i).try_into().unwrap_or_default()
    };
    for i in 0..batch.num_rows() {
        let kind = kinds.value(i);
        if kind != kind::FLOW {
            let lists = &mut to.parts.fragments;
            let bytes = if fragments.is_null(i) { &[] } else { fragments.value(i) };
            match kind {
                kind::HEAD => lists.heads.push(fragment::read_first(bytes)?),
                kind::KNOWN => lists.known.push(fragment::read_first(bytes)?),
                kind::UNDECIDED => lists.undecided.push(fragment::read_early(bytes)?),
                kind::WAITING => lists.waiting.push(fragment::read_early(bytes)?),
                other => return Err(format!("a row in it is of kind {other}, of which nothing is known")),
            }
            continue;
        }
        let key = Key {
            lo: address(lo, i),
            hi: address(hi, i),
            lo_port: ports[0].value(i),
            hi_port: ports[1].value(i),
            vlan: key_vlan.map(|column| column.value(i)),
            proto: proto.value(i),
            version: version.value(i),
        };
        let flow = Flow {
            key,
            flags: flags.value(i),
            tunnels: tunnels.value(i),
            vlan: vlan.map(|column| column.value(i)),
            icmp: icmp.map(|column| column.value(i)),
            head_seq: head_seq.value(i),
            older: NONE,
            first: first.value(i),
            head_ts: times[2].value(i),
            tail_ts: times[3].value(i),
            first_ts: times[0].value(i),
            last_ts: times[1].value(i),
            side: [ends[0].side(i), ends[1].side(i)],
        };
        if let Some(told) = &mut to.parts.told {
            let before = [counted(ends[0].before, i), counted(ends[1].before, i)];
            told.rows.push(ToldRow { continues: continues.value(i), before });
        }
        to.push(flow, ids.value(i))?;
    }
    Ok(())
}
