//! What is said of a packet known in part is true of every packet that has these bits.

use proptest::prelude::*;

use super::select_tests::{bytes, constant, program, tamed, Raw, ACCEPT, OPERATIONS, REJECT, RETURN_A};
use super::*;
use crate::flow::{Flow, Left, Packet, Rules, Silent, Tracker};
use crate::packet::{Class, Facts, Key, Seed};

fn of(code: &[Raw], data: &[u8], unknown: &[u8]) -> Partly {
    program(code).run_partly(Known { data, unknown })
}

#[test]
fn only_the_bits_that_a_comparison_needs_must_be_known() {
    let half = |k, mask| {
        of(&[(0x28, 0, 0, 0), (0x54, 0, 0, mask), (0x15, 0, 1, k), ACCEPT, REJECT], &[0x20, 5], &[0xf0, 0])
    };
    assert_eq!(half(5, 0x0fff), Partly::Match);
    assert_eq!(half(6, 0x0fff), Partly::NoMatch);
    assert_eq!(half(6, 0xffff), Partly::NoMatch, "the known bits differ already");
    assert_eq!(half(5, 0xffff), Partly::Undecided(0));
}

#[test]
fn lengths_and_what_lies_behind_are_open() {
    assert_eq!(of(&[(0x80, 0, 0, 0), (0x25, 0, 1, 9), ACCEPT, REJECT], &[], &[]), Partly::Undecided(LENGTH));
    assert_eq!(of(&[(0x30, 0, 0, 2), ACCEPT], &[1, 2], &[0, 0]), Partly::Undecided(2));
    assert_eq!(of(&[(0x28, 0, 0, 1), ACCEPT], &[1, 2], &[0, 0]), Partly::Undecided(1));
    assert_eq!(
        of(&[(0x01, 0, 0, u32::MAX), (0x50, 0, 0, 9), ACCEPT], &[1], &[0]),
        Partly::Undecided(LENGTH - 1)
    );
}

#[test]
fn ranges_decide_where_they_do_not_meet() {
    let above = |k| of(&[(0x30, 0, 0, 0), (0x25, 0, 1, k), ACCEPT, REJECT], &[0x40], &[0x0f]);
    assert_eq!(
        (above(0x3f), above(0x4f), above(0x44)),
        (Partly::Match, Partly::NoMatch, Partly::Undecided(0))
    );
}

fn instruction() -> impl Strategy<Value = Raw> {
    // `ldxb` is left out: there the header length counts as known.
    let op = prop::sample::select(&OPERATIONS[..]).prop_filter("open", |op| op & 7 != 6 && *op != 0xb1);
    (op, any::<u8>(), any::<u8>(), constant())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn what_is_said_is_true_of_every_packet_with_these_bits(
        code in prop::collection::vec(instruction(), 0..30),
        last in prop::sample::select(vec![ACCEPT, RETURN_A]),
        packet in prop::collection::vec((any::<u8>(), prop::sample::select(vec![0_u8, 0, 0, 0xf0, 1, 0xff]), any::<u8>()), 0..40),
        more in prop::collection::vec(any::<u8>(), 0..20),
        wirelen: u32,
    ) {
        let code = tamed(code, last);
        let data: Vec<u8> = packet.iter().map(|p| p.0).collect();
        let unknown: Vec<u8> = packet.iter().map(|p| p.1).collect();
        let mut other: Vec<u8> = packet.iter().map(|p| p.0 & !p.1 | p.2 & p.1).collect();
        other.extend(more);
        let runs = Program::decode(&bytes(&code)).unwrap().run(&other, wirelen) != 0;
        match of(&code, &data, &unknown) {
            Partly::Match => prop_assert!(runs, "{:x?}", code),
            Partly::NoMatch => prop_assert!(!runs, "{:x?}", code),
            Partly::Undecided(_) => {}
        }
    }
}

fn flow(key: Key, vlan: [u16; 2]) -> Flow {
    let facts = Facts { key, vlan, class: Class::Flow, ..Facts::default() };
    let seed = Seed(1, 2);
    let mut tracker = Tracker::new(Rules::default(), Left::Start, seed);
    let p = Packet { facts: &facts, ts: 0, caplen: 60, wirelen: 60, pos: 0, data: &[] };
    tracker.feed(p, key.hash(seed), None, &mut Silent);
    *tracker.table().flow(0)
}

fn web(version: u8) -> Key {
    let (mut lo, mut hi) = ([0; 16], [0; 16]);
    lo[..4].copy_from_slice(&[10, 0, 0, 1]);
    hi[..4].copy_from_slice(&[10, 0, 0, 2]);
    Key { lo, hi, lo_port: 40_000, hi_port: 80, proto: 6, version, ..Key::default() }
}

fn says(code: &[Raw], flow: &Flow, tags: bool) -> FlowVerdict {
    FlowFilter::new(program(code), tags).verdict(flow)
}

/// Whether the half-word at an offset is `k`.
fn half_is(at: u32, k: u32) -> [Raw; 4] {
    [(0x28, 0, 0, at), (0x15, 0, 1, k), ACCEPT, REJECT]
}

#[test]
fn a_flow_is_seen_from_both_ends() {
    let four = flow(web(4), [0; 2]);
    for port in [40_000, 80] {
        for at in [34, 36] {
            assert_eq!(says(&half_is(at, port), &four, false), FlowVerdict::Match);
            assert_eq!(says(&half_is(at + 20, port), &flow(web(6), [0; 2]), false), FlowVerdict::Match);
        }
    }
    assert_eq!(says(&half_is(34, 81), &four, false), FlowVerdict::NoMatch);
    let orphan = flow(web(4 | Key::ORPHAN), [0; 2]);
    assert_eq!(says(&half_is(34, 80), &orphan, false), FlowVerdict::Undecided(Part::Payload));
}

#[test]
fn tags_are_there_when_asked_for() {
    let tagged = flow(web(4), [101, 8]);
    assert_eq!(says(&half_is(12, 0x800), &tagged, false), FlowVerdict::Match);
    assert_eq!(says(&half_is(12, 0x8100), &tagged, true), FlowVerdict::Match);
    let id = |k| [(0x28, 0, 0, 18), (0x54, 0, 0, 0xfff), (0x15, 0, 1, k), ACCEPT, REJECT];
    assert_eq!(
        (says(&id(7), &tagged, true), says(&id(8), &tagged, true)),
        (FlowVerdict::Match, FlowVerdict::NoMatch)
    );
    assert_eq!(says(&half_is(18, 7), &tagged, true), FlowVerdict::Undecided(Part::Tag));
    assert_eq!(says(&half_is(20, 0x800), &tagged, true), FlowVerdict::Match);
}

#[test]
fn what_differs_from_packet_to_packet_is_named() {
    let four = flow(web(4), [0; 2]);
    for (at, part) in [
        (0, Part::Link),
        (16, Part::Internet),
        (14, Part::Internet),
        (46, Part::Transport),
        (54, Part::Payload),
    ] {
        let k = if at == 14 { 0x4500 } else { 1 };
        assert_eq!(says(&half_is(at, k), &four, false), FlowVerdict::Undecided(part), "{at}");
    }
    let longer = [(0x80, 0, 0, 0), (0x25, 0, 1, 9), ACCEPT, REJECT];
    assert_eq!(says(&longer, &four, false), FlowVerdict::Undecided(Part::Length));
}
