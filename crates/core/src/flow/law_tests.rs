//! The law: a summary of a whole is the merge of the summaries of its pieces, and cutting a piece with its carry
//! is the same as cutting it in the whole.

use proptest::prelude::*;

use super::summary::Loading;
use super::{Left, Packet, Rules, Silent, Tracker};
use crate::cut::ledger::rows;
use crate::cut::{Count, Cutter, Fate, Policy, Rest};
use crate::packet::{tcp_flag, Class, Facts, FragKey, Key, Seed, NO_WSCALE};

/// A packet that owns what it is made of.
#[derive(Clone)]
struct Made {
    facts: Facts,
    ts: i64,
    caplen: u32,
    frag: Option<FragKey>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let a = &self.facts;
        write!(
            f,
            "{}s {:?} proto {} n {} vlan {} dir {}",
            self.ts / SECOND,
            a.class,
            a.key.proto,
            a.key.hi[3],
            a.key.vlan[0],
            a.dir
        )?;
        write!(
            f,
            " flags {:#x} seq {} ack {} len {} win {}",
            a.tcp_flags, a.seq, a.ack, a.payload, a.window
        )?;
        write!(f, " frag {:?}", self.frag.map(|k| (k.id, a.fragment)))
    }
}

const SECOND: i64 = 1_000_000_000;

/// The key of conversation `n` in VLAN `vlan`, as when VLANs are part of the key; 0: in none.
fn key(proto: u8, n: u8, vlan: u16) -> Key {
    let vlan = [vlan, 0];
    let mut key = Key { proto, version: 4, lo_port: 1000, hi_port: 2000, vlan, ..Key::default() };
    key.lo[3] = 1;
    key.hi[3] = 2 + n;
    key
}

/// Few keys, few sequence numbers, jumpy times: as many borderline cases as possible.
fn made() -> impl Strategy<Value = Made> {
    let tcp = (0..3_u8, 0..2_u8, 0..12_u8, 0..8_u32, 0..3_u32, 0..4_u16, any::<bool>());
    let tcp = tcp.prop_map(|(n, dir, kind, seq, payload, window, scaled)| {
        let flags = match kind {
            0..=3 => tcp_flag::SYN,
            4 => tcp_flag::SYN | tcp_flag::ACK,
            5 => tcp_flag::FIN | tcp_flag::ACK,
            6 => tcp_flag::RST,
            7 => 0,
            _ => tcp_flag::ACK,
        };
        let far = [0, 1, 100, 70_000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 3];
        Facts {
            key: key(6, n, 0),
            class: Class::Flow,
            dir,
            payload: payload * 50,
            header_len: 54,
            tcp_flags: flags,
            seq: far[seq as usize],
            ack: if flags & tcp_flag::ACK != 0 { far[(seq as usize + 3) % 8] } else { 0 },
            window: window * 300,
            wscale: if scaled && flags & tcp_flag::SYN != 0 { 7 } else { NO_WSCALE },
            ..Facts::default()
        }
    });
    let udp = (0..2_u8, 0..2_u8, 0..2_u32, 0..2_u16).prop_map(|(n, dir, payload, vlan)| Facts {
        key: key(17, n, vlan),
        class: Class::Flow,
        dir,
        payload: payload * 20,
        header_len: 42,
        ..Facts::default()
    });
    let fragment = (0..2_u8, 0..2_u8, 0..3_u32, 0..3_u8, 0..2_u16).prop_map(|(n, dir, id, kind, vlan)| {
        let first = kind == 0;
        let mut key = key(17, n, vlan);
        if !first {
            (key.lo_port, key.hi_port) = (0, 0);
        }
        let class = if first { Class::Flow } else { Class::Continuation };
        Facts {
            key,
            class,
            dir,
            fragment: first,
            payload: 30,
            header_len: 34,
            frag_id: id,
            ..Facts::default()
        }
    });
    let none = Just(Facts::default());
    let facts = prop_oneof![5 => tcp, 2 => udp, 4 => fragment, 1 => none];
    let step = prop_oneof![
        6 => 0..SECOND,
        2 => 20 * SECOND..40 * SECOND,
        1 => 59 * SECOND..62 * SECOND,
        1 => -50 * SECOND..0_i64
    ];
    (facts, step, 60..200_u32).prop_map(|(facts, ts, caplen)| {
        let fragment = facts.fragment || facts.class == Class::Continuation;
        let frag = fragment.then(|| {
            let (src, dst) =
                if facts.dir == 0 { (facts.key.lo, facts.key.hi) } else { (facts.key.hi, facts.key.lo) };
            FragKey { src, dst, proto: facts.key.proto, version: 4, vlan: facts.key.vlan, id: facts.frag_id }
        });
        Made { facts, ts, caplen, frag }
    })
}

/// Steps of time made into times.
fn traffic(max: usize) -> impl Strategy<Value = Vec<Made>> {
    proptest::collection::vec(made(), 0..max).prop_map(|mut all| {
        let mut now = 1_700_000_000 * SECOND;
        for m in &mut all {
            now += m.ts;
            m.ts = now;
        }
        all
    })
}

fn rules(tcp_idle: bool) -> Rules {
    Rules { tcp_idle_ns: if tcp_idle { 45 * SECOND } else { 0 }, ..Rules::default() }
}

fn run(tracker: &mut Tracker, packets: &[Made], observer: &mut impl super::Observer) {
    for m in packets {
        let p =
            Packet { facts: &m.facts, ts: m.ts, caplen: m.caplen, wirelen: m.caplen + 4, pos: 0, data: &[] };
        let hash = m.facts.key.hash(tracker.table().seed());
        tracker.feed(p, hash, m.frag.as_ref(), observer);
    }
}

fn summary(packets: &[Made], left: Left, rules: Rules, seed: Seed) -> Tracker {
    let mut tracker = Tracker::new(rules, left, seed);
    run(&mut tracker, packets, &mut Silent);
    tracker
}

/// All that is known of the flows, in order of their first packets, without the links between them.
fn flows(tracker: &Tracker) -> Vec<super::Flow> {
    let table = tracker.table();
    table.order().into_iter().map(|n| super::Flow { older: 0, ..*table.flow(n) }).collect()
}

/// The same, saved and loaded.
fn again(tracker: &Tracker) -> Tracker {
    let mut loading = Loading::new(&tracker.head(None), Seed(8, 9)).unwrap();
    tracker.save(None, |kind, bytes| loading.entry(kind, bytes).unwrap());
    loading.done().0
}

fn pieces<'a>(packets: &'a [Made], cuts: &[prop::sample::Index]) -> Vec<&'a [Made]> {
    let mut at: Vec<usize> = cuts.iter().map(|c| c.index(packets.len() + 1)).collect();
    at.extend([0, packets.len()]);
    at.sort_unstable();
    at.windows(2).map(|w| &packets[w[0]..w[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn merged_pieces_equal_the_whole(
        packets in traffic(120),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
        tcp_idle: bool,
    ) {
        let rules = rules(tcp_idle);
        let mut whole = summary(&packets, Left::Start, rules, Seed(1, 2));
        let mut merged = Tracker::new(rules, Left::Start, Seed(3, 4));
        for piece in pieces(&packets, &cuts) {
            merged.merge(summary(piece, Left::Open, rules, Seed(5, 6)));
        }
        prop_assert_eq!(merged.packets(), whole.packets());
        whole.finish(&mut Silent);
        merged.finish(&mut Silent);
        prop_assert_eq!(flows(&merged), flows(&whole));
    }

    #[test]
    fn merging_is_associative(
        packets in traffic(90),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 2),
    ) {
        let rules = Rules::default();
        let p = pieces(&packets, &cuts);
        let open = |piece| summary(piece, Left::Open, rules, Seed(7, 8));
        let mut left = open(p[0]);
        left.merge(open(p[1]));
        left.merge(open(p[2]));
        let mut right = open(p[1]);
        right.merge(open(p[2]));
        let mut whole = open(p[0]);
        whole.merge(right);
        prop_assert_eq!(flows(&left), flows(&whole));
        // and equal to a single summary of everything, undecided borders included
        prop_assert_eq!(flows(&left), flows(&open(&packets)));
        let mut start_left = Tracker::new(rules, Left::Start, Seed(1, 1));
        let mut start_whole = start_left.clone();
        start_left.merge(left);
        start_whole.merge(whole);
        start_left.finish(&mut Silent);
        start_whole.finish(&mut Silent);
        prop_assert_eq!(flows(&start_left), flows(&start_whole));
    }

    #[test]
    fn parts_merge_as_their_wholes_do(
        packets in traffic(120),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
        n in 1..5_u32,
    ) {
        let rules = Rules::default();
        let mut whole = summary(&packets, Left::Start, rules, Seed(1, 2));
        let open: Vec<Tracker> =
            pieces(&packets, &cuts).into_iter().map(|p| summary(p, Left::Open, rules, Seed(5, 6))).collect();
        let mut found = Vec::new();
        for i in 0..n {
            let mut merged = Tracker::new(rules, Left::Start, Seed(3, 4));
            for piece in &open {
                merged.merge(again(&again(piece).part(i, n)));
            }
            prop_assert_eq!(merged.packets(), whole.packets());
            merged.finish(&mut Silent);
            found.extend(flows(&merged));
        }
        whole.finish(&mut Silent);
        found.sort_by_key(|flow| flow.first);
        prop_assert_eq!(found, flows(&whole));
    }

    #[test]
    fn cutting_pieces_with_their_carry_equals_cutting_the_whole(
        packets in traffic(120),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
        cutoff in 0..2_000_u64,
        sample in 0..4_u64,
        count in prop::sample::select(&[Count::Frame, Count::Wire, Count::Payload][..]),
        flags: [bool; 4],
        saved: bool,
    ) {
        let rules = Rules::default();
        let [per_direction, keep_control, whole, ledger] = flags;
        let rest = match sample {
            0 if whole => Rest::Cut,
            0 => Rest::Headers,
            k => Rest::Sample(k),
        };
        let policy = Policy { cutoff, count, per_direction, keep_control, rest, tail: 0 };
        let cut = |carry: &mut Tracker, piece: &[Made], cutter: &mut Cutter, fates: &mut Vec<Fate>| {
            run(carry, piece, cutter);
            fates.append(&mut cutter.fates);
            for late in cutter.late.drain(..) {
                fates[late.pos as usize] = late.fate;
            }
        };
        let mut whole = Vec::new();
        let mut tracker = Tracker::new(rules, Left::Start, Seed(1, 2));
        let mut cutter = Cutter::new(policy, ledger);
        cut(&mut tracker, &packets, &mut cutter, &mut whole);

        let mut parts = Vec::new();
        let mut carry = Tracker::new(rules, Left::Start, Seed(3, 4));
        for piece in pieces(&packets, &cuts) {
            let mut cutter = Cutter::new(policy, ledger);
            let open = summary(piece, Left::Open, rules, Seed(5, 6));
            let mut met = if saved { again(&carry.met_by(&again(&open), None)) } else { carry.clone() };
            cut(&mut met, piece, &mut cutter, &mut parts);
            if saved {
                // What is told of the flows is that of a pass over all.
                let told = cutter.shares().map(|shares| rows(&met, shares));
                let mut whole = Cutter::new(policy, ledger);
                let mut all = carry.clone();
                cut(&mut all, piece, &mut whole, &mut parts.clone());
                prop_assert_eq!(told, whole.shares().map(|shares| rows(&all, shares)));
            }
            carry.merge(open);
        }
        prop_assert_eq!(parts, whole);
    }
}
