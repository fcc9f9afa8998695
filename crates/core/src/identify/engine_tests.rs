//! The engine: order of segments, bounds, and what it forgets.

use super::engine::{Engine, Input, State, MAX_PACKETS, WINDOW};
use super::testkit::{over, tcp, udp};
use super::view::Transport;

fn segment(seq: u32, bytes: &[u8]) -> Input<'_> {
    Input {
        transport: Transport::Tcp,
        dir: 0,
        bytes,
        len: bytes.len() as u32,
        seq,
        start: Some(100),
        opener: Some(0),
    }
}

fn label_of(segments: &[(u32, &[u8])], start: Option<u32>) -> String {
    let mut engine = Engine::default();
    let mut state = State::default();
    for &(seq, bytes) in segments {
        engine.feed(&mut state, &Input { start, ..segment(seq, bytes) });
    }
    let answer = engine.finish(&mut state);
    assert_eq!(engine.room(), 0, "all room is given back");
    answer.map(|answer| engine.path(&answer).into_owned()).unwrap_or_default()
}

#[test]
fn segments_are_put_in_order() {
    let parts: [(u32, &[u8]); 3] = [(100, b"GET / "), (106, b"HTTP/1"), (112, b".1\r\n")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(label_of(&order.map(|index| parts[index]), Some(100)), "http", "{order:?}");
    }
}

#[test]
fn the_first_version_of_a_byte_stays_and_sequence_numbers_wrap() {
    assert_eq!(label_of(&[(100, b"GET / "), (100, b"XXXXXXHTTP/1.1\r\n")], Some(100)), "http");
    assert_eq!(label_of(&[(u32::MAX - 2, b"GET"), (0, b" / HTTP/1.1\r\n")], Some(u32::MAX - 2)), "http");
}

#[test]
fn without_a_syn_an_earlier_segment_moves_the_beginning() {
    assert_eq!(label_of(&[(106, b"HTTP/1.1\r\n"), (100, b"GET / ")], None), "http");
}

#[test]
fn a_hole_at_the_start_gives_no_label() {
    assert_eq!(label_of(&[(106, b"GET / HTTP/1.1\r\n")], Some(100)), "");
}

#[test]
fn what_is_decided_is_forgotten_and_later_packets_change_nothing() {
    let mut engine = Engine::default();
    let mut state = State::default();
    engine.feed(&mut state, &segment(100, &[0xff; 100]));
    assert!(state.is_decided() && state.answer().is_none() && engine.room() == 0);
    engine.feed(&mut state, &segment(100, b"GET / HTTP/1.1\r\n"));
    assert!(state.answer().is_none());
}

#[test]
fn a_flow_is_looked_at_for_a_bounded_time() {
    let mut engine = Engine::default();
    let mut state = State::default();
    let line = [b'a'; 10];
    for step in 0..MAX_PACKETS as u32 {
        assert!(!state.is_decided());
        engine.feed(&mut state, &segment(100 + step * 10, &line[..if step == 0 { 10 } else { 1 }]));
        assert!(engine.room() < 4 * WINDOW + 4096);
    }
    assert!(state.is_decided());
    assert_eq!(engine.room(), 0);
}

#[test]
fn lengths_that_lie_hold_no_room() {
    let mut engine = Engine::default();
    let mut state = State::default();
    // A hello that says 16 MB, and megabytes of zeros behind it.
    let mut hello = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff, 3, 3];
    hello.resize(1 << 20, 0);
    engine.feed(&mut state, &segment(100, &hello));
    assert!(engine.room() < 20_000, "{}", engine.room());
    let mut state = State::default();
    engine.feed(&mut state, &segment(100, &vec![0; 16 << 20]));
    assert!(engine.room() < 20_000, "{}", engine.room());
}

#[test]
fn answers_show_the_bytes_that_told_and_the_rule() {
    let mut engine = Engine::default();
    let answer = tcp().s("SSH-2.0-x\r\n").c("SSH-2.0-y\r\n").run(&mut engine).unwrap();
    assert_eq!(engine.rule(&answer), "ssh.banner");
    assert_eq!((answer.evidence(), answer.offset, answer.dir, answer.client), (&b"SSH-2.0-"[..], 0, 0, 0));
    assert_eq!(engine.protocol(&answer).ports, [22]);
}

#[test]
fn who_opened_a_flow_does_not_hide_who_asks() {
    // The opener answers and the other end asks, as when a server calls back.
    let mut engine = Engine::default();
    let answer = tcp().s("GET / HTTP/1.1\r\n\r\n").c("HTTP/1.1 200 OK\r\n\r\n").run(&mut engine).unwrap();
    assert_eq!((&*engine.path(&answer), answer.client), ("http", 1));
}

#[test]
fn transports_do_not_mix() {
    udp().c("GET / HTTP/1.1\r\n\r\n").s("HTTP/1.1 200 OK\r\n\r\n").is_nothing();
    over(Transport::Ip(89)).c("GET / HTTP/1.1\r\n\r\n").is_nothing();
}
