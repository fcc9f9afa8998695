//! Turns tagged packets into segments and hands them to the connections of their flows.

use std::io;
use std::mem;

use super::chunk::Chunk;
use super::deal::Take;
use super::defrag::{self, Datagram, Defrag, Fragment, Odd};
use super::flows::Flows;
use super::outlet::is_chosen;
use super::segment::{self, TCP, UDP};
use crate::packet::tcp_flag::{FIN, RST, SYN};
use crate::packet::{anomaly, Class, Facts, FragKey};
use crate::record::Record;
use crate::stream::{Anomaly, Connection, Counts, Event, Kind, Limits, Origin, Policy, Segment};

/// At most so many segments without data of one flow are held until it is known whether the cut lies before them.
const HELD: usize = 64;

/// Bytes that wait, and that are remembered, in one pass: what a machine with other work to do can spare.
const WAITING: usize = 128 << 20;
const REMEMBERED: usize = 32 << 20;

/// Bits of a frame's number in [`Origin::frame`]; above it stands the number of the file.
pub const FRAME_BITS: u32 = 40;

/// Takes what comes out.
pub trait Listen: Send {
    /// An event of a TCP flow.
    fn event(&mut self, tag: u32, event: &Event<'_>);
    /// A TCP segment with payload as it was captured, before anything is decided about it.
    fn seen(&mut self, _tag: u32, _segment: &Segment<'_>) {}
    /// A UDP datagram: its captured payload, and its length on the wire.
    fn datagram(&mut self, _tag: u32, _dir: u8, _origin: Origin, _bytes: &[u8], _wire: u32) {}
    /// No event is being made: a good time to write. Errors end the run.
    fn rest(&mut self) -> io::Result<()>;
}

/// What is rebuilt, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rebuilding {
    /// Whose bytes stay.
    pub policy: Policy,
    /// Bounds of each stream.
    pub limits: Limits,
    /// Hand on UDP datagrams, too.
    pub udp: bool,
}

/// How a file was trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trimmed {
    /// Past the cutoff only SYN, FIN and RST are left, or nothing.
    Cut,
    /// Past it headers are left.
    Headers,
    /// Past this many captured bytes some packets are left whole.
    Some(u64),
}

#[derive(Debug)]
pub(super) struct Cut {
    how: Trimmed,
    /// What each end sent originally, payload bytes.
    payload: [u64; 2],
    /// Captured bytes so far, for `Trimmed::Some`.
    bytes: u64,
    marked: bool,
    held: Vec<Held>,
}

/// A segment whose bytes are its own.
#[derive(Debug)]
struct Held {
    segment: Segment<'static>,
    payload: Vec<u8>,
}

/// What does not reach the stream, by flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Packets whose TCP header is cut off or makes no sense.
    pub unreadable: u64,
    /// Datagrams of which fragments are missing.
    pub incomplete: u64,
    /// Captured bytes in them.
    pub incomplete_bytes: u64,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub connection: Connection,
    pub lost: Lost,
    pub cut: Option<Box<Cut>>,
    /// It got a segment since it was last looked at.
    pub busy: bool,
    /// It is in the list of those that are over.
    pub listed: bool,
}

/// Rebuilds the streams of tagged flows. One of these is one ordered pass with one budget.
pub struct Rebuild<L> {
    listen: L,
    plan: Rebuilding,
    flows: Flows,
    defrag: Defrag,
    odd: Vec<Odd>,
    file: u64,
    frame: u64,
}

impl<L: Listen> Rebuild<L> {
    /// Nothing read yet.
    pub fn new(listen: L, plan: Rebuilding) -> Self {
        Self {
            listen,
            plan,
            flows: Flows::new(plan, WAITING, REMEMBERED),
            defrag: Defrag::default(),
            odd: Vec::new(),
            file: 0,
            frame: 0,
        }
    }

    /// Who takes what comes out.
    pub fn listen_mut(&mut self) -> &mut L {
        &mut self.listen
    }

    /// The next capture begins; files are numbered from 0 as the caller does.
    pub fn begin_file(&mut self, number: u32) {
        (self.file, self.frame) = (u64::from(number) << FRAME_BITS, 0);
    }

    /// A ledger tells that packets of this flow were cut out of the file that begins. `payload`: what each end
    /// sent originally in the whole flow, in bytes.
    pub fn cut(&mut self, tag: u32, how: Trimmed, payload: [u64; 2]) {
        let flow = self.flows.get(tag);
        if flow.cut.is_none() {
            flow.cut = Some(Box::new(Cut { how, payload, bytes: 0, marked: false, held: Vec::new() }));
        }
    }

    /// A file that was trimmed ends: what its flows hold back comes behind the cut.
    pub fn end_file(&mut self) {
        let listen = &mut self.listen;
        for (tag, flow) in self.flows.cut() {
            flow.mark(tag, listen);
        }
    }

    /// What was seen ends here: all that waits is given.
    pub fn finish(mut self) -> io::Result<(L, Vec<Outcome>)> {
        self.defrag.finish(&mut self.odd);
        self.tell_odd();
        let mut outcomes = Vec::with_capacity(self.flows.tags() as usize);
        for tag in 0..self.flows.tags() {
            let Some(mut flow) = self.flows.take(tag) else { continue };
            flow.mark(tag, &mut self.listen);
            let listen = &mut self.listen;
            flow.connection.finish(&mut |event| listen.event(tag, event));
            let counts = [flow.connection.counts(0), flow.connection.counts(1)];
            outcomes.push(Outcome { tag, counts, lost: flow.lost });
            self.listen.rest()?;
        }
        Ok((self.listen, outcomes))
    }

    /// The most bytes that ever waited, and were remembered.
    pub fn peak(&self) -> (usize, usize) {
        self.flows.budget().peak()
    }

    fn packet(
        &mut self,
        tag: u32,
        facts: &Facts,
        record: &Record,
        data: &[u8],
        frame: u64,
        frag: Option<FragKey>,
    ) {
        if let Some(key) = frag {
            return self.fragment(tag, facts, data, key, frame, record.ts);
        }
        if facts.class != Class::Flow {
            return;
        }
        match facts.key.proto {
            TCP => {
                let flow = self.flows.get(tag);
                match segment::segment(facts, data, frame, record.ts) {
                    Some(segment) => flow.take(tag, &segment, u64::from(record.caplen), &mut self.listen),
                    None => flow.lost.unreadable += 1,
                }
                self.flows.settle(tag);
            }
            UDP if self.plan.udp && facts.anomalies & anomaly::TRANSPORT_CUT == 0 => {
                let origin = segment::origin(segment::ip(facts, data), frame, record.ts);
                self.listen.datagram(tag, facts.dir, origin, segment::payload(facts, data), facts.payload);
            }
            _ => {}
        }
    }

    #[cold]
    fn fragment(&mut self, tag: u32, facts: &Facts, data: &[u8], key: FragKey, frame: u64, ts: i64) {
        let ip = segment::ip(facts, data);
        let Some((at, more, start, proto)) = defrag::place(ip) else { return };
        let total = match ip[0] >> 4 {
            4 => usize::from(u16::from_be_bytes([ip[2], ip[3]])),
            _ => 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]])),
        };
        let wire = total.saturating_sub(start);
        let bytes = ip.get(start..).unwrap_or_default();
        let fragment = Fragment {
            tag,
            dir: facts.dir,
            at,
            more,
            bytes: &bytes[..bytes.len().min(wire)],
            wire,
            origin: segment::origin(ip, frame, ts),
            head: if at == 0 { &ip[..start.min(ip.len())] } else { &[] },
            proto,
        };
        let whole = self.defrag.take(key, &fragment, &mut self.odd);
        self.tell_odd();
        if let Some(datagram) = whole {
            self.whole(&datagram);
        }
    }

    /// A datagram that came in fragments is whole.
    fn whole(&mut self, d: &Datagram) {
        let Some((proto, at)) = defrag::behind_headers(d.proto, &d.bytes) else { return };
        let bytes = d.bytes.get(at..).unwrap_or_default();
        let wire = d.wire.saturating_sub(at);
        match proto {
            TCP => {
                let flow = self.flows.get(d.tag);
                match segment::reassembled(bytes, wire, d.dir, &d.head, d.origin) {
                    Some(segment) => flow.take(d.tag, &segment, wire as u64, &mut self.listen),
                    None => flow.lost.unreadable += 1,
                }
                self.flows.settle(d.tag);
            }
            UDP if self.plan.udp && wire >= 8 => {
                let bytes = bytes.get(8..).unwrap_or_default();
                self.listen.datagram(d.tag, d.dir, d.origin, bytes, (wire - 8) as u32);
            }
            _ => {}
        }
    }

    fn tell_odd(&mut self) {
        for odd in self.odd.drain(..) {
            let (tag, dir, origin, name) = match odd {
                Odd::Differs(tag, dir, origin) => (tag, dir, origin, Anomaly::FragmentOverlap),
                Odd::Incomplete(tag, dir, origin, bytes) => {
                    // Of other protocols there is no stream that could tell.
                    if let Some(flow) = self.flows.known(tag) {
                        flow.lost.incomplete += 1;
                        flow.lost.incomplete_bytes += bytes;
                    }
                    (tag, dir, origin, Anomaly::FragmentMissing)
                }
            };
            let kind = Kind::Anomaly { name, offset: 0, bytes: &[] };
            self.listen.event(tag, &Event { dir, epoch: 0, origin, kind });
        }
    }
}

/// What became of a flow's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Which flow.
    pub tag: u32,
    /// Of each direction.
    pub counts: [Counts; 2],
    /// What never reached the streams.
    pub lost: Lost,
}

impl Flow {
    #[inline]
    fn take(&mut self, tag: u32, s: &Segment<'_>, size: u64, listen: &mut impl Listen) {
        if self.cut.as_ref().is_some_and(|cut| !cut.marked) {
            return self.take_before_cut(tag, s, size, listen);
        }
        self.give(tag, s, listen);
    }

    fn give(&mut self, tag: u32, s: &Segment<'_>, listen: &mut impl Listen) {
        if !s.payload.is_empty() {
            listen.seen(tag, s);
        }
        self.connection.segment(s, &mut |event| listen.event(tag, event));
    }

    /// A segment of a flow that is cut somewhere.
    #[cold]
    fn take_before_cut(&mut self, tag: u32, s: &Segment<'_>, size: u64, listen: &mut impl Listen) {
        let Some(cut) = &mut self.cut else { return };
        let behind = match cut.how {
            Trimmed::Cut if s.flags & (SYN | FIN | RST) != 0 && cut.held.len() < HELD => {
                // Behind the cut there is nothing but these; whether more follows must be seen.
                let held = Held { segment: Segment { payload: &[], ..*s }, payload: s.payload.to_vec() };
                cut.held.push(held);
                return;
            }
            Trimmed::Cut => {
                for held in mem::take(&mut cut.held) {
                    self.give(tag, &Segment { payload: &held.payload, ..held.segment }, listen);
                }
                false
            }
            Trimmed::Headers => (s.payload.len() as u64) < u64::from(s.wire_len),
            Trimmed::Some(cutoff) => {
                cut.bytes += size;
                cut.bytes > cutoff
            }
        };
        if behind {
            self.mark(tag, listen);
        }
        self.give(tag, s, listen);
    }

    /// The cut lies here.
    fn mark(&mut self, tag: u32, listen: &mut impl Listen) {
        let Some(cut) = self.cut.as_mut().filter(|cut| !cut.marked) else { return };
        cut.marked = true;
        let (payload, held) = (cut.payload, mem::take(&mut cut.held));
        self.connection.mark_cut(Some(payload));
        for held in held {
            self.give(tag, &Segment { payload: &held.payload, ..held.segment }, listen);
        }
    }
}

/// Takes records that were picked by an index: their numbers stand with them.
pub struct Picked<'a, L>(pub &'a mut Rebuild<L>);

impl<L: Listen> Take for Picked<'_, L> {
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        self.0.frame = chunk.first;
        self.0.take(chunk)
    }
}

impl<L: Listen> Take for Rebuild<L> {
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        let mut frags = chunk.frags.iter().peekable();
        for (i, (record, &tag)) in chunk.records.iter().zip(&chunk.tags).enumerate() {
            let frag = frags.next_if(|(at, _)| *at as usize == i).map(|(_, key)| *key);
            if is_chosen(tag) {
                // As other tools do, frames are counted from 1.
                let frame = self.file | (self.frame + u64::from(chunk.place(i)) + 1);
                self.packet(tag, &chunk.facts[i], record, chunk.packet(record), frame, frag);
            }
        }
        self.frame += u64::from(chunk.walked);
        self.listen.rest()
    }
}
