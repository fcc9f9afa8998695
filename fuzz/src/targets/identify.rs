//! Any bytes as the payloads of one flow, and as what names are read from.

use flowkeep_core::identify::engine::{HELLO, MAX_TURNS};
use flowkeep_core::identify::names::{cert, dns, fingerprint, http, quic, tls};
use flowkeep_core::identify::{Engine, Input, State, Transport};

use super::note;

const TRANSPORTS: [Transport; 6] =
    [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Ip(1), Transport::Ip(89), Transport::Ip(50)];

thread_local! {
    static ENGINE: std::cell::RefCell<Engine> = std::cell::RefCell::new(Engine::default());
}

/// An answer is the same when asked again, evidence lies in bounds, and nothing is held once a flow is over.
pub fn identify(data: &[u8], notes: &mut Vec<u64>) {
    names(data, notes);
    ENGINE.with_borrow_mut(|engine| {
        let one = flow(engine, data);
        let again = flow(engine, data);
        assert_eq!(one, again, "the same bytes, another answer");
        assert_eq!(engine.room(), 0, "the flow is over and holds bytes");
        notes.push(note(&one));
    });
}

fn flow(engine: &mut Engine, data: &[u8]) -> Option<(String, u8, String)> {
    let (&kind, mut rest) = data.split_first()?;
    let transport = TRANSPORTS[usize::from(kind & 7) % TRANSPORTS.len()];
    let known = kind & 8 != 0;
    let mut state = State::default();
    let mut next = [100_u32, 200];
    // A packet: end and options, two bytes of length, and what is not captured of it.
    while let [head, high, low, more, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high & 0x1f, *low])).min(tail.len());
        let (bytes, behind) = tail.split_at(len);
        rest = behind;
        let dir = head & 1;
        let jump = i32::from(*head as i8 >> 2) * i32::from(head & 2 != 0);
        let seq = next[usize::from(dir)].wrapping_add_signed(jump);
        let input = Input {
            transport,
            dir,
            bytes,
            len: len as u32 + u32::from(*more),
            seq,
            start: known.then_some([100, 200][usize::from(dir)]),
            opener: known.then_some(0),
        };
        engine.feed(&mut state, &input);
        next[usize::from(dir)] = seq.wrapping_add(input.len);
        assert!(engine.room() <= 2 * (2 * HELLO + MAX_TURNS * 64) + 4 * (1 << 16), "one flow holds too much");
    }
    let answer = engine.finish(&mut state)?;
    assert!(answer.confidence <= 100 && answer.dir <= 1 && answer.client <= 1);
    Some((engine.path(&answer).into_owned(), answer.confidence, engine.rule(&answer)))
}

fn names(data: &[u8], notes: &mut Vec<u64>) {
    let mut room = Vec::new();
    if let Ok((_, body, whole)) = tls::handshake(data, &mut room) {
        if let Ok(hello) = tls::ClientHello::read(body, whole, false) {
            assert_eq!(fingerprint::ja3(&hello).len(), 32);
            assert_eq!(fingerprint::ja4(&hello, fingerprint::Carrier::Tcp).len(), 36);
            notes.push(1);
        }
    }
    notes.push(note(&cert::of_server(data).is_ok()));
    notes.push(note(&cert::holders(data).map(|h| h.subject.len().min(8))));
    notes.push(note(&quic::client_hello(data.chunks(1200)).map(|(_, whole)| whole)));
    let mut name = Vec::new();
    let walked = dns::addresses(data, |at, _| {
        if dns::name(data, at, &mut name).is_ok() {
            assert!(name.len() <= dns::MAX_NAME);
        }
    });
    notes.push(note(&walked.is_ok()));
    notes.push(note(&http::Request::read(data).map(|r| r.host().is_some())));
}

/// Openings of common protocols, each as one flow.
pub fn seeds() -> Vec<Vec<u8>> {
    let talks: [(u8, &[&[u8]]); 8] = [
        (8, &[b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]),
        (8, &[b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\x04\x13\x01\xc0\x2f\x01\0"]),
        (8, &[b"", b"220 a.example ESMTP\r\n", b"EHLO b\r\n"]),
        (8, &[b"SSH-2.0-a\r\n", b"SSH-2.0-b\r\n"]),
        (1, &[b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01"]),
        (1, &[b"\xc3\0\0\0\x01\x08aaaaaaaa\0\0\x40\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
        (1, &[b"\0\x01\0\x08\x21\x12\xa4\x42aaaaaaaaaaaa\0\x06\0\x04user"]),
        (3, &[b"\x08\0\xf7\xff\0\0\0\0"]),
    ];
    let mut all: Vec<Vec<u8>> = talks
        .iter()
        .map(|(kind, parts)| {
            let mut data = vec![*kind];
            for (i, part) in parts.iter().enumerate() {
                data.extend([(i & 1) as u8, (part.len() >> 8) as u8, part.len() as u8, 0]);
                data.extend(*part);
            }
            data
        })
        .collect();
    all.extend(talks.iter().map(|(_, parts)| parts[0].to_vec()));
    all
}
