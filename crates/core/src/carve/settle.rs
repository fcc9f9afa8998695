//! Decides between hits that overlap.

use std::collections::BTreeMap;

use super::{Found, Hit, Time};

/// Hits that overlap are decided about together, up to so many …
const GROUP: usize = 1 << 16;
/// … and from a first to a last place that are so far apart. Both bounds count hits and places, not windows.
const SPAN: u64 = 1 << 20;

/// Takes hits in order of their places and gives those that are packets.
///
/// Hits whose IP packets share no byte do not touch each other. Of those that do, as a group:
///
/// 1. A hit that lies wholly inside a sound one (all classes but fragment and mismatch) is a part of it: the
///    inner packet of a tunnel, the packet that an ICMP error quotes, a capture inside a transfer.
/// 2. The best class wins, then the longest packet, then the first.
///
/// A hit that has won loses its Ethernet header if that lies inside the packet before it.
#[derive(Debug, Default)]
pub struct Settler {
    group: Vec<Hit>,
    /// Where the group ends so far.
    reach: u64,
    /// Where the last packet that was given ends.
    done: u64,
    nanoseconds: bool,
    overlapped: u64,
}

impl Settler {
    /// Takes what comes next; appends what is decided about.
    pub fn push(&mut self, found: Found, out: &mut Vec<Hit>) {
        let mut hit = match found {
            Found::Packet(hit) => hit,
            Found::PcapFile { nanoseconds, .. } => {
                self.nanoseconds = nanoseconds;
                return;
            }
        };
        if let Time::Pcap(seconds, fraction) = hit.time {
            let unit = if self.nanoseconds || fraction >= 1_000_000 { 1 } else { 1000 };
            hit.time = Time::Known(i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * unit);
        }
        if let Some(first) = self.group.first() {
            if hit.at >= self.reach || self.group.len() >= GROUP || hit.at - first.at > SPAN {
                self.settle(out);
            }
        }
        if hit.at < self.done {
            self.overlapped += 1;
            return;
        }
        self.reach = self.reach.max(hit.end);
        self.group.push(hit);
    }

    /// Nothing more comes from before this place: decides about what ends before it.
    pub fn reached(&mut self, place: u64, out: &mut Vec<Hit>) {
        if place >= self.reach {
            self.settle(out);
        }
    }

    /// Nothing more comes.
    pub fn finish(&mut self, out: &mut Vec<Hit>) {
        self.settle(out);
    }

    /// The first byte that is still needed to write what is not decided about.
    pub fn needs(&self) -> Option<u64> {
        self.group.first().map(|hit| hit.start)
    }

    /// Hits that were a part of another one or lost against it.
    pub fn overlapped(&self) -> u64 {
        self.overlapped
    }

    fn settle(&mut self, out: &mut Vec<Hit>) {
        let before = out.len();
        let offered = self.group.len();
        if offered == 1 {
            out.append(&mut self.group);
        } else {
            decide(&mut self.group, out);
        }
        self.overlapped += (offered - (out.len() - before)) as u64;
        for hit in &mut out[before..] {
            if hit.start < self.done {
                hit.strip();
            }
            self.done = hit.end;
        }
        self.reach = 0;
    }
}

/// Empties a group, which is in order of the hits' places; appends the winners in the same order.
fn decide(group: &mut Vec<Hit>, out: &mut Vec<Hit>) {
    let mut sound_until = 0;
    group.retain(|hit| {
        let inside = hit.end <= sound_until;
        if hit.class.is_sound() {
            sound_until = sound_until.max(hit.end);
        }
        !inside
    });
    group.sort_by_key(|hit| (hit.class, u64::MAX - (hit.end - hit.at), hit.at));
    let mut taken: BTreeMap<u64, Hit> = BTreeMap::new();
    for hit in group.drain(..) {
        // Nobody who was taken begins inside of it, and whoever begins before it ends before it.
        let free = taken.range(..hit.end).next_back().is_none_or(|(_, last)| last.end <= hit.at);
        if free {
            taken.insert(hit.at, hit);
        }
    }
    out.extend(taken.into_values());
}
