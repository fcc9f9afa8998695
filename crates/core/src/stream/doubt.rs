//! Segments in doubt: put aside, taken when the receiver's acknowledgment tells so, else refused.

use super::aside::{Doubt, Entry, MAX, OFFLOAD};
use super::budget::PIECE;
use super::event::{Anomaly, Out};
use super::half::Half;

impl Half {
    fn cost_of(entry: &Entry) -> usize {
        PIECE + entry.bytes.capacity()
    }

    /// Takes an entry out of the list.
    fn take_entry(&mut self, i: usize) -> Entry {
        let entry = self.aside.remove(i);
        self.aside_cost -= Self::cost_of(&entry);
        self.settle();
        entry
    }

    fn refuse_entry(&mut self, entry: &Entry, out: &mut Out<'_>) {
        self.refuse(entry.doubt.anomaly(), entry.at, &entry.bytes, entry.source.origin, out);
    }

    /// Keeps a segment until more is known.
    pub fn put_aside(&mut self, entry: Entry, out: &mut Out<'_>) {
        let cost = Self::cost_of(&entry);
        while self.aside.len() >= MAX || self.aside_cost + cost > self.limits.aside || !self.charge(cost) {
            let doubt = entry.doubt;
            if doubt.yields() {
                self.lift(doubt, out);
                return self.accept(entry.at, &entry.bytes, entry.end, entry.fin, entry.source, out);
            }
            if self.aside.is_empty() {
                return self.refuse_entry(&entry, out);
            }
            let oldest = self.take_entry(0);
            self.refuse_entry(&oldest, out);
        }
        self.aside_cost += cost;
        let checksum = entry.doubt == Doubt::Checksum;
        self.aside.push(entry);
        let bad = || self.aside.iter().filter(|e| e.doubt == Doubt::Checksum).count();
        if checksum && !self.good_data && bad() >= OFFLOAD {
            self.lift(Doubt::Checksum, out);
        }
    }

    /// The doubt was wrong: takes all that waited for it, in the order it came.
    pub fn lift(&mut self, doubt: Doubt, out: &mut Out<'_>) {
        let name = match doubt {
            Doubt::Window => {
                self.no_window = true;
                Anomaly::WindowUnknown
            }
            Doubt::Fin => {
                (self.fin, self.fin_said) = (None, false);
                Anomaly::FinNotTaken
            }
            Doubt::Reset => {
                self.reset = false;
                Anomaly::ResetNotTaken
            }
            Doubt::Checksum => {
                self.offload = true;
                Anomaly::ChecksumOffload
            }
            Doubt::NoAck => return,
        };
        self.odd(name, self.next, out);
        let (all, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.aside).into_iter().partition(|e| e.doubt == doubt);
        self.aside = rest;
        self.aside_cost = self.aside.iter().map(Self::cost_of).sum();
        self.settle();
        for e in all {
            self.accept(e.at, &e.bytes, e.end, e.fin, e.source, out);
        }
    }

    /// The receiver has all before `acked`.
    pub fn take_acked(&mut self, acked: i64, out: &mut Out<'_>) {
        let mut i = 0;
        while let Some(entry) = self.aside.get(i) {
            if entry.end + i64::from(entry.fin) > acked || (entry.doubt == Doubt::Fin && self.fin.is_some()) {
                i += 1;
                continue;
            }
            let missing = self.is_missing(entry.at, entry.at + entry.bytes.len() as i64);
            match entry.doubt {
                Doubt::Checksum if missing && !self.good_data => {
                    // Nothing else gave these bytes, and the receiver has them.
                    self.lift(Doubt::Checksum, out);
                    i = 0;
                    continue;
                }
                Doubt::Checksum | Doubt::NoAck if !missing => {
                    let entry = self.take_entry(i);
                    self.refuse_entry(&entry, out);
                    continue;
                }
                Doubt::Reset if missing => {
                    self.reset = false;
                    self.odd(Anomaly::ResetNotTaken, acked, out);
                }
                _ => {}
            }
            let e = self.take_entry(i);
            if missing {
                self.odd(Anomaly::TakenByAck, e.at, out);
            }
            self.accept(e.at, &e.bytes, e.end, e.fin, e.source, out);
        }
    }

    fn doubtful_fin(&self) -> Option<usize> {
        self.aside.iter().rposition(|e| e.doubt == Doubt::Window && e.fin)
    }

    /// Whether the last FIN in doubt fits what the other end's FIN acknowledges: all before it, or it too.
    pub fn expects_fin(&self, ack: u32) -> bool {
        self.doubtful_fin().is_some_and(|i| {
            let end = self.aside[i].end;
            (end..=end + 1).contains(&self.place_near(ack, end))
        })
    }

    /// Takes the last FIN in doubt.
    pub fn take_fin(&mut self, out: &mut Out<'_>) {
        if let Some(i) = self.doubtful_fin() {
            let e = self.take_entry(i);
            self.odd(Anomaly::TakenByAck, e.at, out);
            self.accept(e.at, &e.bytes, e.end, e.fin, e.source, out);
        }
    }

    /// Whether something of `[at, end)` is not there yet.
    fn is_missing(&self, at: i64, end: i64) -> bool {
        let at = if self.started { at.max(self.next) } else { at };
        at < end && !self.store.holes(at, end).is_empty()
    }

    /// Decides about all that is left, at the end.
    pub fn end_doubts(&mut self, out: &mut Out<'_>) {
        if !self.good_data && self.aside.iter().any(|e| e.doubt == Doubt::Checksum) {
            self.lift(Doubt::Checksum, out);
        }
        let mut i = 0;
        while i < self.aside.len() {
            let e = &self.aside[i];
            let near = self.edge.is_some_and(|edge| e.at < edge.saturating_add(self.max_window.max(1)));
            if e.doubt == Doubt::Window && near {
                let e = self.take_entry(i);
                if self.is_missing(e.at, e.end) {
                    self.odd(Anomaly::BeyondWindow, e.at, out);
                }
                self.accept(e.at, &e.bytes, e.end, e.fin, e.source, out);
                i = 0; // taking it may have put others aside
            } else {
                i += 1;
            }
        }
        while !self.aside.is_empty() {
            let e = self.take_entry(0);
            self.refuse_entry(&e, out);
        }
    }
}
