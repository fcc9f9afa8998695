//! Hands on what is in order, and declares gaps.

use super::event::{Anomaly, GapReason, Kind, Out};
use super::half::Half;
use super::ranges::Ranges;
use super::store::{Piece, Source};

impl Half {
    /// Takes memory for pieces, within both bounds.
    pub fn charge(&mut self, n: usize) -> bool {
        let fits = self.charged.checked_add(n).is_some_and(|sum| sum <= self.limits.held);
        let fits = fits && self.budget.take_held(n);
        self.charged += if fits { n } else { 0 };
        fits
    }

    /// Gives back what is no longer used.
    pub fn settle(&mut self) {
        let used = self.store.cost() + self.aside_cost + self.snapped.cost();
        debug_assert!(used <= self.charged, "{used} bytes used, {} taken", self.charged);
        self.budget.give_held(self.charged.saturating_sub(used));
        self.charged = self.charged.min(used);
    }

    /// Whether bytes up to `end` may go as soon as they are in order. With a rule under which later
    /// segments can win, they wait until the receiver acknowledged them.
    pub fn may_hand_on(&self, end: i64) -> bool {
        self.policy.keeps_first() || self.acked.is_some_and(|acked| acked >= end)
    }

    /// Gives the next bytes.
    pub fn hand_on(&mut self, at: i64, bytes: &[u8], source: Source, out: &mut Out<'_>) {
        let skip = (at - source.span.0) as u32;
        let offset = self.offset(at) as u64;
        self.say(source.origin, Kind::Data { offset, bytes, skip }, out);
        self.counts.delivered += bytes.len() as u64;
        self.next = at + bytes.len() as i64;
        self.history.push(at, bytes, source.origin, self.limits.history, &self.budget);
    }

    /// Hands on all that is in order, and says the FIN if it is next.
    pub fn drain(&mut self, out: &mut Out<'_>) {
        if !self.started {
            return;
        }
        self.drain_in_order(out);
        // Only if asked for: holes that the receiver acknowledged and that waited long enough.
        while let Some(enough) = self.limits.acked_hole {
            let acked = self.acked.unwrap_or(self.next);
            let hole = self.store.first().is_some_and(|at| self.next < at && at <= acked);
            if !hole || self.store.len() <= enough {
                break;
            }
            self.flush_first(out);
            self.drain_in_order(out);
        }
    }

    fn drain_in_order(&mut self, out: &mut Out<'_>) {
        while self.store.first() == Some(self.next) {
            let Some((at, mut piece)) = self.store.pop_first() else { break };
            let end = at + piece.len() as i64;
            if self.may_hand_on(end) {
                self.settle();
                self.hand_on(at, piece.bytes(), piece.source, out);
                continue;
            }
            let n = self.acked.map_or(0, |acked| (acked - at).clamp(0, piece.len() as i64)) as usize;
            if n == 0 {
                self.store.put(at, piece);
                break;
            }
            let head = Piece::new(&piece.bytes()[..n], piece.source);
            let len = piece.len();
            piece.narrow(n, len);
            self.store.put(at + n as i64, piece);
            self.settle();
            self.hand_on(at, head.bytes(), head.source, out);
            break;
        }
        if self.fin == Some(self.next) && !self.fin_said {
            self.fin_said = true;
            self.say(self.last, Kind::Fin { offset: self.offset(self.next) as u64 }, out);
        }
    }

    /// Hands on the first piece that waits; the hole before it becomes a gap.
    pub fn flush_first(&mut self, out: &mut Out<'_>) {
        let Some((at, piece)) = self.store.pop_first() else { return };
        self.settle();
        self.gap_to(at, out);
        self.hand_on(at, piece.bytes(), piece.source, out);
    }

    /// Notes that the capture holds no bytes of `[at, end)` of a segment, though it was there.
    pub fn note_snapped(&mut self, at: i64, end: i64, out: &mut Out<'_>) {
        let at = if self.started { at.max(self.next) } else { at };
        while at < end && !self.charge(Ranges::COST) {
            self.counts.bounds += 1;
            self.odd(Anomaly::BoundHit, at, out);
            self.start_now(out);
            self.snapped.forget_before(self.next);
            self.settle();
            if self.store.first().is_some_and(|first| first < end) {
                self.flush_first(out);
            } else {
                self.snapped.add(at.max(self.next), end);
                self.gap_to(end, out); // forgets the range again
                return self.settle();
            }
        }
        self.snapped.add(at.max(if self.started { self.next } else { at }), end);
        self.settle();
    }

    /// Declares all up to `end` a gap.
    pub fn gap_to(&mut self, end: i64, out: &mut Out<'_>) {
        if end <= self.next {
            return;
        }
        let mut gaps: Vec<(i64, i64, GapReason)> = Vec::new();
        let mut add = |from: i64, to: i64, reason| match gaps.last_mut() {
            _ if from >= to => {}
            Some(last) if last.2 == reason => last.1 = to,
            _ => gaps.push((from, to, reason)),
        };
        for (from, to, snapped) in self.snapped.split(self.next, end) {
            let cut = self.cut_at.clamp(from, to);
            add(from, cut, if snapped { GapReason::Snapped } else { GapReason::NotCaptured });
            add(cut, to, GapReason::CutByPolicy);
        }
        if self.cut_payload.is_none() && end > self.cut_at && !self.modulo_said {
            self.modulo_said = true;
            self.odd(Anomaly::LengthModulo, self.next.max(self.cut_at), out);
        }
        for (from, to, reason) in gaps {
            let length = (to - from) as u64;
            self.counts.missing += length;
            self.say(self.last, Kind::Gap { offset: self.offset(from) as u64, length, reason }, out);
        }
        self.history.gap(self.next, end, &self.budget);
        self.next = end;
        self.settle();
    }

    /// The end of the traffic: everything is decided.
    pub fn finish(&mut self, out: &mut Out<'_>) {
        self.end_doubts(out);
        self.start_now(out);
        while !self.store.is_empty() {
            self.flush_first(out);
        }
        if self.started {
            self.gap_to(self.high, out);
            self.drain(out);
            self.end_tail(out);
        }
        self.history.clear(&self.budget);
        self.snapped.forget_before(i64::MAX);
        self.settle();
    }

    /// What the other end acknowledged was sent, captured or not.
    fn end_tail(&mut self, out: &mut Out<'_>) {
        if self.fin.is_some() {
            return;
        }
        if let Some(acked) = self.acked.filter(|acked| *acked > self.next) {
            // The last number may be that of a FIN.
            self.gap_to(acked - 1, out);
            self.odd(Anomaly::FinOrByteNotCaptured, self.next, out);
        }
        if self.cut {
            self.odd(Anomaly::CutTail, self.next, out);
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.history.clear(&self.budget);
        self.budget.give_held(self.charged);
        self.charged = 0;
    }
}
