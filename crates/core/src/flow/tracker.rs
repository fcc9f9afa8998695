//! Feeds packets to the table in order and sees to the fragments.

use super::fragments::{orphan_key, At, Early, First, Fragments, AFTER_PACKETS, BEFORE_PACKETS, CAPACITY};
use super::listed::{Listed, Listing};
use super::session::{Flow, Packet, Rules};
use super::table::{Left, Table, NONE};
use crate::packet::{Class, FragKey, Seed};

/// Is told of every packet when it is counted. This is where a cut is decided.
pub trait Observer {
    /// The packet was counted to flow `n`, which is given as it is afterwards. `late`: it is not the packet
    /// that was fed just now, but a fragment that had to wait.
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool);
    /// The packet just fed is a fragment that waits; it will be counted later.
    fn waits(&mut self, p: &Packet<'_>);
    /// The packet belongs to no flow, or its flow found no place in the table.
    fn aside(&mut self, p: &Packet<'_>, late: bool);
    /// The next packet stands in a frame of this link type.
    #[inline]
    fn frame(&mut self, _: u16) {}

    /// The packet is one of those that are left of a session that was counted from a ledger: that of row `row`.
    fn listed(&mut self, _row: usize, at: &Listed, p: &Packet<'_>, late: bool) {
        self.counted(at.flow, &at.running, p, late);
    }
}

/// Two observers that see the same.
impl<A: Observer, B: Observer> Observer for (&mut A, &mut B) {
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool) {
        self.0.counted(n, flow, p, late);
        self.1.counted(n, flow, p, late);
    }

    fn waits(&mut self, p: &Packet<'_>) {
        self.0.waits(p);
        self.1.waits(p);
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        self.0.aside(p, late);
        self.1.aside(p, late);
    }

    fn frame(&mut self, link: u16) {
        self.0.frame(link);
        self.1.frame(link);
    }

    fn listed(&mut self, row: usize, at: &Listed, p: &Packet<'_>, late: bool) {
        self.0.listed(row, at, p, late);
        self.1.listed(row, at, p, late);
    }
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn counted(&mut self, _: u32, _: &Flow, _: &Packet<'_>, _: bool) {}
    fn waits(&mut self, _: &Packet<'_>) {}
    fn aside(&mut self, _: &Packet<'_>, _: bool) {}
}

/// The state of all flows at a point of the traffic: table, fragments, position.
///
/// It is a piece's summary and, when the piece began at the start, the *carry* that the
/// next piece needs to be cut exactly.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub(crate) table: Table,
    pub(crate) fragments: Fragments,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Names of the first flows, by their numbers: see [`Tracker::name`].
    pub(crate) names: Vec<u64>,
    /// The last piece that was merged is a trimmed file whose first packet has this position: what still waits of it
    /// when the traffic ends was counted by its rows.
    pub(crate) told_from: Option<u64>,
    /// The sessions of the file that is being read, where a ledger tells them.
    pub(crate) listing: Option<Box<Listing>>,
}

impl Tracker {
    /// Nothing seen yet.
    pub fn new(rules: Rules, left: Left, seed: Seed) -> Self {
        Self {
            table: Table::new(rules, left, seed),
            fragments: Fragments::default(),
            packets: 0,
            bytes: 0,
            names: Vec::new(),
            told_from: None,
            listing: None,
        }
    }

    /// The flows.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The flows, to be changed by the ledger.
    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Packets fed so far: the position of the next one.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Captured bytes fed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next packets are what is left of these sessions, which the table has counted already.
    pub fn list(&mut self, listing: Listing) {
        self.listing = Some(Box::new(listing));
    }

    /// Packets are those of whole files again. Gives back what was listed.
    pub fn end_listing(&mut self) -> Option<Listing> {
        self.listing.take().map(|listing| *listing)
    }

    /// The flows, taken out.
    pub fn into_table(self) -> Table {
        self.table
    }

    /// Moves on over packets that are known only from a ledger.
    pub fn skip(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }

    /// Fragments that found no place in the bounded fragment tables.
    pub fn fragments_overflow(&self) -> u64 {
        self.fragments.overflow
    }

    /// Feeds the next packet. `p.pos` is set here.
    #[inline]
    pub fn feed(&mut self, mut p: Packet<'_>, hash: u64, frag: Option<&FragKey>, o: &mut impl Observer) {
        p.pos = self.packets;
        if !self.fragments.idle() {
            while let Some(early) = self.fragments.overdue(self.packets, self.bytes) {
                self.orphan(&early, true, o);
            }
        }
        match p.facts.class {
            Class::NoFlow => o.aside(&p, false),
            Class::Flow => {
                let n = self.place(&p, hash, false, o);
                if let Some(key) = frag {
                    self.first_fragment(key, n, &p, o);
                }
            }
            Class::Continuation => self.later_fragment(frag, &p, o),
        }
        self.packets += 1;
        self.bytes += u64::from(p.caplen);
    }

    /// The traffic ends here: fragments that still wait are orphans.
    pub fn finish(&mut self, o: &mut impl Observer) {
        while let Some(early) = self.fragments.pop() {
            self.orphan(&early, true, o);
        }
    }

    /// Positions and captured lengths of the fragments that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.fragments.waiting().map(|e| (e.at.pos, e.caplen))
    }

    /// Gives a packet to its flow.
    #[inline]
    fn place(&mut self, p: &Packet<'_>, hash: u64, late: bool, o: &mut impl Observer) -> u32 {
        if self.listing.is_some() {
            return self.place_listed(p, hash, late, o);
        }
        let n = self.table.place(p, hash);
        self.tell(n, p, late, o);
        n
    }

    #[cold]
    fn place_listed(&mut self, p: &Packet<'_>, hash: u64, late: bool, o: &mut impl Observer) -> u32 {
        match &mut self.listing {
            Some(listing) if p.pos >= listing.start => {
                let row = listing.place(p);
                self.tell_listed(row, p, late, o)
            }
            _ => {
                let n = self.table.place(p, hash);
                self.tell(n, p, late, o);
                n
            }
        }
    }

    /// A packet that no row tells of had no flow in the whole file either: it is untracked.
    fn tell_listed(&mut self, row: Option<usize>, p: &Packet<'_>, late: bool, o: &mut impl Observer) -> u32 {
        let found = row.and_then(|at| self.listing.as_ref().map(|listing| (at, listing.rows()[at])));
        match found {
            Some((at, row)) if row.flow != NONE => {
                o.listed(at, &row, p, late);
                row.flow
            }
            found => {
                // The packets of a row without a place were counted when the row was.
                self.table.add_untracked(u64::from(found.is_none()));
                o.aside(p, late);
                NONE
            }
        }
    }

    fn tell(&self, n: u32, p: &Packet<'_>, late: bool, o: &mut impl Observer) {
        if n == NONE {
            o.aside(p, late);
        } else {
            o.counted(n, self.table.flow(n), p, late);
        }
    }

    fn at(&self, p: &Packet<'_>) -> At {
        At { pos: self.packets, bytes: self.bytes, ts: p.ts }
    }

    #[cold]
    fn first_fragment(&mut self, key: &FragKey, n: u32, p: &Packet<'_>, o: &mut impl Observer) {
        let first = First { at: self.at(p), flow: n };
        if self.table.left() == Left::Open {
            if self.packets < AFTER_PACKETS {
                self.fragments.heads.entry(*key).or_insert(first);
            }
            for early in &mut self.fragments.undecided {
                if early.key == *key && early.after.is_none() {
                    early.after = Some(if early.at.precedes(first.at) { n } else { NONE });
                }
            }
        }
        for early in self.fragments.release(key, first.at) {
            self.share(n, &early.packet(), true, o);
        }
        self.fragments.learn(*key, first);
    }

    #[cold]
    fn later_fragment(&mut self, frag: Option<&FragKey>, p: &Packet<'_>, o: &mut impl Observer) {
        let Some(key) = frag else {
            return o.aside(p, false);
        };
        let at = self.at(p);
        let before = self.fragments.before(key, at);
        if let Ok(Some(n)) = before {
            return self.share(n, p, false, o);
        }
        let early =
            Early { key: *key, facts: *p.facts, at, caplen: p.caplen, wirelen: p.wirelen, after: None };
        o.waits(p);
        let open = self.table.left() == Left::Open && self.packets <= BEFORE_PACKETS;
        if open && before == Ok(None) {
            if self.fragments.undecided.len() < CAPACITY {
                self.fragments.undecided.push(early);
                return;
            }
            self.fragments.overflow += 1;
        }
        if let Some(bumped) = self.fragments.wait(early) {
            self.orphan(&bumped, true, o);
        }
    }

    /// Counts a later fragment to the flow of its datagram.
    pub(crate) fn share(&mut self, n: u32, p: &Packet<'_>, late: bool, o: &mut impl Observer) {
        if let Some(listing) = self.listing.as_mut().filter(|l| n != NONE && p.pos >= l.start) {
            let row = listing.share(n, p);
            self.tell_listed(row, p, late, o);
            return;
        }
        if n == NONE {
            self.table.add_untracked(1);
        } else {
            self.table.flow_mut(n).count_share(p);
        }
        self.tell(n, p, late, o);
    }

    /// Counts a fragment that never met its first one.
    pub(crate) fn orphan(&mut self, early: &Early, late: bool, o: &mut impl Observer) {
        let mut facts = early.facts;
        facts.key = orphan_key(&facts.key);
        let p = Packet { facts: &facts, ..early.packet() };
        let hash = facts.key.hash(self.table.seed());
        self.place(&p, hash, late, o);
    }
}
