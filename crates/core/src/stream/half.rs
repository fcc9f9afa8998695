//! One direction of a connection: where its numbers lie, and which segments count.
//!
//! Inside, a place in the stream is an `i64` relative to the first sequence number seen, so it does
//! not wrap and may lie before the begin. Offsets in events count from the begin of the stream.

use super::aside::{Doubt, Entry};
use super::budget::{Budget, Limits};
use super::event::{Anomaly, Counts, Event, Kind, Out};
use super::history::History;
use super::policy::Policy;
use super::ranges::Ranges;
use super::segment::{Checksum, Origin, Segment};
use super::store::{Source, Store};
use crate::packet::tcp_flag::{ACK, FIN, RST, SYN};

/// No window is larger (RFC 7323 section 2.3).
pub(super) const LARGEST_WINDOW: i64 = 1 << 30;

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    pub dir: u8,
    pub epoch: u32,
    pub policy: Policy,
    pub limits: Limits,
    pub budget: Budget,
    /// Sequence number of place 0.
    pub base: Option<u32>,
    /// Sequence number of the SYN, and whether its checksum was bad.
    pub isn: Option<u32>,
    pub isn_bad: bool,
    /// A later SYN with another number.
    pub other_isn: Option<u32>,
    /// The begin by the other end's SYN/ACK.
    pub hint: Option<u32>,
    /// Whether the begin is settled; then `start` and `next` are valid.
    pub started: bool,
    pub start: i64,
    /// The next place to hand on.
    pub next: i64,
    /// Lowest and highest place of accepted bytes.
    pub low: Option<i64>,
    pub high: i64,
    /// The other end's last words before any place was known.
    pub early_ack: Option<(u32, i64)>,
    /// All before it was acknowledged.
    pub acked: Option<i64>,
    /// Where the largest window that was offered ends.
    pub edge: Option<i64>,
    pub max_window: i64,
    pub no_window: bool,
    pub fin: Option<i64>,
    pub fin_said: bool,
    pub reset: bool,
    pub cut: bool,
    pub cut_at: i64,
    /// Payload bytes that this end sent before the cut, by a ledger.
    pub cut_payload: Option<u64>,
    pub modulo_said: bool,
    pub store: Store,
    pub snapped: Ranges,
    pub history: History,
    pub aside: Vec<Entry>,
    pub aside_cost: usize,
    /// What is taken from the budget for `store` and `aside`.
    pub charged: usize,
    pub good_data: bool,
    pub good_any: bool,
    pub offload: bool,
    pub last: Origin,
    pub counts: Counts,
}

impl Half {
    pub fn new(dir: u8, epoch: u32, policy: Policy, limits: Limits, budget: Budget) -> Self {
        Self {
            dir,
            epoch,
            policy,
            limits,
            budget,
            base: None,
            isn: None,
            isn_bad: false,
            other_isn: None,
            hint: None,
            started: false,
            start: 0,
            next: 0,
            low: None,
            high: 0,
            early_ack: None,
            acked: None,
            edge: None,
            max_window: 0,
            no_window: false,
            fin: None,
            fin_said: false,
            reset: false,
            cut: false,
            cut_at: i64::MAX,
            cut_payload: None,
            modulo_said: false,
            store: Store::default(),
            snapped: Ranges::default(),
            history: History::default(),
            aside: Vec::new(),
            aside_cost: 0,
            charged: 0,
            good_data: false,
            good_any: false,
            offload: false,
            last: Origin::default(),
            counts: Counts::default(),
        }
    }

    /// The place sequence numbers are read relative to; they may lie 2 GiB to either side.
    fn reference(&self) -> i64 {
        let mut at = if self.started { self.next } else { self.low.unwrap_or(0) };
        at = at.max(self.acked.unwrap_or(at));
        if self.cut {
            at = at.max(self.high);
        }
        at
    }

    pub fn place_near(&self, seq: u32, near: i64) -> i64 {
        let base = self.base.unwrap_or(seq);
        near + i64::from(seq.wrapping_sub(base.wrapping_add(near as u32)) as i32)
    }

    pub fn place_of(&self, seq: u32) -> i64 {
        self.place_near(seq, self.reference())
    }

    /// The place of a segment with a FIN where packets before it were cut by policy: more may be missing than
    /// sequence numbers can count, so it is read near the length a ledger tells, and behind all that is known.
    fn place_of_cut_fin(&self, seq: u32, wire: i64) -> i64 {
        let sent = self.cut_payload.map_or(0, |n| i64::try_from(n).unwrap_or(i64::MAX / 4).min(i64::MAX / 4));
        let near = self.reference().max(self.start.saturating_add(sent));
        let mut at = self.place_near(seq, near);
        if self.low.is_some() || self.started {
            while at + wire < self.high {
                at += 1 << 32;
            }
        }
        at
    }

    /// A place as events give it.
    pub fn offset(&self, at: i64) -> i64 {
        at - if self.started { self.start } else { self.low.unwrap_or(0).min(at) }
    }

    pub fn say(&self, origin: Origin, kind: Kind<'_>, out: &mut Out<'_>) {
        out(&Event { dir: self.dir, epoch: self.epoch, origin, kind });
    }

    /// Reports something odd about no bytes.
    pub fn odd(&self, name: Anomaly, at: i64, out: &mut Out<'_>) {
        self.say(self.last, Kind::Anomaly { name, offset: self.offset(at), bytes: &[] }, out);
    }

    /// Reports bytes that are not written.
    pub fn refuse(&mut self, name: Anomaly, at: i64, bytes: &[u8], origin: Origin, out: &mut Out<'_>) {
        self.counts.refused += bytes.len() as u64;
        self.say(origin, Kind::Anomaly { name, offset: self.offset(at), bytes }, out);
    }

    /// Takes a segment of this direction. Gives whether the segment can be believed.
    pub fn segment(&mut self, s: &Segment<'_>, out: &mut Out<'_>) -> bool {
        self.last = s.origin;
        self.counts.captured += s.payload.len() as u64;
        let wire = i64::from(s.wire_len);
        let payload = &s.payload[..s.payload.len().min(s.wire_len as usize)];
        self.counts.padding += (s.payload.len() - payload.len()) as u64;
        let bad = s.checksum == Checksum::Bad;
        let mut seq = s.seq;
        if s.flags & SYN != 0 {
            if !self.syn(s, payload, out) {
                return false;
            }
            seq = seq.wrapping_add(1);
        }
        if s.checksum == Checksum::Good {
            // A host that leaves checksums to its card may still fill in those of a RST itself.
            self.good_any |= s.flags & RST == 0;
            if !payload.is_empty() {
                self.good_data = true;
                self.offload = false;
            }
        }
        if s.flags & RST != 0 {
            if !payload.is_empty() {
                let at = self.place_of(seq);
                self.refuse(Anomaly::DataOnReset, at, payload, s.origin, out);
            }
            return !(bad && self.good_any);
        }
        let fin = s.flags & FIN != 0;
        if wire == 0 && !fin {
            return !(bad && self.good_any) && self.near(s.seq);
        }
        if self.base.is_none() {
            if wire == 1 && !fin && self.early_ack.is_some_and(|(ack, _)| ack == seq.wrapping_add(1)) {
                self.refuse(Anomaly::KeepAlive, 0, payload, s.origin, out);
                return true;
            }
            self.set_base(seq, out);
        }
        let at = if fin && self.cut { self.place_of_cut_fin(seq, wire) } else { self.place_of(seq) };
        let source = Source { origin: s.origin, span: (at, at + wire) };
        let doubt = if bad && !self.offload {
            Some(Doubt::Checksum)
        } else if s.flags & (ACK | SYN) == 0 {
            Some(Doubt::NoAck)
        } else {
            self.doubt(at, at + wire)
        };
        if let Some(doubt) = doubt {
            self.put_aside(Entry { at, end: at + wire, bytes: payload.to_vec(), fin, source, doubt }, out);
            return false;
        }
        self.accept(at, payload, at + wire, fin, source, out);
        true
    }

    /// Whether a receiver would not take `[at, end)`, as far as is known now.
    fn doubt(&self, at: i64, end: i64) -> Option<Doubt> {
        if self.started && end <= self.next && end > self.start {
            return None; // it is compared, never written
        }
        if self.reset {
            return Some(Doubt::Reset);
        }
        let beyond = !self.no_window && self.edge.is_some_and(|edge| at > edge || (at == edge && at < end));
        let far = (at - self.reference()).abs() > LARGEST_WINDOW;
        (!self.cut && (beyond || far)).then_some(Doubt::Window)
    }

    /// Whether a segment without data lies where this end is; only then its acknowledgment counts.
    fn near(&self, seq: u32) -> bool {
        self.base.is_none() || self.cut || (self.place_of(seq) - self.reference()).abs() <= LARGEST_WINDOW
    }

    /// Takes bytes without a doubt.
    pub fn accept(&mut self, at: i64, bytes: &[u8], end: i64, fin: bool, source: Source, out: &mut Out<'_>) {
        let (mut at, mut bytes) = (at, bytes);
        // The last byte again, acknowledged before, so with any content: a keep-alive.
        let alive = end - at == 1
            && !fin
            && end == self.high
            && self.low.is_some()
            && self.acked.is_none_or(|acked| acked >= end);
        if self.started && at < self.start {
            let n = (self.start - at).min(bytes.len() as i64) as usize;
            let alive = end == self.start && end - at == 1;
            let name = if alive { Anomaly::KeepAlive } else { Anomaly::BeforeStart };
            self.refuse(name, at, &bytes[..n], source.origin, out);
            (at, bytes) = (self.start.min(end), &bytes[n..]);
            if at == end && !fin {
                return;
            }
        }
        let mut limit = end;
        if let Some(fin_at) = self.fin.filter(|f| end > *f && end > at) {
            let from = at.max(fin_at);
            let n = ((from - at) as usize).min(bytes.len());
            let rest = Entry { at: from, end, bytes: bytes[n..].to_vec(), fin, source, doubt: Doubt::Fin };
            self.put_aside(rest, out);
            if at >= fin_at {
                return;
            }
            (bytes, limit) = (&bytes[..n], from);
        }
        let fin = fin && limit == end;
        let unknown = self.low.is_none() && !self.started;
        self.low = Some(self.low.map_or(at, |low| low.min(at)));
        self.high = if unknown { limit } else { self.high.max(limit) };
        let captured = at + bytes.len() as i64;
        self.place(at, bytes, source, alive, out);
        if captured < limit {
            self.note_snapped(captured, limit, out);
        }
        if fin {
            self.fin_at(end, out);
        }
        self.try_start(out);
        self.drain(out);
    }

    fn fin_at(&mut self, at: i64, out: &mut Out<'_>) {
        if self.fin.is_some_and(|f| f != at) || self.high > at {
            self.odd(Anomaly::FinMisplaced, at, out);
        } else {
            self.fin = Some(at);
        }
    }

    /// What the other end acknowledges, and the window it offers, in bytes.
    pub fn peer_says(&mut self, ack: u32, window: i64, syn: bool, out: &mut Out<'_>) {
        if syn && self.hint.is_none() {
            self.hint = Some(ack);
            if self.base.is_none() {
                self.base = Some(ack);
            }
        }
        if self.base.is_none() {
            self.early_ack = Some((ack, window));
            return;
        }
        let near = self.acked.unwrap_or_else(|| self.reference());
        let at = self.place_near(ack, near);
        if (at - near.max(self.high)) > LARGEST_WINDOW || near - at > LARGEST_WINDOW {
            return;
        }
        self.max_window = self.max_window.max(window);
        self.edge = Some(self.edge.map_or(at + window, |edge| edge.max(at + window)));
        if self.acked.is_some_and(|acked| acked >= at) {
            return;
        }
        self.acked = Some(at);
        self.try_start(out);
        self.drain(out);
        if self.fin.is_some_and(|fin| at > fin + 1) {
            (self.fin, self.fin_said) = (None, false);
            self.odd(Anomaly::FinNotTaken, at, out);
        }
        self.take_acked(at, out);
    }

    /// A RST of this end. Gives whether it counts.
    pub fn rst(&mut self, s: &Segment<'_>, out: &mut Out<'_>) -> bool {
        let at = if self.base.is_none() { 0 } else { self.place_of(s.seq) };
        if s.checksum == Checksum::Bad && self.good_any {
            self.odd(Anomaly::BadChecksum, at, out);
            return false;
        }
        if self.base.is_some() && !self.cut {
            let from = if self.started { self.next } else { self.low.unwrap_or(0) };
            let from = from.min(self.acked.unwrap_or(from));
            let to = self.edge.unwrap_or(self.high + 65_535).max(self.high) + 1;
            // A SYN is refused with a RST of sequence number 0 and no data was sent then.
            let refusal = self.low.is_none() && self.isn.is_none();
            if !(from..=to).contains(&at) && !refusal {
                self.odd(Anomaly::ResetOutsideWindow, at, out);
                return false;
            }
        }
        self.say(s.origin, Kind::Reset { offset: self.offset(at) }, out);
        true
    }

    /// From here on packets may be missing by policy.
    pub fn mark_cut(&mut self, payload: Option<u64>) {
        if !self.cut {
            self.cut = true;
            self.cut_payload = payload;
            self.cut_at = if self.low.is_some() || self.started { self.high } else { i64::MIN };
        }
    }
}
