//! Whole runs over any bytes.

use std::io;

use flowkeep_core::cut::{Count, Fate, Policy, Rest, Tally};
use flowkeep_core::error::Damage;
use flowkeep_core::flow::{Details, Rules};
use flowkeep_core::identify::flows::COLUMNS;
use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::pipe::{
    run, Chunk, Control, Decide, Input, Passes, Plan, ReadAt, Scan, Stats, Stop, Trim, Writer,
};

use super::note;
use super::record::{bytes, walk};
use crate::mutate::Rng;

struct Bytes<'a>(&'a [u8]);

impl ReadAt for Bytes<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = &self.0[(offset as usize).min(self.0.len())..];
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// How a capture is read.
#[derive(Clone, Copy)]
struct How {
    options: Options,
    jobs: usize,
    chunk: usize,
    stream: bool,
}

/// Decides as `Trim`, and remembers the fates and how many bytes of each packet shall stay.
struct Spy {
    trim: Trim,
    fates: Vec<(Fate, u32)>,
}

impl Decide for Spy {
    fn decide(&mut self, chunk: &mut Chunk) {
        self.trim.decide(chunk);
        assert_eq!(chunk.fates.len(), chunk.records.len());
        self.fates
            .extend(chunk.fates.iter().zip(&chunk.facts).map(|(fate, facts)| (*fate, facts.header_len)));
        for late in &chunk.late {
            self.fates[late.pos as usize].0 = late.fate;
        }
    }
}

#[derive(Debug, PartialEq)]
struct Trimmed {
    out: Vec<u8>,
    fates: Vec<(Fate, u32)>,
    tally: Tally,
    whole: (u64, u64),
    flows: Vec<String>,
    stats: Stats,
    damage: Option<Damage>,
}

fn pass(data: &[u8], how: How, passes: Passes<'_>) -> Option<(Stats, Option<Damage>)> {
    let plan =
        Plan { options: how.options, filter: None, seed: Seed(1, 2), jobs: how.jobs, chunk: how.chunk };
    let (at, mut pipe) = (Bytes(data), data);
    let input = if how.stream { Input::Stream(&mut pipe) } else { Input::At(&at, data.len() as u64) };
    match run(input, &plan, passes, &Control::default()) {
        Ok(end) => Some((end.stats, end.damage)),
        Err(Stop::NotACapture(_)) => None,
        Err(stop) => panic!("{stop}"),
    }
}

fn trim(data: &[u8], rules: Rules, policy: Policy, how: How) -> Option<Trimmed> {
    let mut spy = Spy { trim: Trim::new(rules, Seed(1, 2), policy, false), fates: Vec::new() };
    spy.trim.begin_file();
    let mut writer = Writer::new(Vec::new());
    let (stats, damage) = pass(data, how, Passes { decide: &mut spy, emit: Some(&mut writer) })?;
    let late = spy.trim.end_file(true);
    for late in &late {
        spy.fates[late.pos as usize].0 = late.fate;
    }
    let tally = *spy.trim.cutter.tally();
    let Ok((out, whole)) = writer.finish(&late) else { panic!("writing into memory failed") };
    let flows = spy.trim.tracker.into_table().iter().map(|f| format!("{f:?}")).collect();
    Some(Trimmed { out, fates: spy.fates, tally, whole, flows, stats, damage })
}

fn policy(rng: &mut Rng) -> Policy {
    Policy {
        cutoff: *rng.pick(&[0, 60, 150, 1000, u64::MAX]),
        count: *rng.pick(&[Count::Frame, Count::Wire, Count::Payload]),
        per_direction: rng.below(4) == 0,
        keep_control: rng.below(2) == 0,
        rest: *rng.pick(&[Rest::Cut, Rest::Cut, Rest::Headers, Rest::Headers, Rest::Sample(2)]),
        tail: 0,
    }
}

/// What is kept is what was decided about, it reads back, and neither threads nor chunks matter.
pub fn pipe(data: &[u8], notes: &mut Vec<u64>) {
    let mut rng = Rng::of(data);
    let options = Options { outer: rng.below(4) == 0, key_vlan: rng.below(4) == 0 };
    let rules = Rules { max_flows: *rng.pick(&[1, 3, 1 << 20]), ..Rules::default() };
    let (policy, one) = (policy(&mut rng), How { options, jobs: 1, chunk: 1 << 20, stream: false });
    let Some(trimmed) = trim(data, rules, policy, one) else { return };
    let (jobs, chunk) = (1 + rng.below(4), *rng.pick(&[1, 20, 64, 300, 3000, 70_000]));
    let many = How { jobs, chunk, stream: rng.below(2) == 0, ..one };
    assert_same(&trimmed, trim(data, rules, policy, many).as_ref());

    let mut scan = Scan::new(rules, Seed(1, 2), vec![0, 100, 1000]);
    scan.details = Some(Details::default());
    scan.identified = Some(Box::default());
    let end = pass(data, many, Passes { decide: &mut scan, emit: None });
    assert_eq!(end, Some((trimmed.stats.clone(), trimmed.damage.clone())), "the scan's counts");
    scan.finish();
    let mut alone = Scan::new(rules, Seed(1, 2), Vec::new());
    alone.details = Some(Details::default());
    alone.identified = Some(Box::default());
    pass(data, one, Passes { decide: &mut alone, emit: None });
    alone.finish();
    assert_eq!(details(&scan), details(&alone), "threads and chunks change the details");
    assert_eq!(services(&scan), services(&alone), "threads and chunks change what is recognised");
    let flows: Vec<String> = scan.tracker.into_table().iter().map(|f| format!("{f:?}")).collect();
    assert_eq!(flows, trimmed.flows, "the scan's flows");

    let t = &trimmed.tally;
    assert_eq!(t.packets_kept + t.packets_cut, trimmed.stats.packets, "packets = kept + cut");
    assert_eq!(t.bytes_kept + t.bytes_cut, trimmed.stats.bytes, "bytes = kept + cut");
    reads_back(data, &trimmed);
    let damage = trimmed.damage.map(|d| d.kind);
    let counts = (t.flows.min(9), t.packets_cut.min(9), t.packets_shortened.min(3), trimmed.whole.0.min(3));
    notes.push(note(&(damage, counts, trimmed.stats.anomalies.map(|n| n.min(1)))));
}

/// The text columns of what was recognised.
fn services(scan: &Scan) -> Vec<String> {
    let Some(known) = &scan.identified else { return Vec::new() };
    let table = scan.tracker.table();
    let one = |n| COLUMNS.map(|(column, _)| known.text(n, table.flow(n), column));
    (0..table.len()).map(|n| format!("{:?}", one(n))).collect()
}

/// All that is asked of the details of each flow.
fn details(scan: &Scan) -> Vec<String> {
    let Some(all) = &scan.details else { return Vec::new() };
    let table = scan.tracker.table();
    let one = |n: u32| {
        let flow = table.flow(n);
        let Some(d) = all.of(n, flow) else { panic!("flow {n} has no details") };
        let end = |e| (d.retransmitted(e), d.out_of_order(e), d.missed(e), d.ttl(e), d.mss(e), d.mac(e));
        let rtt = (d.rtt(flow), d.rtt_client(flow), d.rtt_server(flow));
        format!("{rtt:?} {} {} {:?} {:?}", d.conn_state(flow), d.history(), end(0), end(1))
    };
    (0..table.len()).map(one).collect()
}

fn assert_same(one: &Trimmed, many: Option<&Trimmed>) {
    let Some(many) = many else { panic!("a capture on one thread, none on many") };
    assert_eq!(one.damage, many.damage, "threads and chunks change the damage");
    assert_eq!(one.stats, many.stats, "threads and chunks change the counts");
    assert_eq!(one.flows, many.flows, "threads and chunks change the flows");
    assert_eq!(one.fates, many.fates, "threads and chunks change the fates");
    assert!(one == many, "threads and chunks change the output");
}

/// The output holds exactly the packets that were to be kept.
fn reads_back(data: &[u8], trimmed: &Trimmed) {
    if trimmed.out.is_empty() {
        assert!(trimmed.damage.is_some(), "nothing was written of a whole capture");
        return; // damaged before the first block: nothing is whole
    }
    let (Some(before), Some(after)) = (walk(data, None), walk(&trimmed.out, None)) else {
        panic!("the output is no capture")
    };
    if after.format != before.format && before.format.starts_with("pcap") {
        return; // dialects that share a magic number are told apart by their first records, which have changed
    }
    assert_eq!(after.damage, None, "the output is damaged");
    let simple = |r: &flowkeep_core::record::Record| before.format == "pcapng" && r.data - r.start == 12;
    let mut left = after.records.iter();
    let mut sum = 0;
    for (r, (fate, header)) in before.records.iter().zip(&trimmed.fates) {
        let keep = match fate {
            Fate::Keep => r.caplen,
            Fate::Cut => continue,
            Fate::Shorten if simple(r) => r.caplen,
            Fate::Shorten => *header,
            Fate::Wait => panic!("a packet waits for ever"),
        };
        let Some(is) = left.next() else { panic!("a kept packet is missing: {r:?}") };
        assert_eq!(bytes(&trimmed.out, is), &bytes(data, r)[..keep as usize], "{r:?}");
        // A Simple Packet Block has the time of the packet before it, which may be cut.
        let ts = if simple(r) { r.ts } else { is.ts };
        assert_eq!((ts, is.wirelen, is.iface, is.link), (r.ts, r.wirelen, r.iface, r.link));
        sum += u64::from(keep);
    }
    assert_eq!((left.next(), trimmed.fates.len()), (None, before.records.len()), "packets nobody kept");
    assert_eq!(after.records.len() as u64, trimmed.tally.packets_kept);
    assert_eq!(sum, trimmed.tally.bytes_kept + trimmed.whole.1, "bytes that were kept");
}
