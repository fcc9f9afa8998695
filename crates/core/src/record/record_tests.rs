//! Captures in every dialect and byte order; pieces give what the whole gives.

use proptest::prelude::*;

use super::*;
use crate::error::{DamageKind, NotACapture};

type Packet = (u32, u32, Vec<u8>, u32); // seconds, fraction, bytes, original length

fn u32s(order: ByteOrder, values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| order.put_u32(*v)).collect()
}

fn pcap(order: ByteOrder, magic: u32, version: (u16, u16), extra: usize, packets: &[Packet]) -> Vec<u8> {
    let halves = match order {
        ByteOrder::Little => u32::from(version.1) << 16 | u32::from(version.0),
        ByteOrder::Big => u32::from(version.0) << 16 | u32::from(version.1),
    };
    let mut file = u32s(order, &[magic, halves, 0, 0, 65535, 101]);
    for (s, f, bytes, wire) in packets {
        let swapped = version.1 < 3;
        let (a, b) = (bytes.len() as u32, *wire);
        file.extend(u32s(order, &[*s, *f, if swapped { b } else { a }, if swapped { a } else { b }]));
        file.resize(file.len() + extra, 0);
        file.extend(bytes);
    }
    file
}

fn block(order: ByteOrder, kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (12 + bytes::padded(body.len())) as u32;
    let mut b = u32s(order, &[kind, len]);
    b.extend(body);
    b.resize(len as usize - 4, 0);
    b.extend(order.put_u32(len));
    b
}

fn section(order: ByteOrder) -> Vec<u8> {
    let version = match order {
        ByteOrder::Little => 1,
        ByteOrder::Big => 1 << 16,
    };
    block(order, 0x0a0d_0d0a, &u32s(order, &[0x1a2b_3c4d, version, u32::MAX, u32::MAX]))
}

fn interface(order: ByteOrder, link: u16, tsresol: Option<u8>) -> Vec<u8> {
    let mut body = match order {
        ByteOrder::Little => link.to_le_bytes().to_vec(),
        ByteOrder::Big => link.to_be_bytes().to_vec(),
    };
    body.extend([0, 0, 0, 0, 0, 0]);
    if let Some(raw) = tsresol {
        let head = if order == ByteOrder::Big { [0, 9, 0, 1] } else { [9, 0, 1, 0] };
        body.extend(head);
        body.extend([raw, 0, 0, 0, 0, 0, 0, 0]);
    }
    block(order, 1, &body)
}

fn enhanced(order: ByteOrder, iface: u32, units: u64, data: &[u8], wire: u32) -> Vec<u8> {
    let mut body = u32s(order, &[iface, (units >> 32) as u32, units as u32, data.len() as u32, wire]);
    body.extend(data);
    body.resize(bytes::padded(body.len()), 0);
    body.extend(match order {
        ByteOrder::Little => [1, 0, 2, 0],
        ByteOrder::Big => [0, 1, 0, 2],
    });
    body.extend(b"hi\0\0\0\0\0\0");
    block(order, 6, &body)
}

fn walk(file: &[u8]) -> (Walker, Vec<Record>, Walked) {
    let mut walker = Walker::open(file).unwrap();
    let head = walker.header_len();
    let mut records = Vec::new();
    let walked = walker.walk(&file[head..], head as u64, true, usize::MAX, &mut records);
    for r in &mut records {
        r.start += head as u32;
        r.data += head as u32;
    }
    (walker, records, walked)
}

fn some() -> Vec<Packet> {
    vec![(1, 999_999, vec![1; 40], 40), (2, 5, vec![2; 3], 1500), (2, 6, vec![], 9), (3, 0, vec![4; 77], 77)]
}

#[test]
fn every_magic_in_both_orders() {
    let cases = [
        (0xa1b2_c3d4, (2, 4), 0, "pcap", 1000),
        (0xa1b2_c3d4, (2, 2), 0, "pcap", 1000),
        (0xa1b2_3c4d, (2, 4), 0, "pcap-ns", 1),
        (0xa1b2_cd34, (2, 4), 8, "pcap-modified", 1000),
    ];
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for (magic, version, extra, name, unit) in cases {
            let file = pcap(order, magic, version, extra, &some());
            let (walker, records, walked) = walk(&file);
            assert_eq!((walker.format(), walked.damage), (name, None), "{order:?} {magic:x}");
            let found: Vec<_> = records
                .iter()
                .map(|r| (r.ts, r.caplen, r.wirelen, file[r.data as usize..][..r.caplen as usize].to_vec()))
                .collect();
            let wanted: Vec<_> = some()
                .into_iter()
                .map(|(s, f, b, w)| {
                    (i64::from(s) * 1_000_000_000 + i64::from(f) * unit, b.len() as u32, w, b)
                })
                .collect();
            assert_eq!(found, wanted);
            assert_eq!((records[0].link, walker.big_endian()), (101, order == ByteOrder::Big));
        }
    }
}

#[test]
fn whole_records_are_never_taken_for_another_dialect() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        // 48 bytes of lengths that make no sense are also two record headers of 24 bytes.
        let strange = [(0, 0, vec![], 0), (0, 0, vec![], 0), (0, 0, vec![], 0x4a00_0000)];
        let (walker, records, walked) = walk(&pcap(order, 0xa1b2_c3d4, (2, 4), 0, &strange));
        assert_eq!((walker.format(), walker.evidence(), records.len()), ("pcap", 0, 3), "{order:?}");
        assert_eq!(walked.damage, None);
    }
}

#[test]
fn the_bytes_that_tell_a_dialect_tell_it_alone() {
    let packets: Vec<Packet> = (0..20).map(|n| (1_700_000_000, n, vec![1; 40], 40)).collect();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let file = pcap(order, 0xa1b2_c3d4, (2, 4), 8, &packets);
        let (walker, records, _) = walk(&file);
        assert_eq!((walker.format(), records.len()), ("pcap-modified", 20), "{order:?}");
        let telling = records.iter().filter(|r| u64::from(r.start) < walker.evidence()).count();
        let kept = &file[..records[telling].start as usize];
        assert_eq!(walk(kept).0.format(), "pcap-modified");
        assert!(telling <= 3, "{telling} records are kept");
    }
}

#[test]
fn sections_and_interfaces_of_both_orders() {
    let mut file = Vec::new();
    for order in [ByteOrder::Big, ByteOrder::Little] {
        file.extend(section(order));
        file.extend(interface(order, 1, None));
        file.extend(interface(order, 113, Some(9)));
        file.extend(enhanced(order, 1, 1_700_000_000_000_000_001, b"abcde", 60));
        file.extend(block(order, 0x0bad, b"unknown blocks are skipped"));
        file.extend(block(order, 3, &[order.put_u32(5).to_vec(), b"simple..".to_vec()].concat()));
        file.extend(enhanced(order, 0, 1_700_000_000_000_000, b"", 60));
    }
    let (walker, records, walked) = walk(&file);
    assert_eq!((walked.damage, walker.sections(), walker.interfaces().len()), (None, 2, 4));
    let seen: Vec<_> =
        records.iter().map(|r| (r.iface, r.link, r.ts - 1_700_000_000_000_000_000, r.caplen)).collect();
    assert_eq!(
        seen,
        [(1, 113, 1, 5), (0, 1, 1, 5), (0, 1, 0, 0), (3, 113, 1, 5), (2, 1, 1, 5), (2, 1, 0, 0)]
    );
}

#[test]
fn shortened_records_read_back_shorter() {
    let mut files = vec![
        pcap(ByteOrder::Big, 0xa1b2_c3d4, (2, 4), 0, &some()),
        pcap(ByteOrder::Little, 0xa1b2_c3d4, (2, 2), 0, &some()),
        pcap(ByteOrder::Little, 0xa1b2_cd34, (2, 4), 8, &some()),
    ];
    for order in [ByteOrder::Big, ByteOrder::Little] {
        files.push(
            [section(order), interface(order, 1, None), enhanced(order, 0, 77, b"abcdefg", 60)].concat(),
        );
    }
    for file in files {
        let (walker, records, _) = walk(&file);
        let mut out = file[..records[0].start as usize].to_vec();
        for r in &records {
            let bytes = &file[r.start as usize..(r.start + r.len) as usize];
            let done = shorten(walker.shape(), bytes, r, 5, &mut out);
            assert_eq!(done, r.caplen > 5);
            if !done {
                out.extend(bytes);
            }
        }
        let (_, again, walked) = walk(&out);
        assert_eq!(walked.damage, None);
        for (old, new) in records.iter().zip(&again) {
            assert_eq!((new.ts, new.wirelen, new.link), (old.ts, old.wirelen, old.link));
            assert_eq!(new.caplen, old.caplen.min(5));
            let len = new.caplen as usize;
            assert_eq!(out[new.data as usize..][..len], file[old.data as usize..][..len]);
        }
        assert_eq!(again.len(), records.len());
    }
}

#[test]
fn a_simple_packet_cannot_be_shortened() {
    let o = ByteOrder::Little;
    let file =
        [section(o), interface(o, 1, None), block(o, 3, &[o.put_u32(8).to_vec(), vec![0; 8]].concat())]
            .concat();
    let (walker, records, _) = walk(&file);
    let bytes = &file[records[0].start as usize..];
    assert!(!shorten(walker.shape(), bytes, &records[0], 2, &mut Vec::new()));
}

#[test]
fn damage_says_where_and_why() {
    let good = pcap(ByteOrder::Little, 0xa1b2_c3d4, (2, 4), 0, &some());
    let (_, records, walked) = walk(&good[..good.len() - 1]);
    let damage = walked.damage.unwrap();
    assert_eq!(
        (records.len(), damage.kind, damage.offset),
        (3, DamageKind::Truncated, (good.len() - 93) as u64)
    );
    let mut bad = good.clone();
    bad[24 + 16 + 40 + 8 + 3] = 0x7f;
    let (_, records, walked) = walk(&bad);
    let damage = walked.damage.unwrap();
    assert_eq!((records.len(), damage.kind, damage.offset), (1, DamageKind::BadLength, 80));
    assert_eq!(Walker::open(b"").unwrap_err(), NotACapture::Empty);
    assert!(matches!(Walker::open(b"GET / HTTP/1.1").unwrap_err(), NotACapture::UnknownFormat { .. }));
    assert!(matches!(
        Walker::open(&good[..20]).unwrap_err(),
        NotACapture::ShortHeader { needed: 24, found: 20 }
    ));
    let o = ByteOrder::Big;
    let mut no_interface = section(o);
    no_interface.extend(enhanced(o, 0, 0, b"", 0));
    assert_eq!(walk(&no_interface).2.damage.unwrap().kind, DamageKind::BadBlock);
}

fn capture() -> impl Strategy<Value = Vec<u8>> {
    let packet = (any::<u32>(), 0_u32..1_000_000, prop::collection::vec(any::<u8>(), 0..90), 0_u32..2000);
    let packets = prop::collection::vec(packet, 0..20);
    (packets, any::<bool>(), any::<bool>()).prop_map(|(packets, big, ng)| {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        if !ng {
            return pcap(order, 0xa1b2_c3d4, (2, 4), 0, &packets);
        }
        let mut file = [section(order), interface(order, 1, Some(0x8a))].concat();
        for (s, f, bytes, wire) in packets {
            file.extend(enhanced(order, 0, u64::from(s) << 20 | u64::from(f), &bytes, wire));
        }
        file
    })
}

proptest! {
    #[test]
    fn pieces_give_what_the_whole_gives(
        file in capture(), cuts in prop::collection::vec(any::<u16>(), 0..8), garbage: bool, at: u16, value: u8,
    ) {
        let mut file = file;
        if garbage && file.len() > 30 {
            let at = 24 + at as usize % (file.len() - 24);
            file[at] = value;
        }
        let Ok(mut walker) = Walker::open(&file) else { return Ok(()) };
        let (_, whole, end) = walk(&file);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| *c as usize % (file.len() + 1)).collect();
        cuts.push(file.len());
        cuts.sort_unstable();
        let mut next = walker.header_len();
        let mut records = Vec::new();
        let mut damage = None;
        for cut in cuts {
            if cut < next { continue; }
            let from = records.len();
            let walked = walker.walk(&file[next..cut], next as u64, cut == file.len(), usize::MAX, &mut records);
            for r in &mut records[from..] {
                r.start += next as u32;
                r.data += next as u32;
            }
            next += walked.consumed;
            damage = walked.damage;
        }
        prop_assert_eq!(records, whole);
        prop_assert_eq!(damage, end.damage);
    }

    #[test]
    fn any_bytes_are_survived(
        magic in prop::sample::select(vec![0xa1b2_c3d4_u32, 0xa1b2_cd34, 0x0a0d_0d0a, 0x1c00_01ab]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut file = magic.to_le_bytes().to_vec();
        if magic == 0x0a0d_0d0a {
            file.extend(&section(ByteOrder::Little)[4..]);
        }
        file.extend(rest);
        if let Ok(walker) = Walker::open(&file) {
            prop_assert!(walker.header_len() <= file.len());
            for r in walk(&file).1 {
                prop_assert!(r.data + r.caplen <= r.start + r.len);
                prop_assert!((r.start + r.len) as usize <= file.len());
            }
        }
    }
}
