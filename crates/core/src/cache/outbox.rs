//! Flows that were let go as a whole, for whoever writes them to disk: a queue with a bound.

use crate::flow::Flow;

/// A flow that was let go, with what was held of it.
#[derive(Clone, Debug)]
pub struct Gone {
    /// The flow, with its true totals.
    pub flow: Flow,
    /// Nothing is missing between its packets.
    pub joined: bool,
    /// Of each packet: interface, time, length on the wire, captured length.
    pub packets: Vec<(u16, i64, u32, u32)>,
    /// The captured bytes of all of them.
    pub bytes: Vec<u8>,
}

impl Gone {
    fn size(&self) -> u64 {
        self.bytes.len() as u64 + self.packets.len() as u64 * 24 + 256
    }
}

/// Such flows, until somebody takes them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    flows: Vec<Gone>,
    size: u64,
    pub bound: u64,
    /// Packets for which there was no room.
    pub lost: u64,
}

impl Outbox {
    pub fn new(bound: u64) -> Self {
        Self { bound, ..Self::default() }
    }

    pub fn has_room(&self) -> bool {
        self.size < self.bound
    }

    pub fn is_filling(&self) -> bool {
        self.size >= self.bound / 4
    }

    pub fn push(&mut self, gone: Gone) {
        self.size += gone.size();
        self.flows.push(gone);
    }

    pub fn take(&mut self) -> (Vec<Gone>, u64) {
        self.size = 0;
        (std::mem::take(&mut self.flows), std::mem::take(&mut self.lost))
    }
}
