//! TCP sequence numbers: what came twice, what came late, what never came.
//!
//! A *hole* is a range of sequence numbers below the highest one seen that no captured segment covers. It
//! opens when a segment begins behind the one expected, and closes when its bytes come. A segment is looked
//! at if it takes room in the sequence (payload, SYN or FIN) and is no RST. It is
//!
//! * *in order* when it begins at or behind the highest sequence number seen;
//! * *retransmitted* when it begins below, and fills no hole, or one that has been open for a round trip;
//! * *out of order* when it begins below and fills a hole that has been open for less. The sender learns of
//!   a loss a round trip after the hole can be seen, wherever the capture was made; what comes sooner
//!   cannot have been sent again.
//!
//! The round trip is that of the handshake, or 3 ms where it is not known or 0 (the figure that Wireshark
//! takes for its `tcp.analysis.out_of_order`). Keep-alives (at most one byte, just below the highest) and probes of a zero window (one byte,
//! when the peer's window is 0) are neither. All comparisons are those of serial numbers (RFC 9293 section 3.4).

use super::{has, Detail};
use crate::flow::{Flow, Packet};
use crate::packet::tcp_flag;

/// Holes that are remembered for each end of a flow. The oldest one is given up for a new one; what
/// was acknowledged of it is counted as missed.
pub const MAX_HOLES: usize = 16;

const NO_RTT_NS: i64 = 3_000_000;

/// A range of sequence numbers that was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hole {
    /// When it could be seen first.
    opened: i64,
    start: u32,
    len: u32,
    end: u8,
    /// It is in the history.
    told: bool,
}

impl Hole {
    /// How much of it lies below an acknowledgment number.
    fn below(&self, ack: u32) -> u32 {
        (ack.wrapping_sub(self.start) as i32).clamp(0, i32::MAX).unsigned_abs().min(self.len)
    }
}

/// `a` behind `b`, as a distance.
fn behind(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Detail {
    /// Segments of an end whose sequence numbers were seen before; see the module.
    pub fn retransmitted(&self, end: usize) -> u64 {
        u64::from(self.side[end].retransmitted)
    }

    /// Segments of an end that came behind later ones; see the module.
    pub fn out_of_order(&self, end: usize) -> u64 {
        u64::from(self.side[end].out_of_order)
    }

    /// Sequence numbers of an end that the other one acknowledged and no captured segment holds; `None` when
    /// no segment of it was captured. A FIN that was not captured counts as one.
    pub fn missed(&self, end: usize) -> Option<u64> {
        let (own, peer) = (&self.side[end], &self.side[1 - end]);
        if own.bits & has::SEQ == 0 {
            return None;
        }
        if peer.bits & has::ACK == 0 {
            return Some(own.missed);
        }
        let holes = self.holes.iter().filter(|h| usize::from(h.end) == end);
        let inside: u64 = holes.map(|h| u64::from(h.below(peer.ack))).sum();
        let after = if own.bits & has::LOOSE != 0 { 0 } else { behind(peer.ack, own.next).max(0) };
        Some(own.missed + inside + u64::from(after.unsigned_abs()))
    }

    /// Puts a segment in sequence; true where Zeek's history calls it a retransmission: it has payload
    /// and ends at or below the highest sequence number seen.
    pub(super) fn segment(&mut self, flow: &Flow, p: &Packet<'_>, dir: usize) -> bool {
        let f = p.facts;
        let [fin, syn, rst] =
            [tcp_flag::FIN, tcp_flag::SYN, tcp_flag::RST].map(|flag| f.tcp_flags & flag != 0);
        if rst {
            return false;
        }
        let len = f.payload.wrapping_add(u32::from(fin)).wrapping_add(u32::from(syn));
        let end = f.seq.wrapping_add(len);
        let loose = if f.fragment { has::LOOSE } else { 0 };
        let probed = flow.side[1 - dir].window == 0 && self.side[1 - dir].bits & has::SEQ != 0;
        let own = &mut self.side[dir];
        let again = own.bits & has::SYN_BASE != 0 && own.base == f.seq;
        if own.bits & has::SEQ == 0 || (syn && !again) {
            (own.base, own.next) = (f.seq, end);
            own.bits |= has::SEQ | loose | if syn { has::SYN_BASE } else { 0 };
            self.holes.retain(|h| usize::from(h.end) != dir);
            return false;
        }
        if len == 0 {
            return false;
        }
        let (from, to) = (behind(f.seq, own.next), behind(end, own.next));
        if from >= 0 {
            if from == 0 && len == 1 && f.payload == 1 && probed {
                return false;
            }
            let hole = (from > 0 && own.bits & has::LOOSE == 0).then_some(own.next);
            own.next = end;
            own.bits = own.bits & !has::LOOSE | loose;
            if let Some(start) = hole {
                self.open(dir, start, from.unsigned_abs(), p.ts);
            }
            return false;
        }
        let zeeks = to <= 0 && f.payload > 0;
        if from == -1 && len == 1 && f.payload <= 1 && !fin && !syn {
            return zeeks; // a keep-alive
        }
        if to > 0 {
            own.next = end;
        }
        if behind(f.seq, own.base) < 0 {
            // Below the first segment captured: new bytes. Below a SYN: nonsense.
            if own.bits & has::SYN_BASE == 0 {
                own.base = f.seq;
                own.out_of_order = own.out_of_order.saturating_add(1);
            }
            return zeeks;
        }
        let opened = self.fill(dir, f.seq, len);
        let rtt = self.rtt(flow).filter(|&ns| ns > 0).unwrap_or(NO_RTT_NS);
        let own = &mut self.side[dir];
        if opened.is_some_and(|since| p.ts.saturating_sub(since) < rtt) {
            own.out_of_order = own.out_of_order.saturating_add(1);
        } else {
            own.retransmitted = own.retransmitted.saturating_add(1);
        }
        zeeks
    }

    /// Notes an acknowledgment by `dir`, and tells the history of gaps it shows in what the peer sent.
    pub(super) fn acknowledged(&mut self, ack: u32, dir: usize) {
        let own = &mut self.side[dir];
        if own.bits & has::ACK == 0 || behind(ack, own.ack) > 0 {
            (own.ack, own.bits) = (ack, own.bits | has::ACK);
        }
        let peer = &self.side[1 - dir];
        if peer.bits & has::SEQ == 0 || !self.both_established() {
            return;
        }
        for i in 0..self.holes.len() {
            let hole = &mut self.holes[i];
            if usize::from(hole.end) != dir && !hole.told && hole.below(ack) == hole.len {
                hole.told = true;
                self.gap(1 - dir);
            }
        }
        let peer = &mut self.side[1 - dir];
        let news = peer.bits & has::TOLD == 0 || behind(ack, peer.told) > 0;
        if behind(ack, peer.next) > 0 && peer.bits & has::LOOSE == 0 && news {
            (peer.told, peer.bits) = (ack, peer.bits | has::TOLD);
            self.gap(1 - dir);
        }
    }

    fn open(&mut self, end: usize, start: u32, len: u32, opened: i64) {
        let own = &self.side[end];
        let behind_it = start.wrapping_add(len);
        let told = own.bits & has::TOLD != 0 && behind(own.told, behind_it) >= 0;
        self.holes.push(Hole { opened, start, len, end: end as u8, told });
        self.bound(end);
    }

    /// Takes the numbers of a segment out of the holes; when the youngest hole it fills was opened.
    fn fill(&mut self, end: usize, seq: u32, len: u32) -> Option<i64> {
        let mut opened: Option<i64> = None;
        for i in (0..self.holes.len()).rev() {
            let hole = self.holes[i];
            if usize::from(hole.end) != end {
                continue;
            }
            // The segment's range as seen from the hole's start.
            let from = i64::from(behind(seq, hole.start));
            let (lo, hi) = (from.max(0), (from + i64::from(len)).min(i64::from(hole.len)));
            if lo >= hi {
                continue;
            }
            opened = opened.max(Some(hole.opened));
            let (left, right) = (lo as u32, hole.len - hi as u32);
            let rest = Hole { start: hole.start.wrapping_add(hi as u32), len: right, ..hole };
            match (left > 0, right > 0) {
                (false, false) => {
                    self.holes.remove(i);
                }
                (true, false) => self.holes[i].len = left,
                (false, true) => self.holes[i] = rest,
                (true, true) => {
                    self.holes[i].len = left;
                    self.holes.insert(i + 1, rest);
                }
            }
        }
        self.bound(end);
        opened
    }

    /// Gives up the oldest holes of an end that has too many.
    fn bound(&mut self, end: usize) {
        let of_end = |h: &Hole| usize::from(h.end) == end;
        while self.holes.iter().filter(|h| of_end(h)).count() > MAX_HOLES {
            let Some(i) = self.holes.iter().position(of_end) else { return };
            let hole = self.holes.remove(i);
            let peer = &self.side[1 - end];
            if peer.bits & has::ACK != 0 {
                self.side[end].missed += u64::from(hole.below(peer.ack));
            }
        }
    }
}
