//! The reader of one packet: bounds, depth, and what has been found so far.

use super::{anomaly, Class, Facts, FragKey, NoFlow, Options, Tunnel};

/// Headers that are read of one packet at most; a real one has about ten.
const MOST_LAYERS: u8 = 32;
/// Tunnels that are looked through at most: as many as [`Facts::tunnels`] holds.
const MOST_TUNNELS: u32 = 4;

/// A header is cut off or does not add up.
#[derive(Debug)]
pub(super) struct Bad;

pub(super) type Step = Result<(), Bad>;

/// One packet on its way through its layers. Offsets are counted from the start of the packet;
/// an `end` is where a layer's content ends by the length fields around it, which may be behind
/// the last captured byte.
pub(super) struct Reader<'a> {
    pub data: &'a [u8],
    pub options: Options,
    pub facts: Facts,
    pub frag: FragKey,
    layers: u8,
}

/// What is put back when a tunnel turns out to be none.
pub(super) struct Mark(Facts, FragKey, u8);

impl<'a> Reader<'a> {
    fn new(data: &'a [u8], options: Options) -> Self {
        let facts = Facts {
            reason: NoFlow::NotIp,
            wscale: super::NO_WSCALE,
            ip_at: Facts::NOWHERE,
            transport_at: Facts::NOWHERE,
            ..Facts::default()
        };
        Self { data, options, facts, frag: FragKey::default(), layers: 0 }
    }

    #[inline(always)]
    pub fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Bad> {
        self.data.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(Bad)
    }

    #[inline(always)]
    pub fn byte(&self, at: usize) -> Result<u8, Bad> {
        self.data.get(at).copied().ok_or(Bad)
    }

    #[inline(always)]
    pub fn u16(&self, at: usize) -> Result<u16, Bad> {
        self.array(at).map(u16::from_be_bytes)
    }

    #[inline(always)]
    pub fn u32(&self, at: usize) -> Result<u32, Bad> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// One more header is about to be read.
    #[inline(always)]
    pub fn deeper(&mut self) -> Step {
        self.layers += 1;
        if self.layers > MOST_LAYERS {
            self.facts.anomalies |= anomaly::TOO_DEEP;
            return Err(Bad);
        }
        Ok(())
    }

    /// What follows is inside a tunnel.
    pub fn through(&mut self, tunnel: Tunnel) -> Step {
        let depth = tunnels(self.facts.tunnels);
        if depth == MOST_TUNNELS {
            self.facts.anomalies |= anomaly::TOO_DEEP;
            return Err(Bad);
        }
        self.facts.tunnels |= (tunnel as u16) << (4 * depth);
        self.facts.reason = NoFlow::NotIp;
        Ok(())
    }

    /// Whether a tunnel was entered.
    pub fn inside(&self) -> bool {
        self.facts.tunnels != 0
    }

    pub fn mark(&self) -> Mark {
        Mark(self.facts, self.frag, self.layers)
    }

    /// Goes back to a mark; only the anomalies stay.
    pub fn back_to(&mut self, mark: &Mark) {
        let anomalies = self.facts.anomalies;
        (self.facts, self.frag, self.layers) = (mark.0, mark.1, mark.2);
        self.facts.anomalies |= anomalies;
    }

    /// The captured length, where a header that ends at `at` may be cut off.
    #[inline(always)]
    pub fn captured(&self, at: usize) -> u32 {
        at.min(self.data.len()) as u32
    }
}

fn tunnels(packed: u16) -> u32 {
    (16 - packed.leading_zeros()).div_ceil(4)
}

#[inline(always)]
fn run(link: u16, data: &[u8], wirelen: u32, options: Options) -> (Facts, FragKey) {
    let mut reader = Reader::new(data, options);
    // A wire length below the captured one is a lie; the bytes are there.
    let end = (wirelen as usize).max(data.len());
    let done = reader.link(link, 0, end);
    let mut facts = reader.facts;
    if done.is_err() {
        facts = Facts {
            reason: NoFlow::Malformed,
            vlan: facts.vlan,
            anomalies: facts.anomalies,
            wscale: super::NO_WSCALE,
            ip_at: Facts::NOWHERE,
            transport_at: Facts::NOWHERE,
            ..Facts::default()
        };
    }
    if data.len() > wirelen as usize {
        facts.anomalies |= anomaly::CAPLEN_OVER_WIRELEN;
    }
    if facts.reason != NoFlow::None {
        (facts.class, facts.key, facts.tunnels) = (Class::NoFlow, super::Key::default(), 0);
        (facts.ip_at, facts.transport_at) = (Facts::NOWHERE, Facts::NOWHERE);
    } else if options.key_vlan {
        facts.key.vlan = facts.vlan;
    }
    (facts, reader.frag)
}

/// Reads the headers of one packet of a link type.
///
/// `wirelen` is the packet's original length. Any bytes give an answer.
#[inline]
pub fn read(link: u16, data: &[u8], wirelen: u32, options: &Options) -> Facts {
    run(link, data, wirelen, *options).0
}

/// The datagram of a packet that is a fragment; `None` for any other packet.
#[cold]
pub fn fragment_key(link: u16, data: &[u8], wirelen: u32, options: &Options) -> Option<FragKey> {
    let (facts, key) = run(link, data, wirelen, *options);
    (facts.fragment || facts.class == Class::Continuation).then_some(key)
}
