//! What a reader wants.

use std::collections::HashSet;

use crate::flow::community::{community_id, LEN};
use crate::flow::Flow;
use crate::packet::Key;
use crate::select::Filter;

/// Which packets a reader wants, and how.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Packets that this filter lets through.
    pub filter: Option<Filter>,
    /// Packets of this time (ns) or later.
    pub since: Option<i64>,
    /// Packets of this time (ns) or earlier.
    pub until: Option<i64>,
    /// Packets of these flows.
    pub flows: Option<Wanted>,
    /// Goes on with what comes after the snapshot, until it is [stopped](super::Store::stop).
    pub follow: bool,
    /// How they are written.
    pub format: Format,
}

/// The format of what is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// pcapng, with interfaces, statistics and comments.
    #[default]
    Pcapng,
    /// pcap with nanoseconds, of one link type.
    Pcap,
}

/// Flows that are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By their ends.
    pub patterns: Vec<Pattern>,
    /// By their Community IDs (seed 0).
    pub communities: HashSet<[u8; LEN]>,
    /// By their numbers in the store: [`Flow::first`].
    pub numbers: HashSet<u64>,
}

/// Flows between two ends, whichever of them is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// IP protocol number; `None`: any.
    pub proto: Option<u8>,
    /// 4 or 6.
    pub version: u8,
    /// Address and port of both; a port that is `None` is any.
    pub ends: [([u8; 16], Option<u16>); 2],
}

impl Pattern {
    fn holds(&self, key: &Key) -> bool {
        let is = |end: &([u8; 16], Option<u16>), address: &[u8; 16], port: u16| {
            end.0 == *address && end.1.is_none_or(|p| p == port)
        };
        let [a, b] = &self.ends;
        key.version & !Key::ORPHAN == self.version
            && self.proto.is_none_or(|p| p == key.proto)
            && ((is(a, &key.lo, key.lo_port) && is(b, &key.hi, key.hi_port))
                || (is(b, &key.lo, key.lo_port) && is(a, &key.hi, key.hi_port)))
    }
}

impl Wanted {
    /// Whether a flow is one of them.
    pub fn holds(&self, flow: &Flow) -> bool {
        self.numbers.contains(&flow.first)
            || self.patterns.iter().any(|p| p.holds(&flow.key))
            || (!self.communities.is_empty()
                && community_id(flow, 0).is_some_and(|id| self.communities.contains(&id)))
    }
}

/// What a step of a reader did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There may be more at once.
    More,
    /// There is nothing more now; it follows what comes.
    Wait,
    /// The end.
    End,
}
