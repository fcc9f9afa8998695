//! Sequence analysis against a plain model; bounds.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Detail, Details, MAX_HOLES};
use crate::flow::{Left, Packet, Rules, Tracker};
use crate::packet::{tcp_flag, Class, Facts, Key, Seed, NO_WSCALE};

const MS: i64 = 1_000_000;

fn segment(dir: u8, seq: u32, payload: u32, ack: u32) -> Facts {
    let mut key = Key { proto: 6, version: 4, lo_port: 40_000, hi_port: 443, ..Key::default() };
    (key.lo[0], key.hi[0]) = (10, 11);
    Facts {
        key,
        class: Class::Flow,
        dir,
        tcp_flags: tcp_flag::ACK,
        seq,
        ack,
        window: 1_000,
        wscale: NO_WSCALE,
        payload,
        ip_at: Facts::NOWHERE,
        transport_at: Facts::NOWHERE,
        ..Facts::default()
    }
}

/// The details after some packets (time, facts).
fn details(packets: &[(i64, Facts)]) -> (Detail, u64) {
    let mut tracker = Tracker::new(Rules::default(), Left::Start, Seed(1, 2));
    let mut details = Details::default();
    for (ts, facts) in packets {
        let p = Packet { facts, ts: *ts, caplen: 60, wirelen: 60, pos: 0, data: &[] };
        tracker.feed(p, facts.key.hash(Seed(1, 2)), None, &mut details);
    }
    let flow = tracker.table().flow(0);
    (details.of(0, flow).cloned().unwrap_or_default(), flow.packets())
}

/// What the module says in words, over single sequence numbers: (retransmitted, out of order, missed).
fn model(base: u32, segments: &[(i64, u32, u32)], ack: u32) -> (u64, u64, u64) {
    // offset → when it could be seen that it is missing; `None`: it was seen
    let mut numbers: HashMap<u32, Option<i64>> = HashMap::new();
    let (mut next, mut again, mut late) = (0, 0, 0);
    for (i, &(ts, offset, len)) in segments.iter().enumerate() {
        if i == 0 {
            next = offset;
        }
        let end = offset + len;
        if offset >= next {
            (next..offset).for_each(|n| _ = numbers.insert(n, Some(ts)));
        } else if !(offset + 1 == next && len == 1) {
            let opened = (offset..end.min(next)).filter_map(|n| numbers.get(&n).copied().flatten()).max();
            match opened {
                Some(since) if ts - since < 3 * MS => late += 1,
                _ => again += 1,
            }
        }
        (offset..end).for_each(|n| _ = numbers.insert(n, None));
        next = next.max(end);
    }
    let missed =
        (0..ack.wrapping_sub(base)).filter(|n| *n >= next || numbers.get(n).is_some_and(Option::is_some));
    (again, late, missed.count() as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any order, any overlap, also across the wrap of sequence numbers.
    #[test]
    fn sequences_are_those_of_the_model(
        near in 0_u32..30,
        segments in prop::collection::vec((0_i64..4, 0_u32..24, 1_u32..6), 1..24),
        acked in 0_u32..34,
    ) {
        let base = u32::MAX.wrapping_sub(near).wrapping_add(8);
        let mut now = 0;
        let mut given = vec![(0, 0, 1)]; // offset 0 first: nothing lies below the base
        for (wait, offset, len) in segments {
            now += wait * MS;
            given.push((now, offset, len));
        }
        let mut packets: Vec<_> =
            given.iter().map(|&(ts, offset, len)| (ts, segment(0, base.wrapping_add(offset), len, 7))).collect();
        let ack = base.wrapping_add(acked);
        packets.push((now, segment(1, 7, 0, ack)));
        let (detail, _) = details(&packets);
        let got = (detail.retransmitted(0), detail.out_of_order(0), detail.missed(0).unwrap_or(99));
        prop_assert_eq!(got, model(base, &given, ack), "{:?}", detail);
    }

    /// Whatever comes, no panic and no more than the bound.
    #[test]
    fn any_segments_are_survived(
        segments in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u32>(), any::<u32>(), 0_u32..70_000, any::<bool>()), 1..200),
    ) {
        let mut packets = Vec::new();
        for (i, (dir, flags, seq, ack, payload, fragment)) in segments.into_iter().enumerate() {
            // Without SYN, so that all belongs to one session.
            let tcp_flags = flags & !tcp_flag::SYN;
            packets.push((i as i64, Facts { fragment, tcp_flags, ..segment(dir & 1, seq, payload, ack) }));
        }
        let (detail, packets) = details(&packets);
        prop_assert_eq!(detail.packets, packets);
        prop_assert!(detail.holes.len() <= 2 * MAX_HOLES);
        prop_assert!(detail.history().len() <= 32);
    }
}

#[test]
fn the_oldest_hole_is_given_up_and_what_was_acknowledged_of_it_counts_as_missed() {
    let holes = MAX_HOLES as u32 + 3;
    let mut packets = vec![(0, segment(0, 0, 10, 1)), (0, segment(1, 1, 0, 20))];
    for i in 0..holes {
        packets.push((1, segment(0, 20 + 20 * i, 10, 1)));
    }
    let (detail, _) = details(&packets);
    assert_eq!(detail.holes.len(), MAX_HOLES);
    assert_eq!(detail.missed(0), Some(10), "only the first hole was acknowledged");
    // What is given up is taken for sent before.
    packets.push((1, segment(0, 30, 10, 1)));
    packets.push((1, segment(0, 10 + 20 * (holes - 1), 10, 1)));
    let (detail, _) = details(&packets);
    assert_eq!((detail.retransmitted(0), detail.out_of_order(0)), (1, 1));
}

#[test]
fn a_flow_takes_a_stated_room() {
    assert!(std::mem::size_of::<Detail>() <= 264, "{}", std::mem::size_of::<Detail>());
}
