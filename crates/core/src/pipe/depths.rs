//! Which flows have cutoffs of their own.
//!
//! A flow's class is the first rule that fits it, when its first packet is counted. What a rule asks for must
//! be known then: addresses, ports and VLANs are, and services are from a first pass or a ledger.

use std::collections::HashSet;

use crate::cut::Cutter;
use crate::flow::community::{community_id, LEN};
use crate::flow::{Flow, Listed, Observer, Packet};
use crate::packet::Key;
use crate::select::{FlowFilter, FlowVerdict, Part};

/// What a rule asks of a flow.
#[derive(Clone, Debug)]
pub enum Which {
    /// A filter on flows.
    Filter(FlowFilter),
    /// One of these Community IDs, with seed 0.
    Communities(HashSet<[u8; LEN]>),
    /// One of its ends has one of these addresses: version of IP, and the address as in a key.
    Hosts(HashSet<(u8, [u8; 16])>),
    /// It speaks this: a place in [`Depths::services`].
    Service(u16),
}

/// The rules, and what is known of the flows.
#[derive(Clone, Debug, Default)]
pub struct Depths {
    /// And whether a flow that may fit is taken to.
    rules: Vec<(Which, bool)>,
    /// Per flow: a place in the services + 1, 0 where it is not known.
    spoken: Vec<u16>,
    services: Vec<String>,
    /// The first rule that could not be decided, and what it asks for.
    undecided: Option<(usize, Part)>,
}

impl Depths {
    /// These rules, each with whether a flow that may fit is taken to; the first one that fits counts.
    pub fn new(rules: Vec<(Which, bool)>, services: Vec<String>) -> Self {
        Self { rules, services, ..Self::default() }
    }

    /// Names of services that somebody asks for or that are known.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// The place of a service in the list, in which it is put if there is room.
    pub fn place(&mut self, name: &str) -> Option<u16> {
        let found = self.services.iter().position(|known| known == name);
        if found.is_none() && self.services.len() < usize::from(u16::MAX) - 1 {
            self.services.push(name.to_owned());
            return Some(self.services.len() as u16 - 1);
        }
        found.map(|at| at as u16)
    }

    /// A flow speaks this service.
    pub fn set_service(&mut self, n: u32, service: u16) {
        let n = n as usize;
        if n >= self.spoken.len() {
            self.spoken.resize(n + 1, 0);
        }
        self.spoken[n] = service + 1;
    }

    /// What a flow speaks.
    pub fn service(&self, n: u32) -> Option<u16> {
        self.spoken.get(n as usize).and_then(|service| service.checked_sub(1))
    }

    /// The first rule that asked for what a flow does not have, and for what.
    pub fn undecided(&self) -> Option<(usize, Part)> {
        self.undecided
    }

    /// The class of a flow: the number of the rule that fits it, from 1; 0: none does.
    fn class(&mut self, n: u32, flow: &Flow) -> u8 {
        for at in 0..self.rules.len() {
            let (which, gently) = &self.rules[at];
            let fits = match which {
                Which::Filter(filter) => match filter.verdict(flow) {
                    FlowVerdict::Match => true,
                    FlowVerdict::NoMatch => false,
                    FlowVerdict::Undecided(_) if *gently => true,
                    FlowVerdict::Undecided(part) => {
                        self.undecided.get_or_insert((at, part));
                        false
                    }
                },
                Which::Communities(ids) => community_id(flow, 0).is_some_and(|id| ids.contains(&id)),
                Which::Hosts(hosts) => {
                    let version = flow.key.version & !Key::ORPHAN;
                    hosts.contains(&(version, flow.key.lo)) || hosts.contains(&(version, flow.key.hi))
                }
                Which::Service(service) => self.service(n).is_some_and(|spoken| self.is(spoken, *service)),
            };
            if fits {
                return (at + 1).min(254) as u8;
            }
        }
        0
    }

    /// Whether what is spoken is the service that is asked for, or is carried by it: `http/websocket` is `http`.
    fn is(&self, spoken: u16, asked: u16) -> bool {
        let name = |at: u16| self.services.get(usize::from(at)).map_or("", String::as_str);
        let rest = name(spoken).strip_prefix(name(asked));
        spoken == asked || rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The cutter, told of the classes of flows before it decides.
pub(super) struct WithDepths<'a>(pub &'a mut Depths, pub &'a mut Cutter);

impl WithDepths<'_> {
    #[inline]
    fn know(&mut self, n: u32, flow: &Flow) {
        if self.1.class(n).is_none() {
            let class = self.0.class(n, flow);
            self.1.set_class(n, class);
        }
    }
}

impl Observer for WithDepths<'_> {
    #[inline]
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool) {
        self.know(n, flow);
        self.1.counted(n, flow, p, late);
    }

    fn listed(&mut self, row: usize, at: &Listed, p: &Packet<'_>, late: bool) {
        self.know(at.flow, &at.running);
        self.1.listed(row, at, p, late);
    }

    fn waits(&mut self, p: &Packet<'_>) {
        self.1.waits(p);
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        self.1.aside(p, late);
    }
}
