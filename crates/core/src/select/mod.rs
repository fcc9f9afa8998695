//! Which packets are looked at at all (classic BPF programs, one per link type), and which flows are wanted.
//!
//! A program is what libpcap compiles a filter expression to. It is decoded and verified once
//! ([`Program::decode`]) and then run over every packet, on any thread, without allocating.
//!
//! ```
//! use flowkeep_core::select::{Filter, Program, Rule, Verdict};
//!
//! // "greater 60" as libpcap compiles it: ld #pktlen; jge #60, accept; ret #0; ret #262144.
//! let code: [(u16, u8, u8, u32); 4] = [(0x80, 0, 0, 0), (0x35, 1, 0, 60), (6, 0, 0, 0), (6, 0, 0, 262_144)];
//! let bytes: Vec<u8> = code
//!     .iter()
//!     .flat_map(|&(code, jt, jf, k)| [&code.to_le_bytes()[..], &[jt, jf], &k.to_le_bytes()].concat())
//!     .collect();
//! let filter = Filter::new([(1, Rule::Program(Program::decode(&bytes).unwrap()))]);
//! assert_eq!(filter.verdict(1, &[0; 20], 60), Verdict::Match);
//! assert_eq!(filter.verdict(1, &[0; 20], 59), Verdict::NoMatch);
//! assert_eq!(filter.verdict(101, &[0; 20], 60), Verdict::Refused);
//! ```

mod chosen;
mod flows;
mod partly;
mod program;
mod run;

#[cfg(test)]
mod chosen_tests;
#[cfg(test)]
mod partly_tests;
#[cfg(test)]
mod select_tests;

pub use chosen::{Chosen, Sessions, UNCHOSEN};
pub use flows::{FlowFilter, FlowVerdict, Part};
pub use partly::{Known, Partly, LENGTH};
pub use program::{BadProgram, Program, MAX_INSTRUCTIONS};

/// What is done with the packets of one link type.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Run this program.
    Program(Program),
    /// The link header is an address family in the byte order of whoever wrote it (BSD loopback): run the
    /// program that was made for the order of the packet.
    Family {
        /// For families in little-endian order.
        little: Program,
        /// For families in big-endian order.
        big: Program,
    },
    /// The expression makes no sense for this link type, for this reason: no packet matches.
    Refused(String),
}

/// What a filter says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It matches.
    Match,
    /// It does not.
    NoMatch,
    /// It does not, because the filter cannot be applied to packets of its link type.
    Refused,
}

/// A filter: a rule for each link type.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rules: Vec<Rule>,
    /// Per link type: place in `rules` + 1, 0 where there is none.
    places: Vec<u16>,
}

impl Filter {
    /// A filter of these rules by link type (the LINKTYPE registry's numbers). Of several for one link type the
    /// last one holds.
    pub fn new(rules: impl IntoIterator<Item = (u16, Rule)>) -> Self {
        let mut filter = Self::default();
        for (link, rule) in rules {
            let link = usize::from(link);
            if link >= filter.places.len() {
                filter.places.resize(link + 1, 0);
            }
            match filter.places[link] {
                0 => {
                    filter.rules.push(rule);
                    filter.places[link] = filter.rules.len() as u16;
                }
                place => filter.rules[usize::from(place) - 1] = rule,
            }
        }
        filter
    }

    /// The rule for a link type.
    #[inline]
    pub fn rule(&self, link: u16) -> Option<&Rule> {
        let place = *self.places.get(usize::from(link))?;
        self.rules.get(usize::from(place).checked_sub(1)?)
    }

    /// Why the filter cannot be applied to a link type; `None` where it can.
    pub fn refusal(&self, link: u16) -> Option<&str> {
        match self.rule(link) {
            None => Some("libpcap has no filters for this link type"),
            Some(Rule::Refused(why)) => Some(why),
            Some(_) => None,
        }
    }

    /// What the filter says of a packet: its captured bytes and its length on the wire.
    #[inline]
    pub fn verdict(&self, link: u16, data: &[u8], wirelen: u32) -> Verdict {
        let program = match self.rule(link) {
            Some(Rule::Program(program)) => program,
            Some(Rule::Family { little, big }) => match data.first_chunk() {
                Some(family) if u32::from_le_bytes(*family) > 0xffff => big,
                _ => little,
            },
            Some(Rule::Refused(_)) | None => return Verdict::Refused,
        };
        if program.run(data, wirelen) == 0 {
            Verdict::NoMatch
        } else {
            Verdict::Match
        }
    }
}
