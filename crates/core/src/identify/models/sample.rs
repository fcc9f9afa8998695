//! The start of a flow as a model sees it.

use std::collections::HashMap;

use super::super::engine::Input;
use super::super::pending::Start;
use super::super::view::{Transport, View, Who};

/// First bytes of each direction that are looked at.
pub const POSITIONS: usize = 64;
/// First packets with payload that are looked at. A flow that was trimmed to 10 kB still has them.
pub const TURNS: usize = 5;
/// Lengths from here on are one: segments that are full, whatever their network's size.
pub const LONG: u16 = 1200;

/// Flows that are being sampled at a time; further ones give no sample.
const MAX_OPEN: usize = 1 << 20;
/// Bytes of all samples.
const MAX_BYTES: usize = 1 << 30;
const NONE: u64 = u64::MAX;

/// What carries a flow, in the order of model files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// UDP and UDP-Lite.
    Udp,
    /// SCTP.
    Sctp,
    /// Another IP protocol, by number.
    Ip(u8),
}

impl From<Transport> for Carrier {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Tcp,
            Transport::Udp => Self::Udp,
            Transport::Sctp => Self::Sctp,
            Transport::Ip(number) => Self::Ip(number),
        }
    }
}

/// Who sent a packet, and its length: at most [`LONG`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The server did.
    pub server: bool,
    /// Bytes of payload.
    pub len: u16,
}

impl Token {
    fn new(server: bool, len: u32) -> Self {
        Self { server, len: len.min(u32::from(LONG)) as u16 }
    }
}

/// The start of one flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sample {
    /// The first packets.
    pub turns: Vec<Token>,
    /// First bytes of client and server.
    pub sides: [Vec<u8>; 2],
}

impl Sample {
    /// The same, borrowed.
    pub fn seen(&self) -> Seen<'_> {
        let mut turns = [Token::default(); TURNS];
        let count = self.turns.len().min(TURNS);
        turns[..count].copy_from_slice(&self.turns[..count]);
        Seen { sides: [&self.sides[0], &self.sides[1]], turns, count }
    }
}

/// A flow's start where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// First bytes of client and server.
    pub sides: [&'a [u8]; 2],
    turns: [Token; TURNS],
    count: usize,
}

impl<'a> Seen<'a> {
    /// What a model sees of a view.
    pub fn of(view: &View<'a>) -> Self {
        let mut turns = [Token::default(); TURNS];
        let mut count = 0;
        for (slot, (who, len)) in turns.iter_mut().zip(view.turns()) {
            *slot = Token::new(who == Who::Server, len as u32);
            count += 1;
        }
        let first = |who| {
            let bytes = view.side(who).first().unwrap_or(&[]);
            &bytes[..bytes.len().min(POSITIONS)]
        };
        Self { sides: [first(Who::Client), first(Who::Server)], turns, count }
    }

    /// The first packets.
    pub fn turns(&self) -> &[Token] {
        &self.turns[..self.count]
    }
}

/// Takes a sample of each flow, beside the flow table.
#[derive(Debug, Default)]
pub struct Sampler {
    open: HashMap<u32, Box<Open>>,
    /// Where each flow's sample begins.
    at: Vec<u64>,
    bytes: Vec<u8>,
    left_out: u64,
}

#[derive(Debug)]
struct Open {
    client: u8,
    turns: Vec<(u8, u32)>,
    sides: [Option<Start>; 2],
}

impl Sampler {
    /// Takes in a packet with payload; whether more of the flow is wanted.
    pub fn feed(&mut self, n: u32, input: &Input<'_>) -> bool {
        if !self.open.contains_key(&n) {
            if self.open.len() >= MAX_OPEN || self.bytes.len() >= MAX_BYTES {
                self.left_out += 1;
                return false;
            }
            let client = input.opener.unwrap_or(input.dir);
            self.open.insert(n, Box::new(Open { client, turns: Vec::new(), sides: [None, None] }));
        }
        let Some(open) = self.open.get_mut(&n) else { return false };
        open.turns.push((input.dir, input.len));
        let side = &mut open.sides[usize::from(input.dir)];
        if input.transport == Transport::Tcp {
            side.get_or_insert_with(|| Start::at(input.start)).segment(input.bytes, input.seq, POSITIONS);
        } else if side.is_none() {
            side.insert(Start::at(None)).segment(input.bytes, 0, POSITIONS);
        }
        if open.turns.len() < TURNS {
            return true;
        }
        self.close(n);
        false
    }

    /// No more packets come.
    pub fn finish(&mut self) {
        let mut open: Vec<u32> = self.open.keys().copied().collect();
        open.sort_unstable();
        for n in open {
            self.close(n);
        }
    }

    fn close(&mut self, n: u32) {
        let Some(open) = self.open.remove(&n) else { return };
        if self.at.len() <= n as usize {
            self.at.resize(n as usize + 1, NONE);
        }
        self.at[n as usize] = self.bytes.len() as u64;
        self.bytes.push(open.turns.len() as u8);
        for (dir, len) in &open.turns {
            let token = Token::new(*dir != open.client, *len);
            self.bytes.extend((u16::from(token.server) << 15 | token.len).to_le_bytes());
        }
        for dir in [open.client, 1 - open.client] {
            let bytes = open.sides[usize::from(dir)].as_ref().map_or(&[][..], Start::bytes);
            self.bytes.push(bytes.len() as u8);
            self.bytes.extend(bytes);
        }
    }

    /// The sample of a flow, if it had payload.
    pub fn get(&self, n: u32) -> Option<Sample> {
        let at = *self.at.get(n as usize)?;
        let mut rest = self.bytes.get(usize::try_from(at).ok()?..)?;
        let mut take = |len: usize| {
            let (taken, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some(taken)
        };
        let count = usize::from(take(1)?[0]);
        let turns = take(2 * count)?
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .map(|token| Token { server: token >> 15 != 0, len: token & 0x7fff })
            .collect();
        let mut sides = [Vec::new(), Vec::new()];
        for side in &mut sides {
            let len = usize::from(take(1)?[0]);
            *side = take(len)?.to_vec();
        }
        Some(Sample { turns, sides })
    }

    /// Flows that gave no sample because there was no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
