//! From the bytes of a capture, as they come, to packets.
//!
//! Nothing is waited for that is not needed: each packet is handed on with the read that made it whole. What is
//! broken ends the capture; whole packets before it have been handed on.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use flowkeep_core::error::NotACapture;
use flowkeep_core::record::{Record, Walker};
use flowkeep_core::select::Verdict;

use super::input::{Count, InterfaceId, Packet, Packets, Shared, BATCH};
use super::program::Selection;

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// The longest record or block that is waited for.
const MAX_RECORD: usize = 16 << 20;
/// Bytes that tell every format and hold the header of a pcap file.
const HEAD: usize = 28;

/// Takes the bytes of one capture.
pub struct Feed {
    name: String,
    selection: Arc<Selection>,
    sink: Arc<dyn Packets>,
    stats: Shared,
    walker: Option<Walker>,
    buffer: Vec<u8>,
    filled: usize,
    /// Offset of the buffer's first byte in the capture.
    base: u64,
    ids: HashMap<u16, (Option<InterfaceId>, String)>,
    records: Vec<Record>,
}

impl Feed {
    /// For a new capture; `name` is that of its interfaces that have none.
    pub fn new(name: String, selection: Arc<Selection>, sink: Arc<dyn Packets>, stats: Shared) -> Self {
        Self {
            name,
            selection,
            sink,
            stats,
            walker: None,
            buffer: Vec::new(),
            filled: 0,
            base: 0,
            ids: HashMap::new(),
            records: Vec::new(),
        }
    }

    /// Reads once and hands on the packets that are whole; false at the end of the input.
    ///
    /// # Errors
    /// What cannot be read; what is damaged, in words, as the inner error.
    pub fn read(&mut self, input: &mut (impl Read + ?Sized)) -> io::Result<Result<bool, String>> {
        if self.filled == self.buffer.len() {
            // Grows with what has come, so that a length that lies takes no memory.
            self.buffer.resize((2 * self.filled).max(CHUNK), 0);
        }
        let n = input.read(&mut self.buffer[self.filled..])?;
        self.filled += n;
        Ok(self.walk(n == 0).map(|()| n > 0))
    }

    fn walk(&mut self, end: bool) -> Result<(), String> {
        let mut at = 0;
        if self.walker.is_none() {
            if self.filled < HEAD && !end {
                return Ok(());
            }
            if self.filled == 0 {
                return Err("it ended before its first byte".to_owned());
            }
            match Walker::open(&self.buffer[..self.filled]) {
                Ok(walker) => {
                    at = walker.header_len();
                    self.walker = Some(walker);
                }
                Err(NotACapture::UnknownFormat { found }) => {
                    return Err(format!(
                        "{}; send pcap or pcapng, not compressed",
                        NotACapture::UnknownFormat { found }
                            .to_string()
                            .split(';')
                            .next()
                            .unwrap_or_default()
                    ))
                }
                Err(why) => return Err(why.to_string()),
            }
        }
        let result = self.records(&mut at, end);
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        self.base += at as u64;
        // One long record is no reason to keep its memory for good.
        if self.filled < CHUNK && self.buffer.len() > 4 * CHUNK {
            self.buffer.truncate(CHUNK);
            self.buffer.shrink_to_fit();
        }
        result
    }

    fn records(&mut self, at: &mut usize, end: bool) -> Result<(), String> {
        loop {
            let Some(walker) = &mut self.walker else {
                return Ok(());
            };
            self.records.clear();
            let rest = &self.buffer[*at..self.filled];
            let walked = walker.walk(rest, self.base + *at as u64, end, BATCH, &mut self.records);
            let full = self.records.len() == BATCH;
            self.hand_on(*at);
            *at += walked.consumed;
            if let Some(damage) = walked.damage {
                return Err(damage.to_string());
            }
            if walked.need > MAX_RECORD {
                return Err(format!(
                    "byte {}: a record of {} bytes; at most {MAX_RECORD} are taken",
                    self.base + *at as u64,
                    walked.need
                ));
            }
            if !full {
                return Ok(());
            }
        }
    }

    fn hand_on(&mut self, at: usize) {
        if self.records.is_empty() {
            return;
        }
        let (buffer, selection) = (&self.buffer[at..self.filled], &self.selection);
        let data = |r: &Record| &buffer[r.data as usize..r.data as usize + r.caplen as usize];
        let (mut filtered, mut refused) = (0, 0);
        self.records.retain(|r| {
            match selection.verdict(r.link, data(r), r.wirelen) {
                Verdict::Match => return true,
                Verdict::NoMatch => filtered += 1,
                Verdict::Refused => refused += 1,
            }
            false
        });
        for record in &self.records {
            if !self.ids.contains_key(&record.iface) {
                let described =
                    self.walker.as_ref().and_then(|w| w.interfaces().get(usize::from(record.iface)));
                let name = match described.and_then(|i| i.name.clone()) {
                    Some(name) => name,
                    None => self.name.clone(),
                };
                let snap_length = described.map_or(0, |i| i.snaplen);
                let id = self.sink.interface(&name, record.link, snap_length);
                self.ids.insert(record.iface, (id, name));
            }
        }
        let ids = &self.ids;
        self.records.retain(|r| {
            let known = ids.get(&r.iface).is_some_and(|(id, _)| id.is_some());
            refused += u64::from(!known);
            known
        });
        self.sink.batch(&mut self.records.iter().filter_map(|r| {
            Some(Packet { interface: ids.get(&r.iface)?.0?, time: r.ts, original: r.wirelen, data: data(r) })
        }));
        let mut stats = self.stats.lock();
        for record in &self.records {
            let name = ids.get(&record.iface).map_or("", |(_, name)| name);
            stats.count(name, Count { packets: 1, bytes: record.caplen.into() });
        }
        stats.filtered += filtered;
        stats.refused += refused;
    }
}
