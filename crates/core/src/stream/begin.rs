//! Where a stream begins.

use super::event::{Anomaly, Out};
use super::half::{Half, LARGEST_WINDOW};
use super::segment::{Checksum, Segment};

impl Half {
    /// A SYN. Gives false if it does not belong here; then its payload was refused.
    pub fn syn(&mut self, s: &Segment<'_>, payload: &[u8], out: &mut Out<'_>) -> bool {
        let first = s.seq.wrapping_add(1);
        let untouched =
            self.next == self.start && self.store.is_empty() && self.low.is_none_or(|l| l == self.high);
        if self.isn_bad && s.checksum == Checksum::Good && self.isn != Some(s.seq) && untouched {
            // The first SYN was a decoy.
            (self.base, self.isn, self.started, self.low, self.acked, self.edge) =
                (None, None, false, None, None, None);
            (self.start, self.next, self.high) = (0, 0, 0);
        }
        if self.isn == Some(s.seq) {
            return true;
        }
        let at = if self.base.is_none() {
            self.set_base(first, out);
            0
        } else {
            self.place_of(first)
        };
        let fits = self.isn.is_none() && (!self.started || at == self.start);
        if !fits {
            self.other_isn = Some(s.seq);
            self.refuse(Anomaly::SynAgain, at, payload, s.origin, out);
            return false;
        }
        self.isn = Some(s.seq);
        self.isn_bad = s.checksum == Checksum::Bad;
        if !self.started {
            if self.low.is_none() {
                self.high = at;
            }
            self.begin_at(at, out);
            self.drain(out);
        }
        true
    }

    pub fn set_base(&mut self, seq: u32, out: &mut Out<'_>) {
        self.base = Some(seq);
        if let Some((ack, window)) = self.early_ack.take() {
            self.peer_says(ack, window, false, out);
        }
    }

    /// Settles the begin if enough is known.
    pub fn try_start(&mut self, out: &mut Out<'_>) {
        let Some(low) = self.low.filter(|_| !self.started) else { return };
        if let Some(hint) = self.hint {
            let at = self.place_near(hint, low);
            if (0..LARGEST_WINDOW).contains(&(low - at)) {
                return self.begin_at(at, out);
            }
        }
        // What is acknowledged was received together with all before it.
        if self.acked.is_some_and(|acked| acked > low) || self.store.len() >= self.limits.start {
            self.start_now(out);
        }
    }

    /// Settles the begin at the lowest byte, or where the SYN/ACK says.
    pub fn start_now(&mut self, out: &mut Out<'_>) {
        if self.started {
            return;
        }
        if let Some(low) = self.low {
            self.begin_at(low, out);
            self.odd(Anomaly::MidStream, low, out);
        } else if let Some(hint) = self.hint {
            let at = self.place_near(hint, 0);
            self.high = at;
            self.begin_at(at, out);
        }
    }

    fn begin_at(&mut self, at: i64, out: &mut Out<'_>) {
        (self.started, self.start, self.next) = (true, at, at);
        self.snapped.forget_before(at);
        // Only a SYN that came late has something before it.
        while self.store.first().is_some_and(|first| first < at) {
            let Some((from, mut piece)) = self.store.pop_first() else { break };
            let n = piece.len().min((at - from) as usize);
            let origin = piece.source.origin;
            self.refuse(Anomaly::BeforeStart, from, &piece.bytes()[..n], origin, out);
            if n < piece.len() {
                let end = piece.len();
                piece.narrow(n, end);
                self.store.put(at, piece);
            }
        }
        self.settle();
    }
}
