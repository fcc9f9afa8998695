//! What a store says of itself.

use crate::record::{Interface, TsResol};

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets.
    pub packets: u64,
    /// Captured bytes.
    pub bytes: u64,
}

impl Totals {
    /// One more packet.
    pub fn add(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }

    /// One packet less.
    pub fn take(&mut self, bytes: u64) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Why packets were let go. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The tail of a flow: it had more than its allowance.
    Tail = 0,
    /// What was left of one of the oldest flows.
    Old = 1,
    /// Nobody had answered, and the share of such flows was full.
    Unanswered = 2,
    /// ICMP, whose share was full.
    Icmp = 3,
    /// Not IP, or of no flow, and the share of such packets was full.
    NoFlow = 4,
}

impl Reason {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Tail, Self::Old, Self::Unanswered, Self::Icmp, Self::NoFlow];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tail => "tail",
            Self::Old => "old",
            Self::Unanswered => "unanswered",
            Self::Icmp => "icmp",
            Self::NoFlow => "no-flow",
        }
    }
}

/// What was let go, by [`Reason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetGo(pub [Totals; 5]);

impl LetGo {
    /// All together.
    pub fn total(&self) -> Totals {
        self.0.iter().fold(Totals::default(), |a, b| Totals {
            packets: a.packets.saturating_add(b.packets),
            bytes: a.bytes.saturating_add(b.bytes),
        })
    }
}

/// Memory by what it is used for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Packets, with their headers and what is left over in their pages.
    pub packets: u64,
    /// Flows.
    pub flows: u64,
    /// What finds flows and orders packets.
    pub indexes: u64,
    /// Packets that were let go while readers still wanted them.
    pub readers: u64,
    /// Flows on their way to the disk.
    pub spill: u64,
}

impl Used {
    /// All together.
    pub fn total(&self) -> u64 {
        self.packets + self.flows + self.indexes + self.readers + self.spill
    }
}

/// What is held of flows that were last seen between two ages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Band {
    /// From this age on, in ns.
    pub from: i64,
    /// Up to this age, `i64::MAX`: without end.
    pub to: i64,
    /// What a flow of this age keeps by the curve, as it is scaled now; `u64::MAX`: all.
    pub allowance: u64,
    /// Flows.
    pub flows: u64,
    /// What is held of them.
    pub held: Totals,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its link type.
    pub link: u16,
    /// Limit to the captured length, 0: none.
    pub snap_length: u32,
    /// What came from it.
    pub received: Totals,
    /// Packets that the kernel lost.
    pub dropped: u64,
}

impl InterfaceStatus {
    /// As captures that are written describe it.
    pub fn described(&self) -> Interface {
        Interface {
            link: self.link,
            snaplen: self.snap_length,
            name: (!self.name.is_empty()).then(|| self.name.clone()),
            ts_resol: TsResol::NANO,
            ts_offset: 0,
            section: 0,
        }
    }
}

/// What a store says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Bytes that everything takes together at most.
    pub bound: u64,
    /// Bytes that are used.
    pub used: Used,
    /// What came in.
    pub received: Totals,
    /// What is held.
    pub held: Totals,
    /// What was let go.
    pub let_go: LetGo,
    /// Flows of which something is held.
    pub flows: u64,
    /// Flows in the share of those nobody answered, and of ICMP.
    pub flows_aside: [u64; 2],
    /// By age.
    pub bands: Vec<Band>,
    /// How far the curve is stretched in time: below 1, less is kept than it says. 0: nothing had to be let go yet.
    pub stretch: f64,
    /// Smallest time of the packets that are held.
    pub oldest: Option<i64>,
    /// Largest time of the packets that are held.
    pub newest: Option<i64>,
    /// The interfaces.
    pub interfaces: Vec<InterfaceStatus>,
    /// Readers that are open.
    pub readers: u64,
    /// Packets that were longer than [`MOST_CAPTURED`](super::MOST_CAPTURED) and were shortened.
    pub shortened: u64,
}

/// How a reader fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Packets handed over.
    pub matched: u64,
    /// Packets that were let go before they were read.
    pub lost: u64,
    /// It is at its end.
    pub ended: bool,
}
