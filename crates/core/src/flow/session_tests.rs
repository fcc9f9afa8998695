//! Where a session ends and the next begins; who is the client; what the state is called.

use super::client::client;
use super::{state, Left, Packet, Rules, Silent, Tracker};
use crate::packet::{tcp_flag, Class, Facts, Key, Seed, NO_WSCALE};

const FIN_ACK: u8 = tcp_flag::FIN | tcp_flag::ACK;
const SYN: u8 = tcp_flag::SYN;
const SYN_ACK: u8 = tcp_flag::SYN | tcp_flag::ACK;
const ACK: u8 = tcp_flag::ACK;
const RST: u8 = tcp_flag::RST;
const SECOND: i64 = 1_000_000_000;

fn tracker() -> Tracker {
    Tracker::new(Rules::default(), Left::Start, Seed(1, 2))
}

fn key(proto: u8, lo_port: u16, hi_port: u16) -> Key {
    let mut key = Key { proto, version: 4, lo_port, hi_port, ..Key::default() };
    key.lo[0] = 10;
    key.hi[0] = 11;
    key
}

/// A TCP segment: direction, flags, sequence number, payload.
fn segment(dir: u8, flags: u8, seq: u32, payload: u32) -> Facts {
    Facts {
        key: key(6, 40_000, 443),
        class: Class::Flow,
        dir,
        tcp_flags: flags,
        seq,
        ack: if flags & ACK != 0 { 7_000 } else { 0 },
        window: 1_000,
        wscale: NO_WSCALE,
        payload,
        ..Facts::default()
    }
}

fn feed(tracker: &mut Tracker, ts: i64, facts: &Facts) {
    let p = Packet { facts, ts, caplen: 60 + facts.payload, wirelen: 60 + facts.payload, pos: 0, data: &[] };
    let hash = facts.key.hash(tracker.table().seed());
    tracker.feed(p, hash, None, &mut Silent);
}

fn sessions(segments: &[Facts]) -> u32 {
    let mut tracker = tracker();
    for (i, facts) in segments.iter().enumerate() {
        feed(&mut tracker, i as i64 * SECOND, facts);
    }
    tracker.table().len()
}

#[test]
fn syn_after_fin_begins_a_session() {
    assert_eq!(sessions(&[segment(0, SYN, 100, 0), segment(0, FIN_ACK, 101, 0), segment(0, SYN, 102, 0)]), 2);
}

#[test]
fn syn_after_the_peers_rst_begins_a_session_also_with_the_same_number() {
    assert_eq!(sessions(&[segment(0, SYN, 100, 0), segment(1, RST, 0, 0), segment(0, SYN, 100, 0)]), 2);
}

#[test]
fn retransmitted_syn_stays_in_its_session_however_much_was_sent() {
    let all = [segment(0, SYN, 100, 0), segment(0, ACK, 101, 50_000), segment(0, SYN, 100, 0)];
    assert_eq!(sessions(&all), 1);
}

#[test]
fn syn_outside_the_window_begins_a_session_without_any_fin() {
    let start = [segment(0, SYN, 100, 0), segment(1, SYN_ACK, 900, 0), segment(0, ACK, 101, 10)];
    let with = |seq| sessions(&[start[0], start[1], start[2], segment(0, SYN, seq, 0)]);
    // The last segment ends at 111, the peer's window is 1000.
    assert_eq!(with(111), 1);
    assert_eq!(with(1_111), 1);
    assert_eq!(with(1_112), 2);
    assert_eq!(with(111_u32.wrapping_sub(1_000)), 1);
    assert_eq!(with(111_u32.wrapping_sub(1_001)), 2);
    assert_eq!(with(0x8000_0000), 2);
}

#[test]
fn window_is_scaled_only_if_both_syns_carried_the_option() {
    let scaled = |facts: Facts| Facts { wscale: 4, ..facts };
    let (syn, answer) = (segment(0, SYN, 100, 0), segment(1, SYN_ACK, 900, 0));
    let late = segment(0, SYN, 101 + 16_000, 0);
    assert_eq!(sessions(&[scaled(syn), scaled(answer), late]), 1);
    assert_eq!(sessions(&[syn, scaled(answer), late]), 2);
    assert_eq!(sessions(&[scaled(syn), answer, late]), 2);
}

#[test]
fn syn_after_the_syn_ack_that_answers_it_is_the_same_session() {
    let answer = Facts { ack: 101, ..segment(1, SYN_ACK, 900, 0) };
    assert_eq!(sessions(&[answer, segment(0, SYN, 100, 0)]), 1);
}

#[test]
fn simultaneous_open_is_one_session() {
    assert_eq!(sessions(&[segment(0, SYN, 100, 0), segment(1, SYN, 5_000_000, 0)]), 1);
}

#[test]
fn silence_ends_udp_but_not_tcp() {
    for (proto, expected) in [(17, 2), (6, 1), (132, 2), (1, 2)] {
        let facts =
            Facts { key: key(proto, 5_000, 53), class: Class::Flow, tcp_flags: ACK, ..Facts::default() };
        let mut tracker = tracker();
        for ts in [0, 60 * SECOND, 120 * SECOND + 1] {
            feed(&mut tracker, ts, &facts);
        }
        assert_eq!(tracker.table().len(), expected, "protocol {proto}");
    }
}

#[test]
fn time_that_goes_back_ends_nothing() {
    let facts = Facts { key: key(17, 5_000, 53), class: Class::Flow, ..Facts::default() };
    let mut tracker = tracker();
    for ts in [i64::MAX, i64::MIN, -5, 3] {
        feed(&mut tracker, ts, &facts);
    }
    // MAX → MIN is back; MIN → -5 is a silence of centuries; -5 → 3 is none.
    assert_eq!(tracker.table().len(), 2);
    let last = tracker.table().flow(1);
    assert_eq!((last.first_ts, last.last_ts), (-5, 3));
}

#[test]
fn full_table_leaves_packets_untracked_and_goes_on_with_known_flows() {
    let rules = Rules { max_flows: 1, ..Rules::default() };
    let mut tracker = Tracker::new(rules, Left::Start, Seed(1, 2));
    let known = Facts { key: key(17, 5_000, 53), class: Class::Flow, ..Facts::default() };
    let other = Facts { key: key(17, 5_001, 53), ..known };
    for facts in [&known, &other, &known, &other] {
        feed(&mut tracker, 0, facts);
    }
    assert_eq!((tracker.table().len(), tracker.table().untracked()), (1, 2));
    assert_eq!(tracker.table().flow(0).packets(), 2);
}

#[test]
fn client_is_who_sent_the_syn_else_who_received_the_answer_else_a_guess() {
    let of = |segments: &[Facts]| {
        let mut tracker = tracker();
        for facts in segments {
            feed(&mut tracker, 0, facts);
        }
        client(tracker.table().flow(0))
    };
    // `lo` has port 40000, `hi` port 443.
    assert_eq!(of(&[segment(1, ACK, 1, 0), segment(1, SYN, 1, 0)]), (1, false));
    assert_eq!(of(&[segment(1, SYN_ACK, 1, 0)]), (0, false));
    assert_eq!(of(&[segment(0, SYN_ACK, 1, 0)]), (1, false));
    assert_eq!(of(&[segment(1, ACK, 1, 0)]), (0, true));
    let ports =
        |lo, hi, dir| of(&[Facts { key: key(17, lo, hi), class: Class::Flow, dir, ..Facts::default() }]);
    assert_eq!(ports(53, 5_353, 1), (1, true));
    assert_eq!(ports(50_000, 5_353, 1), (0, true));
    assert_eq!(ports(50_000, 50_001, 1), (1, true));
    assert_eq!(ports(80, 443, 0), (0, true));
    let icmp = [Facts { key: key(1, 0, 0), class: Class::Flow, dir: 1, ..Facts::default() }];
    assert_eq!(of(&icmp), (1, true));
}

#[test]
fn states_follow_the_handshake_and_the_end() {
    let of = |segments: &[Facts]| {
        let mut tracker = tracker();
        for facts in segments {
            feed(&mut tracker, 0, facts);
        }
        state::name(tracker.table().flow(0))
    };
    let (syn, answer) = (segment(0, SYN, 1, 0), segment(1, SYN_ACK, 1, 0));
    let (fin, fin_back) = (segment(0, FIN_ACK, 2, 0), segment(1, FIN_ACK, 2, 0));
    assert_eq!(of(&[syn]), "attempt");
    assert_eq!(of(&[syn, segment(1, RST | ACK, 0, 0)]), "rejected");
    assert_eq!(of(&[syn, answer]), "open");
    assert_eq!(of(&[syn, answer, fin]), "half-closed");
    assert_eq!(of(&[syn, answer, fin_back, fin]), "closed");
    assert_eq!(of(&[syn, answer, segment(1, RST, 2, 0)]), "reset");
    assert_eq!(of(&[segment(0, ACK, 2, 5)]), "midstream");
    let udp = |dir| Facts { key: key(17, 9, 10), class: Class::Flow, dir, ..Facts::default() };
    assert_eq!(of(&[udp(0), udp(0)]), "one-way");
    assert_eq!(of(&[udp(0), udp(1)]), "two-way");
}
