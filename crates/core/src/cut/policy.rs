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

/// What a cutoff is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Which bytes.
    pub count: Count,
    /// Of each direction apart.
    pub per_direction: bool,
}

/// What is known of a packet behind a gap ([`Policy::fate_behind`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Behind {
    /// The very same policy has left it there.
    pub unchanged: bool,
    /// It certainly lies behind the cutoff.
    pub behind: bool,
    /// It was left there by the same sampling.
    pub sampled: bool,
    /// What the running totals would come to by what is known, when that has been measured.
    pub end: Option<[u64; 2]>,
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
        if self.is_control(p) {
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
        self.fate_of_rest(flow, p)
    }

    /// What the two directions of a flow come to, in the unit that is counted.
    pub fn totals(&self, flow: &Flow) -> [u64; 2] {
        self.totals_of(&flow.side)
    }

    /// The same of two sides.
    pub fn totals_of(&self, sides: &[Side; 2]) -> [u64; 2] {
        [self.counted(&sides[0]), self.counted(&sides[1])]
    }

    /// What a cutoff of this policy counts.
    pub fn unit(&self) -> Unit {
        Unit { count: self.count, per_direction: self.per_direction }
    }

    /// The fate of a packet of a trimmed file that stands behind a gap: only a part of what came before is
    /// known of its running total. Where it is not certain that it has to go, it stays. `running` is what is known.
    pub fn fate_behind(&self, running: &Flow, p: &Packet<'_>, known: Behind) -> Fate {
        let dir = usize::from(p.facts.dir & 1);
        let total = self.running(running, dir);
        if known.unchanged || (!known.behind && total <= self.cutoff) || self.is_control(p) {
            return Fate::Keep;
        }
        if self.tail > 0 {
            let Some(end) = known.end else { return Fate::Keep };
            let end = if self.per_direction { end[dir] } else { end[0].saturating_add(end[1]) };
            if end.saturating_sub(total - self.own(p)) <= self.tail {
                return Fate::Keep;
            }
        }
        match self.rest {
            Rest::Sample(_) if known.sampled => Fate::Keep,
            _ => self.fate_of_rest(running, p),
        }
    }

    #[inline]
    fn is_control(&self, p: &Packet<'_>) -> bool {
        self.keep_control && p.facts.tcp_flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) != 0
    }

    #[inline]
    fn fate_of_rest(&self, flow: &Flow, p: &Packet<'_>) -> Fate {
        match self.rest {
            Rest::Headers if p.facts.header_len < p.caplen => Fate::Shorten,
            Rest::Headers => Fate::Keep,
            Rest::Sample(k) if k > 0 && flow.packets().is_multiple_of(k) => Fate::Keep,
            Rest::Cut | Rest::Sample(_) => Fate::Cut,
        }
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
