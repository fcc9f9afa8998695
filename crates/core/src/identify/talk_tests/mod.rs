//! Conversations as software in use has them: all of it, one direction alone, and from the middle.

mod binary;
mod grams;
mod text;

use super::names::tls::tests::{client_hello, in_record};
use super::testkit::{cat, hex, tcp, udp, Dice, Talk};

/// A protocol, a conversation, and the ends (`c`, `s`) that tell it alone.
type Case = (&'static str, &'static str, Talk);

fn plants() -> Vec<Case> {
    vec![
        (
            "modbus",
            "",
            tcp().c(hex("0001 0000 0006 01 03 0000 0002")).s(hex("0001 0000 0007 01 03 04 0001 0002")),
        ),
        ("modbus", "", tcp().c(hex("0001 0000 0006 11 01 0013 0025")).s(hex("0001 0000 0003 11 81 02"))),
        (
            "iec104",
            "",
            tcp()
                .c(hex("68 04 07 00 00 00"))
                .s(hex("68 04 0b 00 00 00"))
                .c(hex("68 0e 00 00 00 00 64 01 06 00 01 00 00 00 00 14")),
        ),
        (
            "s7comm",
            "c",
            tcp()
                .c(hex("03000016 11e0 0000 0001 00 c0010a c1020100 c2020102"))
                .s(hex("03000016 11d0 0001 0002 00 c0010a c1020100 c2020102"))
                .c(hex("03000019 02f080 32010000 0000 0008 0000 f000 0001 0001 01e0")),
        ),
        (
            "enip",
            "cs",
            tcp()
                .c(cat(&[&hex("6500 0400 00000000 00000000"), &[1; 8], &hex("00000000 0100 0000")]))
                .s(cat(&[&hex("6500 0400 78563412 00000000"), &[1; 8], &hex("00000000 0100 0000")])),
        ),
        ("bacnet", "c", udp().c(hex("81 0b 000c 01 20 ffff 00 ff 10 08"))),
        ("dnp3", "cs", tcp().c(dnp3(0xc4, [1, 0, 2, 0])).s(dnp3(0x44, [2, 0, 1, 0]))),
        (
            "opcua",
            "c",
            tcp().c(cat(&[
                b"HELF",
                &hex("30000000 00000000 ffff0000 ffff0000 00000000 00000000 10000000"),
                b"opc.tcp://a:4840",
            ])),
        ),
    ]
}

fn dnp3(control: u8, ends: [u8; 4]) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let crc = bytes.iter().fold(0u16, |crc, &byte| {
            (0..8)
                .fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa6bc } else { crc >> 1 })
        });
        (!crc).to_le_bytes()
    };
    let head = cat(&[&[0x05, 0x64, 0x0b, control], &ends]);
    let body = [0xc0, 0xc1, 0x01, 0x3c, 0x02, 0x06];
    cat(&[&head, &sum(&head), &body, &sum(&body)])
}

/// Hellos of several ages, in segments, and what a connection looks like from the middle.
fn secure() -> Vec<Case> {
    let asks = |version: u8, len: usize| {
        let mut body = client_hello("a.example", &["h2"]);
        body[1] = version;
        if version < 3 {
            body.truncate(43); // ciphers and no extensions
        }
        let record = in_record(1, &body);
        record.chunks(record.len().div_ceil(len)).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let answers = |version: u8, new: bool| {
        let rest: &[u8] = if new { &[0, 6, 0, 43, 0, 2, 3, 4] } else { &[] };
        in_record(2, &cat(&[&[3, version], &Dice(11).bytes(32), &[0, 0x13, 1, 0], rest]))
    };
    let data =
        |seed: u64, len: usize| cat(&[&[23, 3, 3, (len >> 8) as u8, len as u8], &Dice(seed).bytes(len)]);
    let mut list = Vec::new();
    for (version, new) in [(1, false), (2, false), (3, false), (3, true)] {
        list.push(("tls", "cs", tcp().c(&asks(version, 1)[0]).s(answers(version, new))));
    }
    list.push(("tls", "cs", asks(3, 5).iter().fold(tcp(), Talk::c).s(answers(3, true))));
    list.push(("tls", "c", tcp().c(&asks(3, 1)[0]).s([21, 3, 3, 0, 2, 2, 70])));
    list.push(("tls", "", tcp().midway().c(data(1, 100)).s(data(2, 1200)).s(data(3, 300))));
    for version in [0xff, 0xfd] {
        let body = cat(&[&[0xfe, version], &Dice(12).bytes(32), &hex("00 00 0004 c02bc02f 01 00 0000")]);
        let len = body.len() as u8;
        let message = cat(&[&[1, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len], &body]);
        let ask = cat(&[&[22, 0xfe, version], &[0; 8], &[0, message.len() as u8], &message]);
        let verify = hex("16 feff 0000 000000000000 0023 03 000017 0000 000000 000017 feff 14");
        let verify = cat(&[&verify, &Dice(13).bytes(20)]);
        list.push(("dtls", "cs", udp().c(ask).s(verify)));
    }
    list
}

fn cases() -> Vec<Case> {
    [text::cases(), binary::cases(), secure(), grams::cases(), plants()].concat()
}

#[test]
fn conversations_are_named_whole_and_from_the_middle() {
    let mut wrong = Vec::new();
    for (number, (label, _, talk)) in cases().into_iter().enumerate() {
        for (how, talk) in [("whole", talk.clone()), ("no SYN", talk.midway())] {
            let said = talk.label();
            if said != label && !said.ends_with(&format!("/{label}")) {
                wrong.push(format!("{number} {label} {how}: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn one_direction_is_named_where_it_tells_and_never_something_else() {
    let (mut wrong, mut told, mut all) = (Vec::new(), 0, 0);
    for (number, (label, ends, talk)) in cases().into_iter().enumerate() {
        for (end, letter) in [(0, 'c'), (1, 's')] {
            let Some(half) = talk.only(end) else { continue };
            let said = half.midway().label();
            let named = said == label || said.ends_with(&format!("/{label}"));
            all += 1;
            told += usize::from(named);
            // A client of SMB 2 may begin with a message of SMB 1.
            let kin = matches!((label, &*said), ("smb2", "smb1") | ("epm", "dcerpc"));
            if !named && (!(said.is_empty() || kin) || ends.contains(letter)) {
                wrong.push(format!("{number} {label} {letter}: {said:?}"));
            } else if named && !ends.contains(letter) {
                println!("{number} {label} {letter} is named, too");
            }
        }
    }
    println!("{told} of {all} directions are named alone");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
