//! Puts bytes into their place: fills holes, and compares what is there already.

use super::budget::PIECE;
use super::event::{Anomaly, Event, Kind, Out};
use super::half::Half;
use super::history::Known;
use super::store::{Piece, Source};

/// From the first to behind the last place where two equally long slices differ.
fn difference(a: &[u8], b: &[u8]) -> Option<(usize, usize)> {
    if a == b {
        return None;
    }
    let from = a.iter().zip(b).position(|(x, y)| x != y)?;
    let to = a.iter().zip(b).rposition(|(x, y)| x != y)?;
    Some((from, to + 1))
}

impl Half {
    /// Takes the bytes at `at`. `alive`: a keep-alive, whose content means nothing.
    pub fn place(&mut self, at: i64, bytes: &[u8], source: Source, alive: bool, out: &mut Out<'_>) {
        let (mut at, mut bytes) = (at, bytes);
        if self.started && at < self.next {
            let n = bytes.len().min((self.next - at) as usize);
            self.compare(at, &bytes[..n], source, alive, out);
            (at, bytes) = (at + n as i64, &bytes[n..]);
        }
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len() as i64;
        if self.started
            && at == self.next
            && self.may_hand_on(end)
            && self.store.first().is_none_or(|first| first >= end)
        {
            return self.hand_on(at, bytes, source, out);
        }
        self.resolve(at, bytes, source, alive, out);
        for (from, to) in self.store.holes(at, end) {
            self.put(from, &bytes[(from - at) as usize..(to - at) as usize], source, out);
        }
    }

    /// Compares with what was handed on.
    fn compare(&mut self, at: i64, bytes: &[u8], source: Source, alive: bool, out: &mut Out<'_>) {
        let offset = |x: i64| x - self.start;
        let parts = self.history.parts(at, at + bytes.len() as i64);
        let mut say = |kind| {
            out(&Event { dir: self.dir, epoch: self.epoch, origin: source.origin, kind });
        };
        for &(from, to, ref known) in &parts {
            let other = &bytes[(from - at) as usize..(to - at) as usize];
            let n = other.len() as u64;
            match known {
                Known::Forgotten => self.counts.unchecked += n,
                Known::Gap => {
                    self.counts.refused += n;
                    say(Kind::Anomaly { name: Anomaly::Late, offset: offset(from), bytes: other });
                }
                Known::Bytes(kept, kept_from) => match difference(kept, other) {
                    None => self.counts.duplicate += n,
                    Some(_) if alive => {
                        self.counts.refused += n;
                        let name = Anomaly::KeepAlive;
                        say(Kind::Anomaly { name, offset: offset(from), bytes: other });
                    }
                    Some((x, y)) => {
                        self.counts.conflicting += (y - x) as u64;
                        self.counts.duplicate += n - (y - x) as u64;
                        say(Kind::Overlap {
                            offset: offset(from + x as i64) as u64,
                            kept: &kept[x..y],
                            other: &other[x..y],
                            kept_from: *kept_from,
                            other_from: source.origin,
                        });
                    }
                },
            }
        }
    }

    /// Decides between these bytes and those that wait; takes out what loses. What of these bytes
    /// loses finds its place taken.
    fn resolve(&mut self, at: i64, bytes: &[u8], source: Source, alive: bool, out: &mut Out<'_>) {
        let end = at + bytes.len() as i64;
        let part = |from: i64, len: usize| &bytes[(from - at) as usize..(from - at) as usize + len];
        if !self.started && self.store.parts(at, end).any(|(from, old, _)| old != part(from, old.len())) {
            self.start_now(out); // offsets must be known to report it
        }
        // Only the pieces at the two ends can be split, which takes room.
        let split: i64 = [self.store.parts(at, at + 1).next(), self.store.parts(end - 1, end).next()]
            .iter()
            .flatten()
            .map(|(_, _, owner)| PIECE as i64 + owner.span.1 - owner.span.0)
            .sum();
        let room = self.policy.keeps_first() || alive || split == 0 || self.charge(split as usize);
        if !room {
            self.counts.bounds += 1;
            self.odd(Anomaly::BoundHit, at, out);
        }
        let mut lost = Vec::new();
        for (from, old, owner) in self.store.parts(at, end) {
            let new = part(from, old.len());
            let n = old.len() as u64;
            let wins = self.policy.takes_new(source.span, owner.span) && !alive && room;
            if wins {
                lost.push((from, from + old.len() as i64));
            }
            let Some((x, y)) = difference(old, new) else {
                self.counts.duplicate += n;
                continue;
            };
            if alive {
                self.counts.refused += n;
                let kind = Kind::Anomaly { name: Anomaly::KeepAlive, offset: self.offset(from), bytes: new };
                out(&Event { dir: self.dir, epoch: self.epoch, origin: source.origin, kind });
                continue;
            }
            self.counts.conflicting += (y - x) as u64;
            self.counts.duplicate += n - (y - x) as u64;
            let (kept, other) = if wins { (new, old) } else { (old, new) };
            let (kept_from, other_from) =
                if wins { (source.origin, owner.origin) } else { (owner.origin, source.origin) };
            let kind = Kind::Overlap {
                offset: self.offset(from + x as i64) as u64,
                kept: &kept[x..y],
                other: &other[x..y],
                kept_from,
                other_from,
            };
            out(&Event { dir: self.dir, epoch: self.epoch, origin: source.origin, kind });
        }
        for (from, to) in lost {
            self.store.remove(from, to);
        }
        self.settle();
    }

    /// Puts bytes into a hole. If there is no room, the oldest holes become gaps.
    fn put(&mut self, at: i64, bytes: &[u8], source: Source, out: &mut Out<'_>) {
        let cost = PIECE + bytes.len();
        while !self.charge(cost) {
            self.counts.bounds += 1;
            self.odd(Anomaly::BoundHit, at, out);
            self.start_now(out);
            if self.store.first().is_some_and(|first| first < at) {
                self.flush_first(out);
            } else {
                self.gap_to(at, out);
                return self.hand_on(at, bytes, source, out);
            }
        }
        self.store.put(at, Piece::new(bytes, source));
    }
}
