//! A piece of a capture on its way through the stages.

use std::sync::Arc;

use crate::packet::{self, Class, Facts, FragKey, Options, Seed};
use crate::record::{Interface, Record, Shape};
use crate::select::{Filter, Verdict};

use super::stats::Stats;
use crate::cut::Fate;
use crate::flow::Block;

/// Consecutive whole records of a capture, and what is known of them.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Number of the chunk in the capture, from 0.
    pub number: u64,
    /// Format of the capture.
    pub format: &'static str,
    /// Records that begin before this offset are kept: they tell the format.
    pub evidence: u64,
    /// How its records are built.
    pub shape: Shape,
    /// Offset of `bytes[0]` in the (decompressed) capture.
    pub base: u64,
    /// Bytes of the capture; whole records and blocks stand in `from..to`.
    pub bytes: Vec<u8>,
    /// Begin of what belongs to this chunk (for the first chunk: of the file header).
    pub from: usize,
    /// End of what belongs to this chunk.
    pub to: usize,
    /// The packet records in `from..to` that are looked at: those the filter lets through, where there is one.
    pub records: Vec<Record>,
    /// Where the records stand that do not match the filter, as ranges of `bytes`, ascending.
    pub dropped: Vec<(u32, u32)>,
    /// With a filter: the place of each record among all that were walked; else empty.
    pub places: Vec<u32>,
    /// Records that were walked, those included that do not match the filter.
    pub walked: u32,
    /// What the headers of each packet say.
    pub facts: Vec<Facts>,
    /// The hash of each packet's key.
    pub hashes: Vec<u64>,
    /// Datagrams of the packets that are fragments: (record, key), ascending.
    pub frags: Vec<(u32, FragKey)>,
    /// Counts over the records.
    pub stats: Stats,
    /// Position of the first packet in the traffic; set when it is decided about.
    pub first: u64,
    /// The fate of each packet, where somebody cuts; empty: all are kept.
    pub fates: Vec<Fate>,
    /// Fates of packets in earlier chunks that waited.
    pub late: Vec<crate::cut::Late>,
    /// The tag of each packet, where somebody chooses; see [`Tag`](super::Tag).
    pub tags: Vec<u32>,
    /// Tags of packets in earlier chunks that waited, by position.
    pub late_tags: Vec<(u64, u32)>,
    /// The interfaces described up to the end of the chunk.
    pub interfaces: Arc<[Interface]>,
    /// Bytes of the file header at `from`, in the first chunk of a pcap file.
    pub head: usize,
    /// Room for flows on its way to the table.
    pub room: Block,
    /// Whether the table will need it.
    pub wants_room: bool,
}

impl Chunk {
    /// Empties the chunk and keeps its memory. The bytes stay until others are read over them:
    /// making room anew would fill it with zeros first.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.dropped.clear();
        self.places.clear();
        self.walked = 0;
        self.facts.clear();
        self.hashes.clear();
        self.frags.clear();
        self.fates.clear();
        self.late.clear();
        self.tags.clear();
        self.late_tags.clear();
        self.head = 0;
        self.stats = Stats::default();
        (self.from, self.to) = (0, 0);
    }

    /// The captured bytes of a record's packet.
    pub fn packet(&self, record: &Record) -> &[u8] {
        let at = record.data as usize;
        &self.bytes[at..at + record.caplen as usize]
    }

    /// The place of a record among all that were walked in this chunk.
    pub fn place(&self, i: usize) -> u32 {
        self.places.get(i).copied().unwrap_or(i as u32)
    }

    /// Takes out the records that do not match.
    fn sift(&mut self, filter: &Filter) {
        let (bytes, stats, dropped) = (&self.bytes, &mut self.stats, &mut self.dropped);
        let (places, mut next) = (&mut self.places, 0);
        self.records.retain(|record| {
            next += 1;
            let at = record.data as usize;
            let data = &bytes[at..at + record.caplen as usize];
            let verdict = filter.verdict(record.link, data, record.wirelen);
            if verdict == Verdict::Match {
                places.push(next - 1);
                return true;
            }
            stats.add_filtered(record, verdict);
            let (start, end) = (record.start, record.start + record.len);
            match dropped.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => dropped.push((start, end)),
            }
            false
        });
    }

    /// Reads the headers of all packets that match.
    pub(crate) fn decode(&mut self, options: Options, seed: Seed, filter: Option<&Filter>) {
        self.walked = self.records.len() as u32;
        if let Some(filter) = filter {
            self.sift(filter);
        }
        if self.wants_room {
            self.room.prepare();
        }
        self.facts.reserve(self.records.len());
        self.hashes.reserve(self.records.len());
        for (i, record) in self.records.iter().enumerate() {
            let at = record.data as usize;
            let data = &self.bytes[at..at + record.caplen as usize];
            let facts = packet::read(record.link, data, record.wirelen, &options);
            if facts.fragment || facts.class == Class::Continuation {
                if let Some(key) = packet::fragment_key(record.link, data, record.wirelen, &options) {
                    self.frags.push((i as u32, key));
                }
            }
            self.hashes.push(if facts.class == Class::Flow { facts.key.hash(seed) } else { 0 });
            self.stats.add(record, &facts);
            self.facts.push(facts);
        }
    }
}
