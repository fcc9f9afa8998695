//! What is no protocol gets no label: made noise of many kinds, in both directions, over TCP and UDP.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::testkit::{tcp, udp, Dice, Talk};

pub const FLOWS: usize = 100_000;
/// One in ten thousand.
pub const ALLOWED: usize = FLOWS / 10_000;

type Make = fn(&mut Dice, usize) -> Vec<u8>;

#[test]
fn noise_gets_no_label() {
    let mut dice = Dice(0x5eed_0fde_adbe_ef01);
    let mut engine = Engine::default();
    let mut fired = BTreeMap::<(String, &str), usize>::new();
    for flow in 0..FLOWS {
        let (kind, talk) = talk(&mut dice, flow);
        if let Some(answer) = talk.run(&mut engine) {
            *fired.entry((engine.rule(&answer), kind)).or_default() += 1;
        }
    }
    let total: usize = fired.values().sum();
    println!("{total} of {FLOWS} labelled: {fired:?}");
    assert!(total <= ALLOWED, "{total} of {FLOWS} labelled: {fired:?}");
    assert_eq!(engine.room(), 0);
}

pub fn talk(dice: &mut Dice, flow: usize) -> (&'static str, Talk) {
    let mut talk = if dice.below(2) == 0 { tcp() } else { udp() };
    if dice.below(3) == 0 {
        talk = talk.midway();
    }
    // Half is random bytes: encryption looks like that, and it meets every rule.
    let kinds: [(&str, Make); 12] = [
        ("random", |dice, len| dice.bytes(len)),
        ("random", |dice, len| dice.bytes(len)),
        ("random", |dice, len| dice.bytes(len)),
        ("random", |dice, len| dice.bytes(len)),
        ("random", |dice, len| dice.bytes(len)),
        ("zlib", zlib),
        ("zstd", zstd),
        ("text", text),
        ("zeros", |_, len| vec![0; len]),
        ("ones", |_, len| vec![0xff; len]),
        ("counter", counter),
        ("small", small),
    ];
    let (name, make) = kinds[flow % kinds.len()];
    for _ in 0..=dice.below(7) {
        let len = match dice.below(4) {
            0 => 1 + dice.below(24),
            1 => 1 + dice.below(128),
            2 => 1 + dice.below(1460),
            _ => [8, 12, 16, 20, 28, 32, 48, 64, 1200, 1460][dice.below(10)],
        };
        let bytes = make(dice, len);
        talk = if dice.below(2) == 0 { talk.c(bytes) } else { talk.s(bytes) };
    }
    (name, talk)
}

fn zlib(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut out = vec![0x78, [0x01, 0x9c, 0xda][dice.below(3)]];
    out.extend(dice.bytes(len));
    out
}

fn zstd(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58];
    out.extend(dice.bytes(len));
    out
}

/// Words and lines that mean nothing.
fn text(dice: &mut Dice, len: usize) -> Vec<u8> {
    const CHARS: &[u8] = b"etaoinshrdlu ETAOINSHRDLU 0123456789 .,:;-/=<>\"'()[]{}\r\n*+$";
    (0..len).map(|_| CHARS[dice.below(CHARS.len())]).collect()
}

/// Numbers that count up, of one, two or four bytes.
fn counter(dice: &mut Dice, len: usize) -> Vec<u8> {
    let width = [1, 2, 4][dice.below(3)];
    let first = dice.next() as u32 & 0xffff;
    (0..len.div_ceil(width) as u32)
        .flat_map(|step| first.wrapping_add(step).to_be_bytes()[4 - width..].to_vec())
        .collect()
}

/// Small numbers and many zeros, as in the records of a game or a device.
fn small(dice: &mut Dice, len: usize) -> Vec<u8> {
    (0..len).map(|_| if dice.below(3) == 0 { dice.below(20) as u8 } else { 0 }).collect()
}
