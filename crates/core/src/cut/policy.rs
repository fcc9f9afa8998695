//! The cut rule: which packets of a flow are kept.

use crate::flow::{Flow, Packet, Side};
use crate::packet::tcp_flag;

/// What is counted towards the cutoff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// Captured frame bytes.
    #[default]
    Frame,
    /// Original frame bytes.
    Wire,
    /// Transport payload bytes, by the headers' length fields.
    Payload,
}

/// What becomes of the packets past the cutoff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// They are cut whole.
    #[default]
    Cut,
    /// Their headers are kept, their payload is cut; the original length stays true.
    Headers,
    /// Every packet whose number in the flow, from 1, is a multiple of this is kept whole.
    Sample(u64),
}

/// The fate of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Stays as it is.
    Keep,
    /// Goes.
    Cut,
    /// Its first bytes stay; the number is in [`Facts::header_len`](crate::packet::Facts::header_len).
    Shorten,
    /// Not known yet: a fragment that waits for the first one of its datagram.
    Wait,
}

/// How much of a flow is kept.
///
/// A packet is kept if the flow's running total up to and including it is at most
/// `cutoff`; all packets count, kept or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes of a flow that are kept.
    pub cutoff: u64,
    /// What is counted.
    pub count: Count,
    /// Count the two directions apart, so that each has the cutoff for itself.
    pub per_direction: bool,
    /// Keep TCP SYN, FIN and RST also past the cutoff.
    pub keep_control: bool,
    /// What becomes of the rest.
    pub rest: Rest,
    /// Also keep a packet if from it to the end of the flow there are at most so many bytes.
    pub tail: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            cutoff: u64::MAX,
            count: Count::Frame,
            per_direction: false,
            keep_control: true,
            rest: Rest::Cut,
            tail: 0,
        }
    }
}

impl Policy {
    /// The fate of packet `p` of `flow`, which has counted it already. `total` is what the whole flow
    /// will come to ([`Policy::totals`]), when that is known; without it there is no tail.
    #[inline]
    pub fn fate(&self, flow: &Flow, p: &Packet<'_>, total: Option<[u64; 2]>) -> Fate {
        let dir = usize::from(p.facts.dir & 1);
        let running = self.running(flow, dir);
        if running <= self.cutoff {
            return Fate::Keep;
        }
        if self.keep_control && p.facts.tcp_flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) != 0 {
            return Fate::Keep;
        }
        if self.tail > 0 {
            if let Some(total) = total {
                let total = if self.per_direction { total[dir] } else { total[0] + total[1] };
                let before = running - self.own(p);
                if total.saturating_sub(before) <= self.tail {
                    return Fate::Keep;
                }
            }
        }
        match self.rest {
            Rest::Headers if p.facts.header_len < p.caplen => Fate::Shorten,
            Rest::Headers => Fate::Keep,
            Rest::Sample(k) if k > 0 && flow.packets().is_multiple_of(k) => Fate::Keep,
            Rest::Cut | Rest::Sample(_) => Fate::Cut,
        }
    }

    /// What the two directions of a flow come to, in the unit that is counted.
    pub fn totals(&self, flow: &Flow) -> [u64; 2] {
        [self.counted(&flow.side[0]), self.counted(&flow.side[1])]
    }

    #[inline]
    fn running(&self, flow: &Flow, dir: usize) -> u64 {
        if self.per_direction {
            self.counted(&flow.side[dir])
        } else {
            self.counted(&flow.side[0]) + self.counted(&flow.side[1])
        }
    }

    #[inline]
    fn counted(&self, side: &Side) -> u64 {
        match self.count {
            Count::Frame => side.bytes,
            Count::Wire => side.wire,
            Count::Payload => side.payload,
        }
    }

    #[inline]
    fn own(&self, p: &Packet<'_>) -> u64 {
        u64::from(match self.count {
            Count::Frame => p.caplen,
            Count::Wire => p.wirelen,
            Count::Payload => p.facts.payload,
        })
    }
}
