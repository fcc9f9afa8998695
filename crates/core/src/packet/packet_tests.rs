//! Any bytes give an answer, and what the answer says is inside the packet.

use proptest::prelude::*;

use super::*;

const LINKS: [u16; 26] = [
    0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 166, 178, 179, 181, 192, 204, 205, 228,
    229, 274, 276,
];

fn tcp4(sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0; 12];
    p.extend([8, 0, 0x45, 0]);
    p.extend((40 + payload.len() as u16).to_be_bytes());
    p.extend([0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1]);
    p.extend(sport.to_be_bytes());
    p.extend(dport.to_be_bytes());
    p.extend([0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    p.extend(payload);
    p
}

#[test]
fn a_plain_segment_is_read() {
    let p = tcp4(40000, 443, b"hello");
    let f = read(1, &p, p.len() as u32, &Options::default());
    assert_eq!((f.class, f.reason, f.dir), (Class::Flow, NoFlow::None, 1));
    assert_eq!((f.key.lo_port, f.key.hi_port, f.key.proto, f.key.version), (443, 40000, 6, 4));
    assert_eq!((f.payload, f.header_len, f.seq, f.ack, f.window, f.tcp_flags), (5, 54, 7, 9, 256, 0x18));
    assert_eq!((f.anomalies, f.ip_at, f.transport_at), (0, 14, 34));
}

#[test]
fn offsets_are_those_of_the_innermost_headers() {
    let inner = &tcp4(40000, 443, b"hello")[14..];
    let mut p = vec![0x45, 0];
    p.extend((20 + inner.len() as u16).to_be_bytes());
    p.extend([0, 1, 0, 0, 64, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    p.extend(inner);
    let f = read(101, &p, p.len() as u32, &Options::default());
    assert_eq!((f.ip_at, f.transport_at, f.header_len), (20, 40, 60));
    let f = read(101, &p, p.len() as u32, &Options { outer: true, ..Options::default() });
    assert_eq!((f.ip_at, f.transport_at), (0, 20));
    let f = read(1, &[0xff; 60], 60, &Options::default());
    assert_eq!((f.ip_at, f.transport_at), (Facts::NOWHERE, Facts::NOWHERE));
}

#[test]
fn a_snapped_segment_keeps_its_true_payload() {
    let p = tcp4(40000, 443, &[7; 1000]);
    let f = read(1, &p[..60], p.len() as u32, &Options::default());
    assert_eq!((f.payload, f.header_len, f.anomalies), (1000, 54, 0));
    let f = read(1, &p[..40], p.len() as u32, &Options::default());
    assert_eq!((f.key.hi_port, f.anomalies), (40000, anomaly::TRANSPORT_CUT));
    let f = read(1, &p[..30], p.len() as u32, &Options::default());
    assert_eq!(f.reason, NoFlow::Malformed);
}

#[test]
fn a_length_beyond_the_frame_counts_nothing() {
    let mut p = tcp4(40000, 443, b"hello");
    p[16..18].copy_from_slice(&60_000_u16.to_be_bytes());
    let f = read(1, &p, p.len() as u32, &Options::default());
    assert_eq!((f.payload, f.header_len, f.anomalies), (5, 54, anomaly::IP_LENGTH));
    // snapped: the frame was longer, as its original length says
    let f = read(1, &p, 1054, &Options::default());
    assert_eq!((f.payload, f.anomalies), (1000, anomaly::IP_LENGTH));
}

#[test]
fn link_types_of_one_ip_version_read_the_other_one() {
    let four = &tcp4(40000, 443, b"")[14..];
    let mut six = vec![0x60, 0, 0, 0, 0, 0, 59, 64];
    six.extend([1; 16]);
    six.extend([2; 16]);
    for link in [228, 229] {
        let of = |p: &[u8]| read(link, p, p.len() as u32, &Options::default());
        assert_eq!((of(four).key.version, of(&six).key.version), (4, 6));
        assert_eq!(of(&[0x50; 40]).reason, NoFlow::Malformed);
    }
}

#[test]
fn an_endless_stack_of_headers_ends() {
    let mut p = vec![0; 12];
    for _ in 0..500 {
        p.extend([0x81, 0, 0, 1]);
    }
    let f = read(1, &p, p.len() as u32, &Options::default());
    assert_eq!((f.reason, f.anomalies), (NoFlow::Malformed, anomaly::TOO_DEEP));
    let mut p = Vec::new();
    for _ in 0..60 {
        p.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    }
    let f = read(101, &p, p.len() as u32, &Options::default());
    assert_eq!((f.reason, f.anomalies & anomaly::TOO_DEEP), (NoFlow::None, anomaly::TOO_DEEP));
    assert_eq!(f.tunnels, 0x5555);
}

#[test]
fn the_hash_tells_keys_apart_and_depends_on_the_seed() {
    let p = tcp4(40000, 443, b"");
    let key = read(1, &p, 54, &Options::default()).key;
    let mut seen = std::collections::HashSet::new();
    for port in 0..20_000 {
        assert!(seen.insert(Key { hi_port: port, ..key }.hash(Seed(1, 2)) >> 16));
    }
    assert_ne!(key.hash(Seed(1, 2)), key.hash(Seed(1, 3)));
    assert_ne!(key.hash(Seed(1, 2)), key.hash(Seed(2, 2)));
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(
        link in prop::sample::select(&LINKS[..]),
        data in prop::collection::vec(any::<u8>(), 0..200),
        wirelen in 0_u32..70_000,
        outer: bool,
    ) {
        let f = read(link, &data, wirelen, &Options { outer, key_vlan: outer });
        prop_assert!(f.header_len as usize <= data.len());
        prop_assert_eq!(f.class == Class::NoFlow, f.reason != NoFlow::None);
        prop_assert!((f.key.lo, f.key.lo_port) <= (f.key.hi, f.key.hi_port));
        prop_assert!(!outer || f.tunnels == 0);
    }

    #[test]
    fn a_changed_byte_or_length_of_a_real_packet_is_survived(at in 0_usize..64, value: u8, cut in 0_usize..64) {
        let mut p = tcp4(4789, 443, &[0x45; 40]);
        p[23] = 17;
        p[at] = value;
        p.truncate(p.len() - cut);
        let f = read(1, &p, 94, &Options::default());
        prop_assert!(f.header_len as usize <= p.len());
    }

    #[test]
    fn both_directions_have_one_key(sport: u16, dport: u16) {
        let there = tcp4(sport, dport, b"");
        let mut back = tcp4(dport, sport, b"");
        back[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        let (a, b) = (read(1, &there, 54, &Options::default()), read(1, &back, 54, &Options::default()));
        prop_assert_eq!(a.key, b.key);
        prop_assert_ne!(a.dir, b.dir);
    }
}
