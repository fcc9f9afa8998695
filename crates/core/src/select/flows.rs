//! Filters on flows: a program is run over the frame that a packet of the flow would have had, with all that a
//! flow does not know left open.

use super::partly::{Known, Partly, LENGTH};
use super::Program;
use crate::flow::Flow;
use crate::packet::Key;

const TAG: u16 = 0x8100;
const IP4: u16 = 0x0800;
const IP6: u16 = 0x86dd;
const FRAGMENT: u8 = 44;
const ROOM: usize = 96;

/// What a filter says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowVerdict {
    /// Packets of at least one direction match.
    Match,
    /// None do.
    NoMatch,
    /// It depends on what differs from packet to packet.
    Undecided(Part),
}

/// A part of a packet that a flow does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// Its length.
    Length = 2,
    /// Ethernet addresses.
    Link = 3,
    /// What a VLAN tag has besides the id.
    Tag = 4,
    /// What an IP header has besides addresses and protocol.
    Internet = 5,
    /// What a transport header has besides ports.
    Transport = 6,
    /// The payload.
    Payload = 7,
}

/// A filter on flows.
#[derive(Clone, Debug)]
pub struct FlowFilter {
    program: Program,
    tags: bool,
}

impl FlowFilter {
    /// A filter by a program for Ethernet. With `tags` it sees the VLAN tags of a flow; without, a flow in a VLAN
    /// looks to it like any other.
    pub fn new(program: Program, tags: bool) -> Self {
        Self { program, tags }
    }

    /// What the filter says of a flow: whether a packet of the one or the other direction matches.
    pub fn verdict(&self, flow: &Flow) -> FlowVerdict {
        let mut open = None;
        for from_hi in [false, true] {
            let frame = Frame::of(flow, from_hi, self.tags);
            match self.program.run_partly(frame.known()) {
                Partly::Match => return FlowVerdict::Match,
                Partly::NoMatch => {}
                Partly::Undecided(at) => open = Some(frame.part(at)),
            }
        }
        open.map_or(FlowVerdict::NoMatch, FlowVerdict::Undecided)
    }
}

/// The headers of a packet in one direction of a flow.
struct Frame {
    data: [u8; ROOM],
    unknown: [u8; ROOM],
    len: usize,
    /// Where the IP header begins.
    internet: usize,
    /// Where the transport header begins, and where it ends.
    transport: (usize, usize),
}

impl Frame {
    fn of(flow: &Flow, from_hi: bool, tags: bool) -> Self {
        let (key, mut frame) = (&flow.key, Self::empty());
        frame.open(12);
        for tag in flow.vlan {
            if tags && tag != 0 {
                frame.put(&TAG.to_be_bytes());
                frame.put_but(&(tag - 1).to_be_bytes(), &[0xf0, 0]);
            }
        }
        let (from, to) = if from_hi { (&key.hi, &key.lo) } else { (&key.lo, &key.hi) };
        let later = key.version & Key::ORPHAN != 0;
        if key.version & !Key::ORPHAN == 4 {
            frame.put(&IP4.to_be_bytes());
            frame.internet = frame.len;
            frame.put_but(&[0x45], &[0x0f]);
            frame.open(5);
            frame.put_but(&[0, u8::from(later)], &[0xe0, 0]);
            frame.open(1);
            frame.put(&[key.proto]);
            frame.open(2);
            frame.put(&from[..4]);
            frame.put(&to[..4]);
        } else {
            frame.put(&IP6.to_be_bytes());
            frame.internet = frame.len;
            frame.put_but(&[0x60], &[0x0f]);
            frame.open(5);
            frame.put(&[if later { FRAGMENT } else { key.proto }]);
            frame.open(1);
            frame.put(from);
            frame.put(to);
            if later {
                frame.put(&[key.proto, 0, 0, 8]);
                frame.open(4);
            }
        }
        frame.transport.0 = frame.len;
        if !later {
            let ports = if from_hi { [key.hi_port, key.lo_port] } else { [key.lo_port, key.hi_port] };
            // Of these protocols a flow has ports.
            if matches!(key.proto, 6 | 17 | 132 | 136) {
                frame.put(&ports[0].to_be_bytes());
                frame.put(&ports[1].to_be_bytes());
            }
            let header = match key.proto {
                6 => 20,
                132 => 12,
                _ => 8,
            };
            frame.open(header + frame.transport.0 - frame.len);
        }
        frame.transport.1 = frame.len;
        frame
    }

    fn empty() -> Self {
        Self { data: [0; ROOM], unknown: [0; ROOM], len: 0, internet: 0, transport: (0, 0) }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.data[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn put_but(&mut self, bytes: &[u8], unknown: &[u8]) {
        self.unknown[self.len..self.len + unknown.len()].copy_from_slice(unknown);
        self.put(bytes);
    }

    fn open(&mut self, n: usize) {
        self.unknown[self.len..self.len + n].fill(0xff);
        self.len += n;
    }

    fn known(&self) -> Known<'_> {
        Known { data: &self.data[..self.len], unknown: &self.unknown[..self.len] }
    }

    fn part(&self, at: u32) -> Part {
        let (length, at) = (at == LENGTH, at as usize);
        match () {
            () if length => Part::Length,
            () if at < 12 => Part::Link,
            () if at < self.internet => Part::Tag,
            () if at < self.transport.0 => Part::Internet,
            () if at < self.transport.1 => Part::Transport,
            () => Part::Payload,
        }
    }
}
