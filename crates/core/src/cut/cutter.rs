//! Decides the fate of every packet of a file while the packets are counted.

use std::collections::HashMap;

use super::policy::{Behind, Fate, Policy};
use super::shares::Shares;
use crate::flow::{Flow, Listed, Listing, Observer, Packet, Side};

/// What became of a file's packets. Packets in = kept + cut, bytes likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets kept, shortened ones included.
    pub packets_kept: u64,
    /// Packets cut.
    pub packets_cut: u64,
    /// Of the packets kept, those whose headers alone were kept.
    pub packets_shortened: u64,
    /// Captured bytes kept.
    pub bytes_kept: u64,
    /// Captured bytes cut, those of shortened packets included.
    pub bytes_cut: u64,
    /// Flows that had packets in the file.
    pub flows: u64,
    /// Of these, flows that lost a packet or a part of one.
    pub flows_cut: u64,
}

/// The fate of a packet that had to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// Position of the packet in the traffic.
    pub pos: u64,
    /// What becomes of it.
    pub fate: Fate,
}

/// Fates that somebody else has decided about.
#[derive(Clone, Debug, Default)]
struct Given {
    /// Position of the first packet they are for.
    first: u64,
    fates: Vec<Fate>,
    /// Those of packets whose flow is not known yet.
    waiting: HashMap<u64, Fate>,
}

/// The observer that cuts.
#[derive(Clone, Debug)]
pub struct Cutter {
    policy: Policy,
    /// The policy again, and then with the cutoff of each class of flows.
    classes: Vec<Policy>,
    /// Per flow: its class + 1; 0 where nobody has said yet.
    class_of: Vec<u8>,
    /// What every flow will come to, by its number; from a first pass, for the tail.
    totals: Option<Vec<[u64; 2]>>,
    shares: Option<Shares>,
    /// Per flow: the last file in which it was seen and in which it was cut.
    marks: Vec<[u32; 2]>,
    file: u32,
    start: u64,
    /// Position before which all is kept, whatever the policy says.
    telling: u64,
    tally: Tally,
    given: Option<Given>,
    /// What is known of the packets behind a gap in the file.
    behind: Behind,
    /// By the ledger's rows of the file: the smallest cutoff so far, if it counts as the policy does.
    cutoffs: Vec<u64>,
    /// By the ledger's rows of the file: what the running totals come to by what is left.
    ends: Option<Vec<[Side; 2]>>,
    /// Fates of the packets fed since they were last taken, in order.
    pub fates: Vec<Fate>,
    /// Fates of packets that waited.
    pub late: Vec<Late>,
}

impl Given {
    fn of(&self, pos: u64) -> Fate {
        let at = pos.checked_sub(self.first).map(|at| at as usize);
        at.and_then(|at| self.fates.get(at)).copied().unwrap_or(Fate::Keep)
    }
}

impl Cutter {
    /// Cuts by this policy; `ledger` also keeps each flow's share per file.
    pub fn new(policy: Policy, ledger: bool) -> Self {
        Self {
            policy,
            classes: vec![policy],
            class_of: Vec::new(),
            totals: None,
            shares: ledger.then(Shares::default),
            marks: Vec::new(),
            file: 0,
            start: 0,
            telling: 0,
            tally: Tally::default(),
            given: None,
            behind: Behind::default(),
            cutoffs: Vec::new(),
            ends: None,
            fates: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Makes known what all flows come to, by their numbers, from a first pass over the same traffic.
    pub fn set_totals<'a>(&mut self, sides: impl Iterator<Item = &'a [Side; 2]>) {
        self.totals = Some(sides.map(|sides| self.policy.totals_of(sides)).collect());
    }

    /// Begins a file whose first packet has position `start`.
    pub fn begin_file(&mut self, start: u64) {
        self.file += 1;
        self.start = start;
        self.tally = Tally::default();
        self.fates.clear();
        self.late.clear();
        (self.behind, self.ends) = (Behind::default(), None);
        self.cutoffs.clear();
        if let Some(given) = &mut self.given {
            given.waiting.clear();
        }
        if let Some(shares) = &mut self.shares {
            shares.begin(start);
        }
    }

    /// The file begun is a trimmed one whose sessions these are, and this is known of what is left of them.
    /// `cutoffs` are the smallest ones so far, row by row, if they can be compared with the policy's. `ends` are the
    /// running counters of its rows at its end, if they have been measured.
    pub fn list(
        &mut self,
        listing: &Listing,
        behind: Behind,
        cutoffs: Vec<u64>,
        ends: Option<Vec<[Side; 2]>>,
    ) {
        self.behind = behind;
        self.cutoffs = cutoffs;
        self.ends = ends.filter(|ends| ends.len() == listing.rows().len());
        if let Some(shares) = &mut self.shares {
            shares.list(listing.rows().len());
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Gives classes of flows, from number 1, cutoffs of their own; class 0 has that of the policy. At most 254.
    pub fn set_classes(&mut self, cutoffs: impl IntoIterator<Item = u64>) {
        self.classes.truncate(1);
        self.classes.extend(cutoffs.into_iter().take(254).map(|cutoff| Policy { cutoff, ..self.policy }));
    }

    /// The class of a flow, if it has been said.
    #[inline]
    pub fn class(&self, n: u32) -> Option<u8> {
        self.class_of.get(n as usize).and_then(|class| class.checked_sub(1))
    }

    /// Says the class of a flow, for good.
    pub fn set_class(&mut self, n: u32, class: u8) {
        let n = n as usize;
        if n >= self.class_of.len() {
            self.class_of.resize(n + 1, 0);
        }
        self.class_of[n] = class.min(254) + 1;
    }

    /// The policy of a flow: that of its class.
    #[inline]
    pub fn policy_of(&self, n: u32) -> &Policy {
        let class = self.class(n).map_or(0, usize::from);
        self.classes.get(class).unwrap_or(&self.policy)
    }

    /// Keeps all packets before this position, because the file's format is told by them.
    pub fn keep_before(&mut self, pos: u64) {
        self.telling = pos;
    }

    /// Makes known the fates of the next packets, from position `first`, which are not the policy's to
    /// decide then. Each comes with its packet's captured length.
    pub fn give(&mut self, first: u64, fates: impl Iterator<Item = (Fate, u32)>) {
        let mut given = self.given.take().unwrap_or_default();
        given.first = first;
        given.fates.clear();
        for (fate, caplen) in fates {
            self.add(fate, caplen, 0);
            self.fates.push(fate);
            given.fates.push(fate);
        }
        self.given = Some(given);
    }

    /// What became of the file's packets so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The flows' shares in the file, if they are kept.
    pub fn shares(&self) -> Option<&Shares> {
        self.shares.as_ref()
    }

    /// Ends the wait of a packet because its file ends: nobody can hold the file back, so it is kept.
    pub fn give_up(&mut self, pos: u64, caplen: u32) {
        if pos >= self.start && self.given.is_none() {
            self.add(Fate::Keep, caplen, 0);
            self.late.push(Late { pos, fate: Fate::Keep });
        }
    }

    fn add(&mut self, fate: Fate, caplen: u32, header_len: u32) {
        let t = &mut self.tally;
        let caplen = u64::from(caplen);
        match fate {
            Fate::Keep => {
                t.packets_kept += 1;
                t.bytes_kept += caplen;
            }
            Fate::Cut => {
                t.packets_cut += 1;
                t.bytes_cut += caplen;
            }
            Fate::Shorten => {
                t.packets_kept += 1;
                t.packets_shortened += 1;
                t.bytes_kept += u64::from(header_len);
                t.bytes_cut += caplen - u64::from(header_len);
            }
            Fate::Wait => {}
        }
    }

    /// What the running totals of a listed session come to by what is left of it in this file, and by all
    /// that follows in others.
    fn end_of(&self, row: usize, at: &Listed, total: Option<[u64; 2]>) -> Option<[u64; 2]> {
        let end = self.policy.totals_of(self.ends.as_ref()?.get(row)?);
        let (total, here) = (total?, self.policy.totals_of(&at.end));
        let all = |dir: usize| end[dir].saturating_add(total[dir].saturating_sub(here[dir]));
        Some([all(0), all(1)])
    }

    fn mark(&mut self, n: u32, cut: bool) {
        let n = n as usize;
        if n >= self.marks.len() {
            self.marks.resize(n + 1, [0; 2]);
        }
        let [seen, lost] = &mut self.marks[n];
        if *seen != self.file {
            *seen = self.file;
            self.tally.flows += 1;
        }
        if cut && *lost != self.file {
            *lost = self.file;
            self.tally.flows_cut += 1;
        }
    }

    fn settle(&mut self, p: &Packet<'_>, fate: Fate, late: bool) {
        self.add(fate, p.caplen, p.facts.header_len);
        if late {
            self.late.push(Late { pos: p.pos, fate });
        } else {
            self.fates.push(fate);
        }
    }
}

impl Observer for Cutter {
    #[inline]
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool) {
        if p.pos < self.start {
            return; // it waited past the end of its file and was kept there
        }
        let fate = if let Some(given) = &mut self.given {
            given.waiting.remove(&p.pos).unwrap_or_else(|| given.of(p.pos))
        } else if p.pos < self.telling {
            Fate::Keep
        } else {
            let total = self.totals.as_ref().and_then(|t| t.get(n as usize)).copied();
            self.policy_of(n).fate(flow, p, total)
        };
        self.mark(n, !matches!(fate, Fate::Keep));
        if let Some(shares) = &mut self.shares {
            shares.note(n, flow, p, fate, self.policy.per_direction);
        }
        if self.given.is_none() {
            self.settle(p, fate, late);
        }
    }

    fn listed(&mut self, row: usize, at: &Listed, p: &Packet<'_>, late: bool) {
        let apart = self.policy.per_direction;
        let whole = |dir: usize| at.seen[dir] <= at.head[dir];
        let exact = if apart { whole(usize::from(p.facts.dir & 1)) } else { whole(0) && whole(1) };
        let fate = if let Some(given) = &mut self.given {
            given.waiting.remove(&p.pos).unwrap_or_else(|| given.of(p.pos))
        } else if p.pos < self.telling {
            Fate::Keep
        } else {
            let total = self.totals.as_ref().and_then(|t| t.get(at.flow as usize)).copied();
            let policy = self.policy_of(at.flow);
            if exact {
                policy.fate(&at.running, p, total)
            } else {
                let end = self.end_of(row, at, total);
                let last = self.cutoffs.get(row).copied();
                let known = Behind {
                    unchanged: self.behind.unchanged && last.is_none_or(|last| policy.cutoff >= last),
                    behind: last.is_some_and(|last| policy.cutoff <= last),
                    end,
                    ..self.behind
                };
                policy.fate_behind(&at.running, p, known)
            }
        };
        self.mark(at.flow, !matches!(fate, Fate::Keep));
        if let Some(shares) = &mut self.shares {
            shares.note_listed(row, p, fate, apart, exact);
        }
        if self.given.is_none() {
            self.settle(p, fate, late);
        }
    }

    fn waits(&mut self, p: &Packet<'_>) {
        if let Some(given) = &mut self.given {
            let fate = given.of(p.pos);
            given.waiting.insert(p.pos, fate);
        } else {
            self.fates.push(Fate::Wait);
        }
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        if p.pos >= self.start && self.given.is_none() {
            self.settle(p, Fate::Keep, late);
        }
    }
}
