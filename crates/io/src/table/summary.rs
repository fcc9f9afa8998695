//! The summary file: Arrow IPC, one row an entry (see `docs/formats/summary.md`).

use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt8Array};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::CompressionType;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use flowkeep_core::flow::summary::{Entry, Head, Loading, Told};
use flowkeep_core::flow::{Left, Rules, Tracker};
use flowkeep_core::packet::Seed;

/// Version of the layout.
pub const VERSION: &str = "1";
const ROWS: usize = 1 << 14;

/// Writes a summary. `told`: what a ledger tells, where it is of a trimmed file.
pub fn write<W: Write>(out: W, of: &Tracker, told: Option<&Told>) -> Result<W, ArrowError> {
    let head = of.head(told);
    let mut metadata = HashMap::from([("flowkeep.summary".to_owned(), VERSION.to_owned())]);
    let open = u64::from(head.left == Left::Open);
    for (name, number) in [
        ("open", open),
        ("packets", head.packets),
        ("bytes", head.bytes),
        ("untracked", head.untracked),
        ("overflow", head.overflow),
        ("idle_ns", head.rules.idle_ns as u64),
        ("tcp_idle_ns", head.rules.tcp_idle_ns as u64),
        ("max_flows", u64::from(head.rules.max_flows)),
    ] {
        metadata.insert(format!("flowkeep.{name}"), number.to_string());
    }
    let last = |(packets, bytes)| format!("{packets} {bytes}");
    let told_text = head.told.map(|at| at.map_or_else(|| "nothing".to_owned(), last));
    metadata.insert("flowkeep.left_over".to_owned(), told_text.unwrap_or_default());
    let from = head.told_from.map_or_else(String::new, |from| from.to_string());
    metadata.insert("flowkeep.told_from".to_owned(), from);
    let fields =
        vec![Field::new("kind", DataType::UInt8, false), Field::new("entry", DataType::Binary, false)];
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = FileWriter::try_new_with_options(out, &schema, options)?;
    let (mut kinds, mut entries) = (Vec::new(), BinaryBuilder::new());
    let mut failed = None;
    let mut give = |kinds: &mut Vec<u8>, entries: &mut BinaryBuilder| {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(UInt8Array::from(std::mem::take(kinds))), Arc::new(entries.finish())];
        let batch = RecordBatch::try_new(schema.clone(), columns).and_then(|batch| writer.write(&batch));
        failed = failed.take().or(batch.err());
    };
    of.save(told, |kind, bytes| {
        kinds.push(kind as u8);
        entries.append_value(bytes);
        if kinds.len() == ROWS {
            give(&mut kinds, &mut entries);
        }
    });
    give(&mut kinds, &mut entries);
    if let Some(error) = failed {
        return Err(error);
    }
    writer.finish()?;
    writer.into_inner()
}

/// What is read: the summary, and what a ledger tells where it is of a trimmed file.
pub type Saved = (Tracker, Option<Told>);

/// Reads a summary. The error says in words what is wrong with it.
pub fn read<R: Read + Seek>(input: R, seed: Seed) -> Result<Saved, String> {
    // The Arrow reader checks what it reads; should it panic on a forged file all the same, that
    // is an error of the file and not of the program.
    catch_unwind(AssertUnwindSafe(|| read_checked(input, seed)))
        .unwrap_or_else(|_| Err("its Arrow data is broken".to_owned()))
}

fn read_checked<R: Read + Seek>(mut input: R, seed: Seed) -> Result<Saved, String> {
    super::lengths::check(&mut input)?;
    let reader = FileReader::try_new(input, None).map_err(|e| format!("it is no Arrow IPC file: {e}"))?;
    let schema = reader.schema();
    let text = |name: &str| {
        let found = schema.metadata().get(&format!("flowkeep.{name}"));
        found.ok_or_else(|| format!("it lacks the metadata flowkeep.{name}"))
    };
    let version = text("summary")?;
    if version != VERSION {
        return Err(format!("its layout is version {version}, version {VERSION} is read"));
    }
    let number = |name: &str| {
        text(name)?.parse::<u64>().map_err(|_| format!("its metadata flowkeep.{name} is no number"))
    };
    let rules = Rules {
        idle_ns: number("idle_ns")? as i64,
        tcp_idle_ns: number("tcp_idle_ns")? as i64,
        max_flows: u32::try_from(number("max_flows")?).unwrap_or(u32::MAX),
    };
    let head = Head {
        rules,
        left: if number("open")? == 0 { Left::Start } else { Left::Open },
        packets: number("packets")?,
        bytes: number("bytes")?,
        untracked: number("untracked")?,
        overflow: number("overflow")?,
        told: left_over(text("left_over")?)?,
        told_from: if text("told_from")?.is_empty() { None } else { Some(number("told_from")?) },
    };
    let mut loading = Loading::new(&head, seed)?;
    for batch in reader {
        let batch = batch.map_err(|e| format!("its Arrow data is broken: {e}"))?;
        let [kinds, entries] = batch.columns() else {
            return Err("it has other columns than kind and entry".to_owned());
        };
        let kinds = kinds.as_primitive_opt::<UInt8Type>().filter(|kinds| kinds.null_count() == 0);
        let entries = entries.as_binary_opt::<i32>().filter(|entries| entries.null_count() == 0);
        let (Some(kinds), Some(entries)) = (kinds, entries) else {
            return Err("its columns kind and entry are of other types".to_owned());
        };
        for (kind, entry) in kinds.values().iter().zip(entries.iter().flatten()) {
            match Entry::of(*kind) {
                Some(kind) => loading.entry(kind, entry)?,
                None => return Err(format!("there is no entry of kind {kind}")),
            }
        }
    }
    Ok(loading.done())
}

/// Packets and bytes before the last packet that is left of a trimmed file; empty: it is of none.
#[allow(clippy::option_option)] // of no trimmed file; of one that holds nothing; of one that ends there
fn left_over(text: &str) -> Result<Option<Option<(u64, u64)>>, String> {
    match text {
        "" => Ok(None),
        "nothing" => Ok(Some(None)),
        numbers => {
            let both = numbers.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            both.map(|both| Some(Some(both)))
                .ok_or_else(|| "its metadata flowkeep.left_over is no two numbers".to_owned())
        }
    }
}
