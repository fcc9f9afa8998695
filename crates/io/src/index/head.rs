//! What an index says about its capture as a whole.

use flowkeep_core::error::{Damage, DamageKind};
use flowkeep_core::flow::Rules;
use flowkeep_core::packet::{anomaly, NoFlow, Options};
use flowkeep_core::pipe::Stats;
use flowkeep_core::record::{Interface, TsResol};

use super::bytes::{Broken, Get, Put};
use super::flows::BLOCK;
use super::stamp::Stamp;
use crate::codec::Compression;
use crate::dataset::{FileReport, LedgerUse};

/// Bytes of a head at most: interfaces and blocks make it large.
pub const MOST: usize = 32 << 20;

/// The first part of an index.
#[derive(Clone, Debug)]
pub struct Head {
    /// By what the capture is known.
    pub stamp: Stamp,
    /// SHA-256 of the whole file, hex.
    pub digest: String,
    /// How headers were read.
    pub options: Options,
    /// Where sessions end.
    pub rules: Rules,
    /// What was found in the capture.
    pub report: FileReport,
    /// Its records can be read from their places.
    pub places: bool,
    /// Flows stand in the order of their first packets, so that their numbers are their ids.
    pub plain: bool,
    /// Runs of blocks that are no packets.
    pub gaps: u64,
    /// Per block: flows, and packets that lie in the capture.
    pub blocks: Vec<(u32, u64)>,
    /// Version of flowkeep that wrote it.
    pub writer: String,
}

const FORMATS: [&str; 9] = [
    "pcap",
    "pcap-ns",
    "pcapng",
    "pcap-modified",
    "pcap-modified-28",
    "pcap-nokia",
    "pcap-ixia",
    "pcap-ixia-ns",
    "pcap-aix",
];
const DAMAGE: [DamageKind; 5] = [
    DamageKind::Truncated,
    DamageKind::BadLength,
    DamageKind::BadBlock,
    DamageKind::Limit,
    DamageKind::Compression,
];

impl Head {
    /// Why flows listed with these settings may differ from those in the index.
    pub fn other_settings(&self, options: Options, rules: Rules) -> Option<String> {
        let mut names = Vec::new();
        for (same, name) in [
            (self.rules.idle_ns == rules.idle_ns, "--idle"),
            (self.rules.tcp_idle_ns == rules.tcp_idle_ns, "--tcp-idle"),
            (self.options.outer == options.outer, "--outer"),
            (self.options.key_vlan == options.key_vlan, "--key"),
            (self.rules.max_flows == rules.max_flows || self.unbounded(rules), "--max-flows"),
        ] {
            if !same {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| format!("it was made with another {}", names.join(", ")))
    }

    /// Neither bound on the flows was met.
    fn unbounded(&self, rules: Rules) -> bool {
        let flows: u64 = self.blocks.iter().map(|b| u64::from(b.0)).sum();
        self.report.untracked == 0 && flows <= u64::from(rules.max_flows)
    }

    /// The head as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut put = Put::default();
        let r = &self.report;
        self.stamp.put(&mut put);
        put.bytes(self.digest.as_bytes());
        put.bytes(self.writer.as_bytes());
        put.number(u64::from(self.options.outer) | u64::from(self.options.key_vlan) << 1);
        put.signed(self.rules.idle_ns);
        put.signed(self.rules.tcp_idle_ns);
        put.number(self.rules.max_flows.into());
        put.bytes(r.format.as_bytes());
        put.maybe(r.compression.map(Compression::name));
        put.number(r.size);
        put.number(r.bytes);
        put.number(r.sections.into());
        put.number(r.untracked);
        put.number(r.fragments_overflow);
        put.number(r.interfaces.len() as u64);
        for i in &r.interfaces {
            put.number(i.link.into());
            put.number(i.snaplen.into());
            put.number(i.ts_resol.raw().into());
            put.signed(i.ts_offset);
            put.number(i.section.into());
            put.maybe(i.name.as_deref());
        }
        match &r.damage {
            None => put.number(0),
            Some(damage) => {
                let kind = DAMAGE.iter().position(|k| *k == damage.kind).unwrap_or(0);
                put.number(kind as u64 + 1);
                put.number(damage.offset);
                put.bytes(damage.detail.as_bytes());
            }
        }
        stats(&mut put, &r.stats);
        put.number(u64::from(self.places) | u64::from(self.plain) << 1);
        put.number(self.gaps);
        put.number(self.blocks.len() as u64);
        for &(flows, packets) in &self.blocks {
            put.number(flows.into());
            put.number(packets);
        }
        put.0
    }

    /// The head of these bytes, with fewer blocks than there are `parts`.
    pub fn decode(bytes: &[u8], parts: usize) -> Result<Self, Broken> {
        let mut get = Get(bytes);
        let stamp = Stamp::get(&mut get)?;
        let (digest, writer) = (get.text()?, get.text()?);
        let bits = get.number()?;
        let options = Options { outer: bits & 1 != 0, key_vlan: bits & 2 != 0 };
        let rules = Rules { idle_ns: get.signed()?, tcp_idle_ns: get.signed()?, max_flows: get.small()? };
        let format = get.text()?;
        let format = FORMATS.into_iter().find(|f| *f == format).ok_or(Broken("its format is unknown"))?;
        let compression = match get.maybe()? {
            None => None,
            Some(name) => Some(Compression::by_name(&name).ok_or(Broken("its compression is unknown"))?),
        };
        let (size, capture, sections) = (get.number()?, get.number()?, get.small()?);
        let (untracked, fragments_overflow) = (get.number()?, get.number()?);
        let mut interfaces = Vec::new();
        for _ in 0..get.small::<u16>()? {
            interfaces.push(Interface {
                link: get.small()?,
                snaplen: get.small()?,
                ts_resol: TsResol::from_raw(get.small()?),
                ts_offset: get.signed()?,
                section: get.small()?,
                name: get.maybe()?,
            });
        }
        let damage = match get.small::<usize>()? {
            0 => None,
            kind => Some(Damage {
                kind: *DAMAGE.get(kind - 1).ok_or(Broken("a kind of damage is unknown"))?,
                offset: get.number()?,
                detail: get.text()?,
            }),
        };
        let stats = read_stats(&mut get)?;
        let bits = get.number()?;
        let (places, plain) = (bits & 1 != 0, bits & 2 != 0);
        let gaps = get.number()?;
        let mut blocks = Vec::new();
        let count = get.small::<usize>()?;
        if count >= parts {
            return Err(Broken("there are more blocks than parts"));
        }
        for _ in 0..count {
            let (flows, packets) = (get.small::<u32>()?, get.number()?);
            if flows == 0 || flows as usize > BLOCK {
                return Err(Broken("a block has none or too many flows"));
            }
            blocks.push((flows, packets));
        }
        get.end()?;
        let report = FileReport {
            refusals: Vec::new(),
            format,
            compression,
            size,
            bytes: capture,
            stats,
            sections,
            interfaces,
            untracked,
            fragments_overflow,
            damage,
            ledger: LedgerUse::None,
        };
        Ok(Self { stamp, digest, options, rules, report, places, plain, gaps, blocks, writer })
    }
}

fn stats(put: &mut Put, s: &Stats) {
    for n in [s.packets, s.bytes, s.wire, s.backwards] {
        put.number(n);
    }
    for pair in [s.span, s.ends] {
        put.number(pair.is_some().into());
        if let Some((a, b)) = pair {
            put.signed(a);
            put.signed(b);
        }
    }
    put.number(s.links.len() as u64);
    for &(link, n) in &s.links {
        put.number(link.into());
        put.number(n);
    }
    s.no_flow.iter().for_each(|n| put.number(*n));
    s.anomalies.iter().for_each(|n| put.number(*n));
}

fn read_stats(get: &mut Get<'_>) -> Result<Stats, Broken> {
    let mut s = Stats {
        packets: get.number()?,
        bytes: get.number()?,
        wire: get.number()?,
        backwards: get.number()?,
        ..Stats::default()
    };
    for pair in [&mut s.span, &mut s.ends] {
        if get.number()? == 1 {
            *pair = Some((get.signed()?, get.signed()?));
        }
    }
    for _ in 0..get.small::<u16>()? {
        s.links.push((get.small()?, get.number()?));
    }
    for i in 0..NoFlow::ALL.len() {
        s.no_flow[i] = get.number()?;
    }
    for i in 0..anomaly::NAMES.len() {
        s.anomalies[i] = get.number()?;
    }
    Ok(s)
}
