//! The cut rule on flows worked out by hand.

use super::{Count, Cutter, Fate, Policy, Rest, WhatIf};
use crate::flow::{Left, Packet, Rules, Tracker};
use crate::packet::{tcp_flag, Class, Facts, Key, Seed};

/// Packets of one flow: (direction, captured length, flags); 54 bytes of headers, 10 more on the wire.
fn fates(policy: Policy, packets: &[(u8, u32, u8)]) -> Vec<Fate> {
    let mut tracker = Tracker::new(Rules::default(), Left::Start, Seed(1, 2));
    let mut cutter = Cutter::new(policy, false);
    if policy.tail > 0 {
        let mut first = tracker.clone();
        run(&mut first, &mut crate::flow::Silent, packets);
        cutter.set_totals(first.table().iter().map(|flow| &flow.side));
    }
    run(&mut tracker, &mut cutter, packets);
    let t = cutter.tally();
    let bytes: u64 = packets.iter().map(|p| u64::from(p.1)).sum();
    assert_eq!(t.packets_kept + t.packets_cut, packets.len() as u64);
    assert_eq!(t.bytes_kept + t.bytes_cut, bytes);
    cutter.fates
}

fn run(tracker: &mut Tracker, observer: &mut impl crate::flow::Observer, packets: &[(u8, u32, u8)]) {
    for &(dir, caplen, tcp_flags) in packets {
        let facts = Facts {
            key: Key { proto: 6, version: 4, lo_port: 1, hi_port: 2, ..Key::default() },
            class: Class::Flow,
            dir,
            tcp_flags,
            header_len: 54.min(caplen),
            payload: caplen.saturating_sub(54) + 10,
            ..Facts::default()
        };
        let p = Packet { facts: &facts, ts: 0, caplen, wirelen: caplen + 10, pos: 0, data: &[] };
        tracker.feed(p, facts.key.hash(tracker.table().seed()), None, observer);
    }
}

fn policy(cutoff: u64) -> Policy {
    Policy { cutoff, ..Policy::default() }
}

use Fate::{Cut, Keep, Shorten};

const A: u8 = tcp_flag::ACK;

#[test]
fn packet_that_reaches_the_cutoff_is_kept_and_the_next_is_cut() {
    let packets = [(0, 100, A), (1, 100, A), (0, 100, A), (0, 1, A)];
    assert_eq!(fates(policy(300), &packets), [Keep, Keep, Keep, Cut]);
    assert_eq!(fates(policy(299), &packets), [Keep, Keep, Cut, Cut]);
    assert_eq!(fates(policy(0), &packets), [Cut; 4]);
}

#[test]
fn cut_packets_count_too_so_a_small_one_does_not_slip_through() {
    assert_eq!(fates(policy(150), &[(0, 100, A), (0, 100, A), (0, 20, A)]), [Keep, Cut, Cut]);
}

#[test]
fn control_packets_stay_unless_told_otherwise() {
    let (syn, fin, rst) = (tcp_flag::SYN, tcp_flag::FIN | A, tcp_flag::RST);
    let packets = [(0, 100, A), (0, 60, syn), (0, 60, fin), (1, 60, rst), (0, 60, A)];
    assert_eq!(fates(policy(100), &packets), [Keep, Keep, Keep, Keep, Cut]);
    let strict = Policy { keep_control: false, ..policy(100) };
    assert_eq!(fates(strict, &packets), [Keep, Cut, Cut, Cut, Cut]);
}

#[test]
fn directions_can_have_an_allowance_each() {
    let packets = [(0, 100, A), (1, 100, A), (0, 100, A), (1, 90, A)];
    let each = Policy { per_direction: true, ..policy(190) };
    assert_eq!(fates(each, &packets), [Keep, Keep, Cut, Keep]);
}

#[test]
fn wire_and_payload_are_counted_when_asked() {
    let packets = [(0, 100, A), (0, 100, A)];
    assert_eq!(fates(Policy { count: Count::Wire, ..policy(219) }, &packets), [Keep, Cut]);
    assert_eq!(fates(Policy { count: Count::Wire, ..policy(220) }, &packets), [Keep, Keep]);
    assert_eq!(fates(Policy { count: Count::Payload, ..policy(111) }, &packets), [Keep, Cut]);
    assert_eq!(fates(Policy { count: Count::Payload, ..policy(112) }, &packets), [Keep, Keep]);
}

#[test]
fn headers_of_the_rest_are_kept_where_there_is_more_than_headers() {
    let headers = Policy { rest: Rest::Headers, ..policy(100) };
    assert_eq!(fates(headers, &[(0, 100, A), (0, 200, A), (0, 54, A)]), [Keep, Shorten, Keep]);
}

#[test]
fn sample_keeps_every_kth_packet_of_the_flow() {
    let sample = Policy { rest: Rest::Sample(3), ..policy(100) };
    let packets = [(0, 100, A); 7];
    assert_eq!(fates(sample, &packets), [Keep, Cut, Keep, Cut, Cut, Keep, Cut]);
    assert_eq!(fates(Policy { rest: Rest::Sample(0), ..policy(100) }, &packets)[1..], [Cut; 6]);
}

#[test]
fn tail_keeps_the_last_bytes() {
    let tail = Policy { tail: 150, ..policy(100) };
    assert_eq!(fates(tail, &[(0, 100, A), (0, 100, A), (0, 60, A), (0, 90, A)]), [Keep, Cut, Keep, Keep]);
}

#[test]
fn what_if_agrees_with_cutting() {
    let packets = [(0, 100, A), (1, 700, A), (0, 300, A), (0, 60, tcp_flag::FIN), (1, 5_000, A)];
    let cutoffs = vec![100, 800, 1_000, 10_000];
    let mut what_if = WhatIf::new(cutoffs.clone());
    run(&mut Tracker::new(Rules::default(), Left::Start, Seed(1, 2)), &mut what_if, &packets);
    for (left, cutoff) in what_if.left().into_iter().zip(cutoffs) {
        let kept: Vec<_> = fates(policy(cutoff), &packets);
        let bytes = kept.iter().zip(&packets).filter(|(f, _)| **f == Keep).map(|(_, p)| u64::from(p.1)).sum();
        let lost = u64::from(kept.contains(&Cut));
        assert_eq!((left.cutoff, left.bytes, left.flows_cut), (cutoff, bytes, lost));
        assert_eq!(left.packets, kept.iter().filter(|f| **f == Keep).count() as u64);
    }
}
