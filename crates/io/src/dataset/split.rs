//! Packets into one capture per flow, host or session, with no file open in between.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use flowkeep_core::pipe::{is_chosen, misfit, out_of_range, Chunk, Count, Take};
use flowkeep_core::record::write;

/// Bytes that wait in memory for their files.
const BUDGET: usize = 64 << 20;

/// One file in the making.
#[derive(Default)]
struct Part {
    buffer: Vec<u8>,
    written: u64,
    /// pcap: its link type.
    link: Option<u16>,
    /// pcapng: its interfaces, (number of the capture, interface there) → number of the block.
    interfaces: HashMap<(u32, u16), u32>,
}

/// The files in the making. Packets are collected in memory and appended to their files whenever
/// there are too many, so that any number of files needs one open at a time.
pub struct Split {
    folder: PathBuf,
    names: Vec<String>,
    /// Per tag the one or two files it goes to.
    routes: Vec<[u32; 2]>,
    /// `Some`: pcap, whether in nanoseconds; else pcapng.
    pcap: Option<bool>,
    parts: HashMap<u32, Part>,
    pending: usize,
    file: u32,
    count: Count,
    bytes: u64,
}

impl Split {
    /// Makes files of these names in `folder`. `routes`: per chosen flow, in their order, the one
    /// or two files (both the same: one) its packets go to, as places in `names`.
    pub fn new(
        folder: PathBuf,
        names: Vec<String>,
        routes: Vec<[u32; 2]>,
        pcap: Option<bool>,
    ) -> Result<Self, String> {
        if routes.iter().flatten().any(|&to| to as usize >= names.len()) {
            return Err(format!("a route leads beyond the {} names", names.len()));
        }
        Ok(Self {
            folder,
            names,
            routes,
            pcap,
            parts: HashMap::new(),
            pending: 0,
            file: 0,
            count: Count::default(),
            bytes: 0,
        })
    }

    /// The next capture begins.
    pub fn begin_file(&mut self) {
        self.file += 1;
    }

    /// Writes what waits; gives what was written.
    pub fn finish(mut self) -> io::Result<(Count, u64)> {
        self.flush()?;
        Ok((self.count, self.bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        for (&to, part) in self.parts.iter_mut().filter(|(_, part)| !part.buffer.is_empty()) {
            let path = self.folder.join(&self.names[to as usize]);
            let mut file = if part.written == 0 {
                OpenOptions::new().write(true).create_new(true).open(&path)?
            } else {
                OpenOptions::new().append(true).open(&path)?
            };
            file.write_all(&part.buffer)?;
            part.written += part.buffer.len() as u64;
            self.bytes += part.buffer.len() as u64;
            part.buffer = Vec::new();
        }
        self.pending = 0;
        Ok(())
    }

    fn add(&mut self, to: u32, chunk: &Chunk, i: usize) -> io::Result<()> {
        let record = &chunk.records[i];
        let data = chunk.packet(record);
        let part = self.parts.entry(to).or_default();
        let before = part.buffer.len();
        if let Some(nanoseconds) = self.pcap {
            match part.link {
                None => {
                    write::pcap_header(&mut part.buffer, record.link, write::SNAPLEN, nanoseconds);
                    part.link = Some(record.link);
                }
                Some(link) if link == record.link => {}
                Some(link) => return Err(misfit(link, record.link)),
            }
            write::pcap_packet(&mut part.buffer, record.ts, data, record.wirelen, nanoseconds)
                .map_err(|time| out_of_range(time.0))?;
        } else {
            let Some(interface) = chunk.interfaces.get(usize::from(record.iface)) else {
                return Ok(());
            };
            if part.interfaces.is_empty() {
                write::section(&mut part.buffer);
            }
            let next = part.interfaces.len() as u32;
            let place = *part.interfaces.entry((self.file, record.iface)).or_insert_with(|| {
                write::interface(&mut part.buffer, interface);
                next
            });
            let resolution = write::resolution(interface);
            write::packet(&mut part.buffer, place, resolution, record.ts, data, record.wirelen);
        }
        self.pending += part.buffer.len() - before;
        Ok(())
    }
}

impl Take for Split {
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        for (i, &tag) in chunk.tags.iter().enumerate() {
            if !is_chosen(tag) {
                continue;
            }
            let [one, other] = self.routes[tag as usize];
            self.add(one, chunk, i)?;
            if other != one {
                self.add(other, chunk, i)?;
            }
            self.count.add(&chunk.records[i]);
        }
        if self.pending > BUDGET {
            self.flush()?;
        }
        Ok(())
    }
}
