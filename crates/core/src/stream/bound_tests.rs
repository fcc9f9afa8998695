//! Bounds on memory and time, and streams longer than the sequence space.

use super::{Anomaly, Budget, Connection, Counts, Event, GapReason, Kind, Limits, Policy, Segment};
use crate::packet::tcp_flag::{ACK, SYN};
use crate::packet::NO_WSCALE;

const SYN_SEGMENT: Segment<'static> = Segment {
    dir: 0,
    seq: u32::MAX,
    ack: 0,
    flags: SYN,
    window: 0,
    wscale: NO_WSCALE,
    payload: &[],
    wire_len: 0,
    origin: super::Origin { frame: 0, ts: 0, ttl: 0, ip_id: 0 },
    checksum: super::Checksum::Unknown,
};

fn data(at: u32, payload: &[u8]) -> Segment<'_> {
    Segment { seq: at, payload, wire_len: payload.len() as u32, flags: ACK, ..SYN_SEGMENT }
}

/// Numbers below `n` in an order that jumps about.
fn shuffled(n: u32) -> impl Iterator<Item = u32> {
    let (mut x, size) = (12_345_u64, u64::from(n).next_power_of_two());
    (0..size).filter_map(move |_| {
        x = (x * 5 + 1) % size; // runs through all numbers below a power of two
        (x < u64::from(n)).then_some(x as u32)
    })
}

fn wide() -> Limits {
    Limits { held: 1 << 30, start: 1 << 30, ..Limits::default() }
}

/// Runs one-byte segments through and gives what became of them.
fn bytes(order: impl Iterator<Item = u32>, policy: Policy, limits: Limits) -> (Counts, u64) {
    let mut connection = Connection::new(policy, limits, Budget::new(1 << 30, 1 << 20));
    let mut next = 0;
    let mut out = |event: &Event<'_>| match event.kind {
        Kind::Data { offset, bytes, .. } => {
            assert_eq!(offset, next);
            assert_eq!(bytes[0], offset as u8);
            next += bytes.len() as u64;
        }
        Kind::Gap { length, .. } => next += length,
        _ => {}
    };
    connection.segment(&SYN_SEGMENT, &mut out);
    for at in order {
        connection.segment(&data(at, &[at as u8]), &mut out);
    }
    connection.finish(&mut out);
    (connection.counts(0), next)
}

#[test]
fn a_million_segments_in_hostile_order() {
    const N: u32 = 1_000_000;
    for (counts, end) in [
        bytes((0..N).rev(), Policy::First, wide()),
        bytes(shuffled(N), Policy::First, wide()),
        bytes(shuffled(N), Policy::Last, wide()),
    ] {
        assert_eq!((counts.delivered, counts.missing, end), (u64::from(N), 0, u64::from(N)));
    }
}

#[test]
fn a_million_holes_and_a_bound() {
    let (counts, end) = bytes((0..500_000).map(|i| 2 * i + 1), Policy::First, Limits::default());
    assert_eq!((counts.delivered, counts.missing, end), (500_000, 500_000, 1_000_000));
    let (counts, _) = bytes((0..500_000).rev(), Policy::First, Limits::default());
    assert_eq!(counts.accounted(), counts.captured);
    assert!(counts.refused > 0 && counts.bounds > 0, "{counts:?}");
}

#[test]
fn large_segments_over_many_small_pieces() {
    let budget = Budget::default();
    let mut connection = Connection::new(Policy::Last, Limits::default(), budget.clone());
    let mut overlaps = 0_u64;
    let mut out = |event: &Event<'_>| overlaps += u64::from(matches!(event.kind, Kind::Overlap { .. }));
    connection.segment(&SYN_SEGMENT, &mut out);
    let large = [vec![1_u8; 60_000], vec![2; 60_000]];
    for round in 0..200_u32 {
        connection.segment(&data(1, &large[round as usize & 1]), &mut out);
        for at in 0..100 {
            connection.segment(&data(1 + at * 600, &[9]), &mut out);
        }
    }
    connection.finish(&mut out);
    let counts = connection.counts(0);
    assert_eq!(counts.accounted(), counts.captured);
    assert_eq!((counts.delivered, counts.missing), (60_000, 1));
    assert!(overlaps > 30_000, "{overlaps}");
    assert!(budget.peak().0 <= 16 << 20);
}

#[test]
fn many_streams_share_a_budget_that_is_never_passed() {
    let budget = Budget::new(100_000, 50_000);
    let limits = Limits { held: 40_000, ..Limits::default() };
    let mut all: Vec<_> = (0..20)
        .map(|i| Connection::new(Policy::ALL[i % Policy::ALL.len()], limits, budget.clone()))
        .collect();
    let (mut data_bytes, mut bound_hit, mut gaps) = (0, 0, 0);
    let mut out = |event: &Event<'_>| match event.kind {
        Kind::Data { bytes, .. } => data_bytes += bytes.len() as u64,
        Kind::Gap { length, .. } => gaps += length,
        Kind::Anomaly { name: Anomaly::BoundHit, .. } => bound_hit += 1,
        _ => {}
    };
    let payload = [7_u8; 900];
    for step in shuffled(3_000) {
        for (i, connection) in all.iter_mut().enumerate() {
            connection.segment(&data((step + i as u32) * 1_000, &payload[..800 + i]), &mut out);
            assert!(connection.held(0) <= 40_000);
        }
        assert!(budget.used().0 <= 100_000 && budget.used().1 <= 50_000, "{:?}", budget.used());
    }
    for connection in &mut all {
        connection.finish(&mut out);
        let counts = connection.counts(0);
        assert_eq!(counts.accounted(), counts.captured);
    }
    assert!(budget.peak().0 <= 100_000 && budget.peak().0 > 90_000, "{:?}", budget.peak());
    assert_eq!(budget.used(), (0, 0));
    assert!(bound_hit > 0 && gaps > 0 && data_bytes > 0);
}

#[test]
fn what_the_snap_length_cut_is_bounded_too() {
    let budget = Budget::new(3_000, 3_000);
    let mut connection = Connection::new(Policy::First, Limits::default(), budget.clone());
    let (mut snapped, mut other) = (0, 0);
    let mut out = |event: &Event<'_>| match event.kind {
        Kind::Gap { length, reason: GapReason::Snapped, .. } => snapped += length,
        Kind::Gap { length, .. } => other += length,
        _ => {}
    };
    connection.segment(&SYN_SEGMENT, &mut out);
    for i in 0..1_000 {
        connection.segment(&Segment { wire_len: 10, ..data(i * 20, &[]) }, &mut out);
    }
    connection.finish(&mut out);
    assert_eq!((snapped, other), (10_000, 9_990));
    assert!(budget.peak().0 <= 3_000 && budget.peak().0 > 2_900, "{:?}", budget.peak());
    assert_eq!(budget.used(), (0, 0));
}

#[test]
fn what_was_forgotten_is_counted_as_unchecked() {
    let limits = Limits { history: 1_000, ..Limits::default() };
    let mut connection = Connection::new(Policy::First, limits, Budget::default());
    let mut overlaps = 0;
    let mut out = |event: &Event<'_>| overlaps += u32::from(matches!(event.kind, Kind::Overlap { .. }));
    connection.segment(&SYN_SEGMENT, &mut out);
    for i in 0..100 {
        connection.segment(&data(i * 100, &[1; 100]), &mut out);
    }
    for at in [0, 9_900] {
        connection.segment(&data(at, &[2; 100]), &mut out);
    }
    connection.finish(&mut out);
    let counts = connection.counts(0);
    assert_eq!((counts.unchecked, counts.conflicting, overlaps), (100, 100, 1));
}

#[test]
fn a_dropped_connection_gives_its_memory_back() {
    let budget = Budget::default();
    let mut connection = Connection::new(Policy::First, Limits::default(), budget.clone());
    connection.segment(&SYN_SEGMENT, &mut |_| {});
    connection.segment(&data(0, b"abc"), &mut |_| {});
    connection.segment(&data(9, b"abc"), &mut |_| {});
    assert!(budget.used().0 > 0 && budget.used().1 > 0);
    drop(connection);
    assert_eq!(budget.used(), (0, 0));
}

#[test]
fn a_stream_longer_than_the_sequence_space() {
    let step = 1_u64 << 20;
    for acked_hole in [None, Some(0)] {
        let limits = Limits { acked_hole, ..Limits::default() };
        let mut connection = Connection::new(Policy::First, limits, Budget::default());
        let (mut data_at, mut gaps) = (Vec::new(), 0);
        let mut out = |event: &Event<'_>| match event.kind {
            Kind::Data { offset, .. } => data_at.push(offset),
            Kind::Gap { length, reason: GapReason::Snapped, .. } => gaps += length,
            other => panic!("{other:?}"),
        };
        connection.segment(&Segment { wscale: 14, ..SYN_SEGMENT }, &mut out);
        let answer = Segment { dir: 1, flags: SYN | ACK, wscale: 14, window: 9_000, ..SYN_SEGMENT };
        connection.segment(&answer, &mut out);
        for i in 0..10_000_u64 {
            let at = (i * step) as u32;
            connection.segment(&Segment { wire_len: step as u32, ..data(at, b"x") }, &mut out);
            let ack = at.wrapping_add(step as u32);
            connection.segment(
                &Segment { dir: 1, flags: ACK, ack, window: 9_000, seq: 0, ..SYN_SEGMENT },
                &mut out,
            );
        }
        connection.finish(&mut out);
        assert_eq!(data_at.last(), Some(&(9_999 * step)));
        assert_eq!(gaps, 10_000 * (step - 1));
    }
}
