//! The ledger file `NAME.ledger.arrow`: Arrow IPC, one row a flow (see `docs/formats/ledger.md`).
//!
//! Its readable columns are those of the flow table; the columns behind `kept_*` are the session's
//! state, from which the next file or the next tier goes on.

use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type, UInt8Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::CompressionType;
use arrow_schema::{ArrowError, Field, Schema};
use flowkeep_core::cut::ledger::{Chosen, Left, Row};
use flowkeep_core::cut::{Count, Kept, Unit};
use flowkeep_core::flow::client::client;
use flowkeep_core::flow::{flag, Flow, Side, NONE};
use flowkeep_core::packet::Key;

use super::column::{numbers, Text};
use super::text;

/// Version of the layout.
pub const VERSION: &str = "1";

/// What a ledger says about its file as a whole; kept in the schema's metadata under `flowkeep.NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// SHA-256 of the file before it was trimmed, hex.
    pub digest_in: String,
    /// SHA-256 of the trimmed file, hex.
    pub digest_out: String,
    /// The policy, as JSON.
    pub policy: String,
    /// Packets of the whole file, before it was ever trimmed.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Time of the first packet of the whole file, in capture order; `None`: it never had one.
    pub first_ts: Option<i64>,
    /// Bytes of the file on disk before it was trimmed, and of the trimmed file.
    pub sizes: [u64; 2],
    /// Version of flowkeep that wrote it.
    pub writer: String,
    /// What each cutoff would leave, see [`super::sizes`]; empty in ledgers of early builds.
    pub curve: String,
    /// By what the packets of the file were chosen before it was trimmed, and of the trimmed file; `None`: they are
    /// all there.
    pub chosen: [Option<Chosen>; 2],
    /// Whether it was asked what the flows speak.
    pub identified: bool,
    /// What the rows call a rule or a service.
    pub texts: Vec<String>,
}

impl About {
    /// The text of a row's rule or service.
    pub fn text(&self, place: u32) -> Option<&str> {
        self.texts.get((place as usize).checked_sub(1)?).map(String::as_str)
    }
}

/// Which of the two directions: that of the client or that of the server.
const ENDS: [&str; 2] = ["client", "server"];
const ROWS: usize = 1 << 16;

/// Writes a ledger.
pub fn write<W: Write>(out: W, about: &About, rows: &[Row]) -> Result<W, ArrowError> {
    let first = batch(about, &rows[..rows.len().min(ROWS)])?;
    let metadata = HashMap::from([
        ("flowkeep.ledger".to_owned(), VERSION.to_owned()),
        ("flowkeep.digest_in".to_owned(), about.digest_in.clone()),
        ("flowkeep.digest_out".to_owned(), about.digest_out.clone()),
        ("flowkeep.policy".to_owned(), about.policy.clone()),
        ("flowkeep.packets".to_owned(), about.packets.to_string()),
        ("flowkeep.bytes".to_owned(), about.bytes.to_string()),
        ("flowkeep.first_ts".to_owned(), about.first_ts.map_or_else(String::new, |ts| ts.to_string())),
        ("flowkeep.size_in".to_owned(), about.sizes[0].to_string()),
        ("flowkeep.size_out".to_owned(), about.sizes[1].to_string()),
        ("flowkeep.writer".to_owned(), about.writer.clone()),
        ("flowkeep.curve".to_owned(), about.curve.clone()),
        ("flowkeep.chosen_in".to_owned(), chosen_text(about.chosen[0])),
        ("flowkeep.chosen_out".to_owned(), chosen_text(about.chosen[1])),
        ("flowkeep.identified".to_owned(), about.identified.to_string()),
    ]);
    let schema = Arc::new(Schema::new_with_metadata(first.schema().fields().clone(), metadata));
    // A row is some 400 bytes, most of them zeros: of small flows a ledger would be as large as their packets.
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = FileWriter::try_new_with_options(out, &schema, options)?;
    for rows in rows.chunks(ROWS) {
        let batch = batch(about, rows)?;
        writer.write(&RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?)?;
    }
    writer.finish()?;
    writer.into_inner()
}

/// Reads a ledger. The error says in words what is wrong with it.
pub fn read<R: Read + Seek>(input: R) -> Result<(About, Vec<Row>), String> {
    // The Arrow reader checks what it reads; should it panic on a forged file all the same, that
    // is an error of the file and not of the program.
    catch_unwind(AssertUnwindSafe(|| read_checked(input)))
        .unwrap_or_else(|_| Err("its Arrow data is broken".to_owned()))
}

/// Reads what a ledger says about its file as a whole.
pub fn read_about<R: Read + Seek>(input: R) -> Result<About, String> {
    catch_unwind(AssertUnwindSafe(|| open(input).map(|(_, about)| about)))
        .unwrap_or_else(|_| Err("its Arrow data is broken".to_owned()))
}

fn read_checked<R: Read + Seek>(input: R) -> Result<(About, Vec<Row>), String> {
    let (reader, mut about) = open(input)?;
    let mut rows = Vec::new();
    let mut texts = Texts::default();
    // Those of early builds have one cutoff for all flows.
    let cutoffs = about.chosen.map(|chosen| chosen.and_then(|c| c.cutoff).map_or(u64::MAX, |(n, _)| n));
    for batch in reader {
        let batch = batch.map_err(|e| format!("its Arrow data is broken: {e}"))?;
        read_batch(&batch, cutoffs, &mut texts, &mut rows)?;
    }
    about.texts = texts.all;
    Ok((about, rows))
}

fn open<R: Read + Seek>(mut input: R) -> Result<(FileReader<R>, About), String> {
    super::lengths::check(&mut input)?;
    let reader = FileReader::try_new(input, None).map_err(|e| format!("it is no Arrow IPC file: {e}"))?;
    let schema = reader.schema();
    let text = |name: &str| {
        let found = schema.metadata().get(&format!("flowkeep.{name}"));
        found.cloned().ok_or_else(|| format!("it lacks the metadata flowkeep.{name}"))
    };
    let version = text("ledger")?;
    if version != VERSION {
        return Err(format!("its layout is version {version}, version {VERSION} is read"));
    }
    let number = |name: &str| {
        text(name)?.parse::<u64>().map_err(|_| format!("its metadata flowkeep.{name} is no number"))
    };
    let about = About {
        digest_in: text("digest_in")?,
        digest_out: text("digest_out")?,
        policy: text("policy")?,
        packets: number("packets")?,
        bytes: number("bytes")?,
        // Ledgers of early builds have no such entries.
        first_ts: text("first_ts").ok().and_then(|ts| ts.parse().ok()),
        sizes: [number("size_in").unwrap_or(0), number("size_out").unwrap_or(0)],
        writer: text("writer")?,
        curve: text("curve").unwrap_or_default(),
        chosen: [chosen(&text("chosen_in")?)?, chosen(&text("chosen_out")?)?],
        identified: text("identified").is_ok_and(|value| value == "true"),
        texts: Vec::new(),
    };
    Ok((reader, about))
}

const COUNTS: [(Count, &str); 3] =
    [(Count::Frame, "frame"), (Count::Wire, "wire"), (Count::Payload, "payload")];

/// `all`, or `CUTOFF COUNT both|each SAMPLE`; the first three are `-` where cutoffs cannot be compared.
fn chosen_text(chosen: Option<Chosen>) -> String {
    let Some(chosen) = chosen else { return "all".to_owned() };
    let Some((cutoff, unit)) = chosen.cutoff else { return format!("- - - {}", chosen.sample) };
    let count = COUNTS.iter().find(|(count, _)| *count == unit.count).map_or("-", |(_, name)| name);
    format!("{cutoff} {count} {} {}", if unit.per_direction { "each" } else { "both" }, chosen.sample)
}

fn chosen(text: &str) -> Result<Option<Chosen>, String> {
    let wrong = || format!("its metadata say {text:?} of how the packets were chosen");
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["all"] => Ok(None),
        [cutoff, count, unit, sample] => {
            let sample = sample.parse().map_err(|_| wrong())?;
            if cutoff == "-" {
                return Ok(Some(Chosen { cutoff: None, sample }));
            }
            let count = COUNTS.iter().find(|(_, name)| *name == count).ok_or_else(wrong)?.0;
            let per_direction = match unit {
                "each" => true,
                "both" => false,
                _ => return Err(wrong()),
            };
            let cutoff = cutoff.parse().map_err(|_| wrong())?;
            Ok(Some(Chosen { cutoff: Some((cutoff, Unit { count, per_direction })), sample }))
        }
        _ => Err(wrong()),
    }
}

/// Texts, each once.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    places: HashMap<String, u32>,
}

impl Texts {
    /// The place of a text + 1.
    fn place(&mut self, text: &str) -> u32 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        self.all.push(text.to_owned());
        let place = self.all.len() as u32;
        self.places.insert(text.to_owned(), place);
        place
    }
}

/// A column under construction.
struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn add(&mut self, name: impl Into<String>, array: ArrayRef) {
        self.fields.push(Field::new(name.into(), array.data_type().clone(), array.null_count() > 0));
        self.arrays.push(array);
    }

    fn number<T: ArrowPrimitiveType>(
        &mut self,
        name: impl Into<String>,
        values: impl Iterator<Item = T::Native>,
    ) {
        self.add(name, numbers::<T>(values));
    }

    fn time(&mut self, name: &str, values: impl Iterator<Item = i64>) {
        let array = PrimitiveArray::<TimestampNanosecondType>::from_iter_values(values);
        self.add(name, Arc::new(array.with_timezone("UTC")));
    }
}

fn batch(about: &About, rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let n = rows.len();
    let clients: Vec<usize> = rows.iter().map(|r| client(&r.flow).0).collect();
    let both = || rows.iter().zip(&clients);
    let mut c = Columns { fields: Vec::new(), arrays: Vec::new() };

    c.number::<UInt64Type>("first_packet", rows.iter().map(|r| r.flow.first));
    let mut proto = Text::with_capacity(n, 4);
    for row in rows {
        proto.push_str(text::protocol(row.flow.key.proto));
    }
    c.add("proto", proto.finish()?);
    for (end, name) in ENDS.iter().enumerate() {
        let mut ip = Text::with_capacity(n, 16);
        for (row, &client) in both() {
            ip.push(|out| {
                text::address(out, &row.flow.key, client ^ end == 1);
                true
            });
        }
        c.add(format!("{name}_ip"), ip.finish()?);
        let port = |(row, &client): (&Row, &usize)| {
            let key = &row.flow.key;
            if client ^ end == 1 {
                key.hi_port
            } else {
                key.lo_port
            }
        };
        c.number::<UInt16Type>(format!("{name}_port"), both().map(port));
    }
    c.time("first_ts", rows.iter().map(|r| r.flow.first_ts));
    c.time("last_ts", rows.iter().map(|r| r.flow.last_ts));
    for (name, of) in COUNTERS {
        for (end, who) in ENDS.iter().enumerate() {
            let value = |(row, &client): (&Row, &usize)| of(&row.flow.side[client ^ end]);
            c.number::<UInt64Type>(format!("{who}_{name}"), both().map(value));
        }
    }
    for (name, of) in KEPT {
        for (end, who) in ENDS.iter().enumerate() {
            let value = |(row, &client): (&Row, &usize)| of(&row.kept[client ^ end]);
            c.number::<UInt64Type>(format!("kept_{who}_{name}"), both().map(value));
        }
    }
    c.number::<UInt64Type>("shortened_packets", rows.iter().map(|r| r.shortened));
    for (end, who) in ENDS.iter().enumerate() {
        let head = |(row, &client): (&Row, &usize)| row.head[client ^ end];
        c.number::<UInt64Type>(format!("head_{who}_packets"), both().map(head));
    }
    c.number::<UInt64Type>("input_packets", rows.iter().map(|r| r.was.packets));
    for (end, who) in ENDS.iter().enumerate() {
        let head = |(row, &client): (&Row, &usize)| row.was.head[client ^ end];
        c.number::<UInt64Type>(format!("input_head_{who}_packets"), both().map(head));
    }
    let mut reason = Text::with_capacity(n, 6);
    for row in rows {
        reason.push(|out| {
            let cut = row.flow.bytes() > row.kept.iter().map(|k| k.bytes).sum();
            if cut {
                out.push_str("cutoff");
            }
            cut
        });
    }
    c.add("cut_by", reason.finish()?);
    let limit = |of: fn(&Row) -> u64| -> ArrayRef {
        let values = rows.iter().map(|row| Some(of(row)).filter(|&cutoff| cutoff != u64::MAX));
        Arc::new(values.collect::<PrimitiveArray<UInt64Type>>())
    };
    c.add("cutoff", limit(|row| row.cutoff));
    c.add("input_cutoff", limit(|row| row.was.cutoff));
    let names: [(&str, Named); 2] = [("allowed_by", |row| row.rule), ("service", |row| row.service)];
    for (name, of) in names {
        let mut text = Text::with_capacity(n, 8);
        for row in rows {
            text.push(|out| {
                about.text(of(row)).is_some_and(|text| {
                    out.push_str(text);
                    true
                })
            });
        }
        c.add(name, text.finish()?);
    }
    for (name, of) in COUNTERS {
        for (end, who) in ENDS.iter().enumerate() {
            let value = |(row, &client): (&Row, &usize)| of(&row.before[client ^ end]);
            c.number::<UInt64Type>(format!("before_{who}_{name}"), both().map(value));
        }
    }
    c.add("continues", Arc::new(rows.iter().map(|r| Some(r.continues)).collect::<BooleanArray>()));

    c.number::<UInt8Type>("key_version", rows.iter().map(|r| r.flow.key.version));
    c.number::<UInt8Type>("key_proto", rows.iter().map(|r| r.flow.key.proto));
    c.number::<UInt16Type>("key_outer_vlan", rows.iter().map(|r| r.flow.key.vlan[0]));
    c.number::<UInt16Type>("key_inner_vlan", rows.iter().map(|r| r.flow.key.vlan[1]));
    c.number::<UInt16Type>("outer_vlan", rows.iter().map(|r| r.flow.vlan[0]));
    c.number::<UInt16Type>("inner_vlan", rows.iter().map(|r| r.flow.vlan[1]));
    c.number::<UInt16Type>("tunnels", rows.iter().map(|r| r.flow.tunnels));
    c.number::<UInt16Type>("flags", rows.iter().map(|r| r.flow.flags));
    c.number::<UInt8Type>("icmp_type", rows.iter().map(|r| r.flow.icmp[0]));
    c.number::<UInt8Type>("icmp_code", rows.iter().map(|r| r.flow.icmp[1]));
    c.number::<UInt32Type>("head_seq", rows.iter().map(|r| r.flow.head_seq));
    c.time("head_ts", rows.iter().map(|r| r.flow.head_ts));
    c.time("tail_ts", rows.iter().map(|r| r.flow.tail_ts));
    for (end, who) in ENDS.iter().enumerate() {
        let side = |(row, &client): (&Row, &usize)| row.flow.side[client ^ end];
        c.number::<UInt32Type>(format!("{who}_syn"), both().map(|x| side(x).syn));
        c.number::<UInt32Type>(format!("{who}_end"), both().map(|x| side(x).end));
        c.number::<UInt32Type>(format!("{who}_ack"), both().map(|x| side(x).ack));
        c.number::<UInt16Type>(format!("{who}_window"), both().map(|x| side(x).window));
        c.number::<UInt8Type>(format!("{who}_wscale"), both().map(|x| side(x).wscale));
        c.number::<UInt8Type>(format!("{who}_seen"), both().map(|x| side(x).seen));
    }
    // Whether a text column has nulls differs from batch to batch, the schema must not.
    let open = |f: &Field| {
        ["cut_by", "cutoff", "input_cutoff", "allowed_by", "service"].contains(&f.name().as_str())
    };
    let fields: Vec<Field> =
        c.fields.into_iter().map(|f| if open(&f) { f.with_nullable(true) } else { f }).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), c.arrays)
}

/// The place of a row's rule or service in the texts.
type Named = fn(&Row) -> u32;
type SideCounter = fn(&Side) -> u64;
const COUNTERS: [(&str, SideCounter); 4] = [
    ("packets", |s| s.packets),
    ("bytes", |s| s.bytes),
    ("wire_bytes", |s| s.wire),
    ("payload_bytes", |s| s.payload),
];

type KeptCounter = fn(&Kept) -> u64;
const KEPT: [(&str, KeptCounter); 2] = [("packets", |k| k.packets), ("bytes", |k| k.bytes)];

/// Looks up the columns of a batch by name and type.
struct Lookup<'a>(&'a RecordBatch);

impl<'a> Lookup<'a> {
    fn array(&self, name: &str) -> Result<&'a ArrayRef, String> {
        self.0.column_by_name(name).ok_or_else(|| format!("it lacks the column {name}"))
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&'a PrimitiveArray<T>, String> {
        let array = self.array(name)?.as_primitive_opt::<T>().filter(|a| a.null_count() == 0);
        array.ok_or_else(|| format!("its column {name} is not of the right type"))
    }
}

fn read_batch(
    batch: &RecordBatch,
    cutoffs: [u64; 2],
    texts: &mut Texts,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    let l = Lookup(batch);
    let column = |name: &str| l.number::<UInt64Type>(name);
    let small = |name: &str| l.number::<UInt8Type>(name);
    let medium = |name: &str| l.number::<UInt16Type>(name);
    let word = |name: &str| l.number::<UInt32Type>(name);
    let time = |name: &str| l.number::<TimestampNanosecondType>(name);
    let pair = |format: &dyn Fn(&str) -> String| [format(ENDS[0]), format(ENDS[1])];
    let wrong = |name: &str| format!("its column {name} is not of the right type");

    let continues = l.array("continues")?.as_boolean_opt().ok_or_else(|| wrong("continues"))?;
    let (version, proto) = (small("key_version")?, small("key_proto")?);
    let vlans =
        [medium("key_outer_vlan")?, medium("key_inner_vlan")?, medium("outer_vlan")?, medium("inner_vlan")?];
    let (tunnels, flags) = (medium("tunnels")?, medium("flags")?);
    let (icmp_type, icmp_code) = (small("icmp_type")?, small("icmp_code")?);
    let (first, shortened, head_seq) =
        (column("first_packet")?, column("shortened_packets")?, word("head_seq")?);
    let times = [time("first_ts")?, time("last_ts")?, time("head_ts")?, time("tail_ts")?];
    let mut ends = Vec::new();
    for name in ENDS {
        let ip = l.array(&format!("{name}_ip"))?.as_string_opt::<i32>();
        let of = |what: &str| column(&format!("{name}_{what}"));
        let tcp = |what: &str| word(&format!("{name}_{what}"));
        ends.push((
            (ip.ok_or_else(|| wrong("client_ip"))?, medium(&format!("{name}_port"))?),
            [of("packets")?, of("bytes")?, of("wire_bytes")?, of("payload_bytes")?],
            [tcp("syn")?, tcp("end")?, tcp("ack")?],
            (
                medium(&format!("{name}_window"))?,
                small(&format!("{name}_wscale"))?,
                small(&format!("{name}_seen"))?,
            ),
        ));
    }
    let kept_packets = pair(&|who| format!("kept_{who}_packets"));
    let kept_bytes = pair(&|who| format!("kept_{who}_bytes"));
    let kept_packets = [column(&kept_packets[0])?, column(&kept_packets[1])?];
    let kept_bytes = [column(&kept_bytes[0])?, column(&kept_bytes[1])?];

    let heads = pair(&|who| format!("head_{who}_packets"));
    let heads = [column(&heads[0])?, column(&heads[1])?];
    let input = column("input_packets")?;
    let input_heads = pair(&|who| format!("input_head_{who}_packets"));
    let input_heads = [column(&input_heads[0])?, column(&input_heads[1])?];

    let limits = ["input_cutoff", "cutoff"].map(|name| {
        batch
            .column_by_name(name)
            .map(|array| array.as_primitive_opt::<UInt64Type>().ok_or_else(|| wrong(name)))
    });
    let [limit_in, limit_out] = limits.map(Option::transpose);
    let (limit_in, limit_out) = (limit_in?, limit_out?);
    let limit = |column: Option<&PrimitiveArray<UInt64Type>>, i: usize, without: u64| {
        column.map_or(without, |c| if c.is_null(i) { u64::MAX } else { c.value(i) })
    };
    let [rules, services] = ["allowed_by", "service"].map(|name| {
        let array = batch.column_by_name(name);
        array.map(|array| array.as_string_opt::<i32>().ok_or_else(|| wrong(name))).transpose()
    });
    let (rules, services) = (rules?, services?);
    let mut named = |column: Option<&arrow_array::StringArray>, i: usize| {
        column.filter(|c| !c.is_null(i)).map_or(0, |c| texts.place(c.value(i)))
    };
    let mut befores = Vec::new();
    if batch.column_by_name("before_client_packets").is_some() {
        for name in ENDS {
            for (what, _) in COUNTERS {
                befores.push(column(&format!("before_{name}_{what}"))?);
            }
        }
    }

    for i in 0..batch.num_rows() {
        let mut sides = [Side::default(); 2];
        let mut kept = [Kept::default(); 2];
        let mut head = [heads[0].value(i), heads[1].value(i)];
        let input_head = [input_heads[0].value(i), input_heads[1].value(i)];
        let cutoff = limit(limit_out, i, cutoffs[1]);
        let mut was =
            Left { packets: input.value(i), head: input_head, cutoff: limit(limit_in, i, cutoffs[0]) };
        let mut before = [Side::default(); 2];
        for (of, side) in befores.chunks(4).zip(&mut before) {
            (side.packets, side.bytes) = (of[0].value(i), of[1].value(i));
            (side.wire, side.payload) = (of[2].value(i), of[3].value(i));
        }
        let mut addresses = [([0; 16], 0); 2];
        for (end, ((ip, port), counters, tcp, (window, wscale, seen))) in ends.iter().enumerate() {
            sides[end] = Side {
                packets: counters[0].value(i),
                bytes: counters[1].value(i),
                wire: counters[2].value(i),
                payload: counters[3].value(i),
                syn: tcp[0].value(i),
                end: tcp[1].value(i),
                ack: tcp[2].value(i),
                window: window.value(i),
                wscale: wscale.value(i),
                seen: seen.value(i),
            };
            kept[end] = Kept { packets: kept_packets[end].value(i), bytes: kept_bytes[end].value(i) };
            addresses[end] = (address(ip.value(i))?, port.value(i));
        }
        // The key's lower end stands first, whoever is the client. Only for two equal ends does it
        // not matter, and then all packets are those of the first.
        let swap = (addresses[1].0, addresses[1].1) < (addresses[0].0, addresses[0].1);
        if swap {
            addresses.swap(0, 1);
            sides.swap(0, 1);
            kept.swap(0, 1);
            head.swap(0, 1);
            was.head.swap(0, 1);
            before.swap(0, 1);
        }
        let key = Key {
            lo: addresses[0].0,
            hi: addresses[1].0,
            lo_port: addresses[0].1,
            hi_port: addresses[1].1,
            vlan: [vlans[0].value(i), vlans[1].value(i)],
            proto: proto.value(i),
            version: version.value(i),
        };
        let flow = Flow {
            key,
            flags: flags.value(i) & !flag::UNDECIDED,
            tunnels: tunnels.value(i),
            vlan: [vlans[2].value(i), vlans[3].value(i)],
            icmp: [icmp_type.value(i), icmp_code.value(i)],
            head_seq: head_seq.value(i),
            older: NONE,
            first: first.value(i),
            head_ts: times[2].value(i),
            tail_ts: times[3].value(i),
            first_ts: times[0].value(i),
            last_ts: times[1].value(i),
            side: sides,
        };
        let (continues, shortened) = (continues.value(i), shortened.value(i));
        let (rule, service) = (named(rules, i), named(services, i));
        rows.push(Row { flow, continues, kept, shortened, head, was, cutoff, before, rule, service });
    }
    Ok(())
}

fn address(text: &str) -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    match text.parse() {
        Ok(std::net::IpAddr::V4(ip)) => bytes[..4].copy_from_slice(&ip.octets()),
        Ok(std::net::IpAddr::V6(ip)) => bytes = ip.octets(),
        Err(_) => return Err(format!("{text:?} in it is no address")),
    }
    Ok(bytes)
}
