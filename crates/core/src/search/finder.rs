//! Looks for a pattern in the packets of all flows.

use std::collections::HashMap;

use super::joiner::{Joiner, Piece, Stream};
use super::pattern::Pattern;
use crate::flow::{Flow, Observer, Packet};
use crate::packet::{tcp_flag, Class};

/// Bytes before and behind a match that are shown.
pub const CONTEXT: usize = 24;
/// Bytes of a match that are shown.
pub const SHOWN: usize = 64;
/// Places of the last hits of a direction, so that a retransmission is not listed again.
const REMEMBERED: usize = 16;
/// Rough size of a direction's state without its bytes.
const STATE: usize = 384;
/// Hits that are listed of a fragment that waits for its first one.
pub const PER_FRAGMENT: usize = 16;

/// Says whether a packet of a flow, given by its number, is looked at. It is asked about every packet that is counted.
pub type Wanted = Box<dyn FnMut(u32, &Flow, &Packet<'_>) -> bool + Send>;

/// A match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Number of the flow in the table.
    pub flow: u32,
    /// 0: sent by the key's `lo` end; 1: by its `hi` end.
    pub dir: u8,
    /// Where the match begins in what this end sent over TCP; `None` where there is no such place.
    pub offset: Option<u64>,
    /// Number of the packet that holds the last byte of the match, over all captures.
    pub packet: u64,
    /// Its time.
    pub ts: i64,
    /// Length of the match.
    pub len: u32,
    /// What stands before the match, the match (at most [`SHOWN`] bytes), and what stands behind it.
    pub excerpt: [Vec<u8>; 3],
}

/// What was looked through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Matches, also those that are not kept.
    pub hits: u64,
    /// Payload bytes that were looked at, without what was seen again.
    pub bytes: u64,
    /// Segments whose border to the one before was not looked at: the memory for it was used up.
    pub unjoined: u64,
    /// Fragments that waited for their first one and held more matches than are listed of one.
    pub unlisted: u64,
    /// Packets of no flow, or of flows beyond the table: not looked at.
    pub aside: u64,
}

/// Finds a pattern; an [`Observer`] of the flow table.
pub struct Finder {
    pattern: Pattern,
    wanted: Wanted,
    most: usize,
    memory: usize,
    used: usize,
    halves: HashMap<(u32, u8), Half>,
    /// Hits in fragments whose flow is not known yet, by packet.
    waiting: HashMap<u64, Waiting>,
    hits: Vec<Hit>,
    counts: Counts,
    /// Hits per flow.
    found: HashMap<u32, u64>,
    scratch: Vec<u8>,
}

/// A fragment whose flow is not known yet.
#[derive(Default)]
struct Waiting {
    bytes: u64,
    hits: Vec<Hit>,
    /// There are more hits.
    more: bool,
}

/// One direction of a connection.
#[derive(Default)]
struct Half {
    stream: Joiner,
    tail: Tail,
}

/// The last bytes of a stream.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    /// Behind the last match: matches do not overlap.
    done: u64,
    places: Vec<u64>,
}

impl Finder {
    /// Looks at the packets that are wanted; keeps at most `most` hits and about `memory` bytes of streams.
    pub fn new(pattern: Pattern, wanted: Wanted, most: usize, memory: usize) -> Self {
        Self {
            pattern,
            wanted,
            most,
            memory,
            used: 0,
            halves: HashMap::new(),
            waiting: HashMap::new(),
            hits: Vec::new(),
            counts: Counts::default(),
            found: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// No more packets come: looks at what waits.
    pub fn finish(&mut self) {
        let mut halves: Vec<_> = std::mem::take(&mut self.halves).into_iter().collect();
        halves.sort_unstable_by_key(|(key, _)| *key);
        for ((flow, dir), mut half) in halves {
            self.look(flow, dir, &mut half, |stream, give| stream.finish(give));
        }
    }

    /// The hits that are kept, taken out, in the order in which they were found.
    pub fn take_hits(&mut self) -> Vec<Hit> {
        std::mem::take(&mut self.hits)
    }

    /// What was looked through so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Flows with hits, by number, and how many each has.
    pub fn found(&self) -> Vec<(u32, u64)> {
        let mut found: Vec<_> = self.found.iter().map(|(&flow, &n)| (flow, n)).collect();
        found.sort_unstable();
        found
    }

    fn keep(&mut self, flow: u32, hit: impl FnOnce() -> Hit) {
        self.counts.hits += 1;
        *self.found.entry(flow).or_default() += 1;
        if self.hits.len() < self.most {
            self.hits.push(hit());
        }
    }

    /// Looks at a packet by itself.
    fn alone(&mut self, flow: u32, p: &Packet<'_>) {
        let (bytes, mut from) = (payload(p), 0);
        self.counts.bytes += bytes.len() as u64;
        while let Some((begin, end)) = self.pattern.find(bytes, from) {
            self.keep(flow, || hit(flow, p.facts.dir, None, (p.pos, p.ts), bytes, begin, end));
            from = end;
        }
    }

    fn segment(&mut self, flow: u32, p: &Packet<'_>) {
        let (facts, bytes) = (p.facts, payload(p));
        let syn = facts.tcp_flags & tcp_flag::SYN != 0;
        if facts.payload == 0 && !syn {
            return;
        }
        let key = (flow, facts.dir);
        let mut half = match self.halves.remove(&key) {
            Some(half) => half,
            None if self.used + STATE <= self.memory => {
                self.used += STATE;
                Half::default()
            }
            None => {
                self.counts.unjoined += 1;
                self.alone(flow, p);
                return;
            }
        };
        let before = half.size();
        let seq = if syn { facts.seq.wrapping_add(1) } else { facts.seq };
        self.look(flow, facts.dir, &mut half, |stream, give| {
            if syn {
                stream.begin(facts.seq);
            }
            stream.segment(seq, facts.payload, bytes, (p.pos, p.ts), give);
        });
        self.used = self.used - before + half.size();
        if self.used > self.memory {
            // What waits is looked at now, and the last bytes are forgotten.
            let before = half.size();
            self.look(flow, facts.dir, &mut half, |stream, give| stream.finish(give));
            half.tail.bytes = Vec::new();
            self.counts.unjoined += 1;
            self.used = self.used - before + half.size();
        }
        self.halves.insert(key, half);
    }

    fn look(
        &mut self,
        flow: u32,
        dir: u8,
        half: &mut Half,
        work: impl FnOnce(&mut Joiner, &mut dyn FnMut(Piece<'_>)),
    ) {
        let Half { stream, tail } = half;
        work(stream, &mut |piece| self.piece(flow, dir, tail, &piece));
    }

    fn piece(&mut self, flow: u32, dir: u8, tail: &mut Tail, piece: &Piece<'_>) {
        if piece.again {
            let mut from = 0;
            while let Some((begin, end)) = self.pattern.find(piece.bytes, from) {
                from = end;
                let offset = piece.offset.map(|offset| offset + begin as u64);
                if offset.is_none_or(|offset| !tail.places.contains(&offset)) {
                    self.keep(flow, || hit(flow, dir, offset, piece.packet, piece.bytes, begin, end));
                    tail.remember(offset);
                }
            }
            return;
        }
        self.counts.bytes += piece.bytes.len() as u64;
        let Some(offset) = piece.offset else { return };
        if !piece.follows {
            tail.bytes.clear();
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(&tail.bytes);
        scratch.extend_from_slice(piece.bytes);
        let base = offset - tail.bytes.len() as u64;
        let mut from = tail.done.saturating_sub(base) as usize;
        while let Some((begin, end)) = self.pattern.find(&scratch, from) {
            from = end;
            // What ends before the new bytes was seen with the last ones.
            if end > tail.bytes.len() {
                let place = base + begin as u64;
                self.keep(flow, || hit(flow, dir, Some(place), piece.packet, &scratch, begin, end));
                tail.remember(Some(place));
                tail.done = base + end as u64;
            }
        }
        // The context is there to be shown.
        let kept = scratch.len().min(self.pattern.keep() + CONTEXT);
        tail.bytes.clear();
        tail.bytes.extend_from_slice(&scratch[scratch.len() - kept..]);
        tail.bytes.shrink_to(2 * kept);
        self.scratch = scratch;
    }
}

impl Half {
    fn size(&self) -> usize {
        self.tail.bytes.capacity() + self.stream.waiting()
    }
}

impl Tail {
    fn remember(&mut self, place: Option<u64>) {
        let Some(place) = place else { return };
        if self.places.len() == REMEMBERED {
            self.places.remove(0);
        }
        self.places.push(place);
    }
}

impl Observer for Finder {
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool) {
        let waiting = if late { self.waiting.remove(&p.pos) } else { None };
        if !(self.wanted)(n, flow, p) {
            return;
        }
        if late {
            let waiting = waiting.unwrap_or_default();
            self.counts.bytes += waiting.bytes;
            self.counts.unlisted += u64::from(waiting.more);
            for mut hit in waiting.hits {
                hit.flow = n;
                self.keep(n, || hit);
            }
        } else if p.facts.key.proto == 6 && p.facts.class == Class::Flow && !p.facts.fragment {
            self.segment(n, p);
        } else {
            self.alone(n, p);
        }
    }

    fn waits(&mut self, p: &Packet<'_>) {
        let (bytes, mut from) = (payload(p), 0);
        let mut waiting = Waiting { bytes: bytes.len() as u64, ..Waiting::default() };
        while let Some((begin, end)) = self.pattern.find(bytes, from) {
            if waiting.hits.len() == PER_FRAGMENT {
                waiting.more = true;
                break;
            }
            waiting.hits.push(hit(0, p.facts.dir, None, (p.pos, p.ts), bytes, begin, end));
            from = end;
        }
        if !bytes.is_empty() {
            self.waiting.insert(p.pos, waiting);
        }
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        self.counts.aside += 1;
        if late {
            self.waiting.remove(&p.pos);
        }
    }
}

/// The payload bytes that were captured.
fn payload<'a>(p: &Packet<'a>) -> &'a [u8] {
    let from = p.facts.header_len as usize;
    let to = from.saturating_add(p.facts.payload as usize).min(p.data.len());
    p.data.get(from..to).unwrap_or_default()
}

fn hit(
    flow: u32,
    dir: u8,
    offset: Option<u64>,
    (packet, ts): (u64, i64),
    bytes: &[u8],
    begin: usize,
    end: usize,
) -> Hit {
    let before = bytes[begin.saturating_sub(CONTEXT)..begin].to_vec();
    let shown = bytes[begin..end.min(begin + SHOWN)].to_vec();
    let behind = bytes[end..(end + CONTEXT).min(bytes.len())].to_vec();
    Hit { flow, dir, offset, packet, ts, len: (end - begin) as u32, excerpt: [before, shown, behind] }
}
