//! Inputs to begin with: small, whole, and of as many kinds as there are parsers. What they lack, changes find.

use std::io::Write;

use flowkeep_io::codec::{Compression, Writer};

/// Link types under which headers are read, and some that are not known.
pub const LINKS: [u16; 28] = [
    0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 166, 178, 179, 181, 192, 204, 205, 228,
    229, 274, 276, 147, 189,
];

const ETHER_IP4: [u8; 14] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn length(n: usize) -> [u8; 2] {
    (n as u16).to_be_bytes()
}

fn ip4(proto: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let ends = [10, 0, 0, 1, 10, 0, 0, 2];
    let [high, low] = fragment.to_be_bytes();
    joined(&[&[0x45, 0], &length(20 + body.len()), &[0, 7, high, low, 64, proto, 0, 0], &ends, body])
}

fn ip6(next: u8, body: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = ([0x20_u8; 16], [0x20_u8; 16]);
    (from[15], to[15]) = (1, 2);
    joined(&[&[0x60, 0, 0, 0], &length(body.len()), &[next, 64], &from, &to, body])
}

fn tcp(flags: u8) -> Vec<u8> {
    let options = [2, 4, 5, 180, 1, 3, 3, 7];
    joined(&[
        &[0x9c, 0x40, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x70, flags, 1, 0, 0, 0, 0, 0],
        &options,
        b"data",
    ])
}

fn udp(port: u16, body: &[u8]) -> Vec<u8> {
    joined(&[&[0xc3, 0x50], &port.to_be_bytes(), &length(8 + body.len()), &[0, 0], body])
}

fn ether(body: &[u8]) -> Vec<u8> {
    joined(&[&ETHER_IP4, body])
}

/// IP packets: every transport, fragments, extension headers, tunnels.
fn packets() -> Vec<Vec<u8>> {
    let inner = ip4(17, 0, &udp(53, b"query"));
    let mut all = vec![
        ip4(6, 0, &tcp(2)),
        ip4(6, 0, &tcp(0x18)),
        ip6(6, &tcp(0x11)),
        inner.clone(),
        ip4(17, 0x2000, &udp(53, &[7; 16])),
        ip4(17, 3, &[7; 24]),
        ip4(1, 0, &[8, 0, 0, 0, 0, 1, 0, 1]),
        ip4(132, 0, &[0x9c, 0x40, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 0, 16]),
        ip4(89, 0, &[2, 1, 0, 44]),
        ip6(58, &[128, 0, 0, 0, 0, 1, 0, 1]),
        ip6(
            0,
            &joined(&[
                &[60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9],
                &udp(9, b"x"),
            ]),
        ),
        ip4(4, 0, &inner),
        ip4(41, 0, &ip6(17, &udp(53, b"query"))),
        ip4(47, 0, &joined(&[&[0, 0, 8, 0], &inner])),
        ip4(47, 0, &joined(&[&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6], &inner])),
        ip4(47, 0, &joined(&[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0], &ether(&inner)])),
        ip4(115, 0, &joined(&[&[0, 0, 0, 9], &ether(&inner)])),
    ];
    let over = [
        (4789, joined(&[&[8, 0, 0, 0, 0, 0, 7, 0], &ether(&inner)])),
        (6081, joined(&[&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 0], &ether(&inner)])),
        (2152, joined(&[&[0x30, 255], &length(inner.len()), &[0, 0, 0, 1], &inner])),
        (3544, ip6(17, &udp(53, b"query"))),
        (1701, joined(&[&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &inner])),
        (5247, joined(&[&[0, 0x10, 2, 0, 0, 1, 0, 0], &ether(&inner)])),
    ];
    all.extend(over.iter().map(|(port, body)| ip4(17, 0, &udp(*port, body))));
    all
}

/// Frames of every link layer around every packet.
pub fn frames() -> Vec<Vec<u8>> {
    let heads: [&[u8]; 17] = [
        &[],
        &ETHER_IP4,
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xa8, 0, 100, 0x81, 0, 0, 7, 8, 0],
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x47, 0, 1, 0, 64, 0, 1, 1, 64],
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x64, 0x11, 0, 0, 1, 0, 80, 0, 0x21],
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0, 90, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0],
        &[2, 0, 0, 0],
        &[0xff, 3, 0, 0x21],
        &[0x0f, 0, 8, 0],
        &[0x11, 0, 0, 1, 0, 80, 0, 0x21],
        &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0],
        &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
        &[
            0, 0, 10, 0, 6, 0, 0, 0, 0x10, 2, 0x88, 1, 0, 0, 2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0,
            0, 2, 16, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0,
        ],
        &[0, 0, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
        &[b'M', b'G', b'C', 0x80, 0, 2, 1, 2, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
        &[0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
        &[0x0f, 0x0f, 0, 8, 0],
    ];
    let packets = packets();
    heads.iter().flat_map(|head| packets.iter().map(|p| joined(&[head, p])).collect::<Vec<_>>()).collect()
}

/// Numbers in one byte order.
fn words(big: bool, numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| if big { n.to_be_bytes() } else { n.to_le_bytes() }).collect()
}

fn halves(big: bool, numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| if big { n.to_be_bytes() } else { n.to_le_bytes() }).collect()
}

fn pcap(magic: u32, big: bool, link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = words(big, &[magic]);
    out.extend(halves(big, &[2, 4]));
    out.extend(words(big, &[0, 0, 65_535, link]));
    for (i, frame) in frames.iter().enumerate() {
        let n = frame.len() as u32;
        out.extend(words(big, &[1_700_000_000, i as u32, n, n]));
        if matches!(magic, 0xa1b2_cd34 | 0xa1e2_cb12) {
            out.extend(words(big, &[2, 0x0800_0000]));
        }
        out.extend_from_slice(frame);
    }
    out
}

fn block(big: bool, kind: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut body = parts.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let size = body.len() as u32 + 12;
    joined(&[&words(big, &[kind, size]), &body, &words(big, &[size])])
}

/// A section with options, three kinds of packet block, names, secrets, statistics and an unknown block.
fn section(big: bool, link: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let comment = joined(&[&halves(big, &[1, 4]), b"seed", &[0; 4]]);
    let resolution = joined(&[&halves(big, &[9, 1]), &[9, 0, 0, 0], &[0; 4]]);
    let version = halves(big, &[1, 0]);
    let mut out = block(big, 0x0a0d_0d0a, &[&words(big, &[0x1a2b_3c4d]), &version, &[0xff; 8], &comment]);
    out.extend(block(big, 1, &[&halves(big, &[link, 0]), &words(big, &[0])]));
    out.extend(block(big, 1, &[&halves(big, &[link, 0]), &words(big, &[96]), &resolution]));
    out.extend(block(big, 4, &[&halves(big, &[1, 8]), &[10, 0, 0, 1], b"a.b\0", &[0; 4]]));
    out.extend(block(big, 10, &[&words(big, &[0x544c_534b, 4]), b"keys"]));
    for (i, frame) in frames.iter().enumerate() {
        let n = frame.len() as u32;
        let time = [0x0006_0a00, i as u32];
        out.extend(match i % 4 {
            0 => block(big, 3, &[&words(big, &[n]), frame]),
            1 => block(big, 2, &[&halves(big, &[1, 0]), &words(big, &[time[0], time[1], n, n]), frame]),
            2 => block(big, 6, &[&words(big, &[1, time[0], time[1], n, n]), frame]),
            _ => {
                let mut padded = frame.clone();
                padded.resize(frame.len().next_multiple_of(4), 0);
                block(big, 6, &[&words(big, &[0, time[0], time[1], n, n]), &padded, &comment])
            }
        });
    }
    out.extend(block(big, 5, &[&words(big, &[0, 0, 0])]));
    out.extend(block(big, 0x8000_0001, &[b"unknown"]));
    out
}

/// Captures in every dialect.
pub fn captures() -> Vec<Vec<u8>> {
    let ethernet: Vec<Vec<u8>> = packets().iter().map(|p| ether(p)).collect();
    let few = &ethernet[..6];
    let mut all = Vec::new();
    for big in [false, true] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34, 0xa1e2_cb12] {
            all.push(pcap(magic, big, 1, few));
        }
        all.push(section(big, 1, few));
        all.push(section(big, 101, &packets()));
    }
    all.push(pcap(0xa1b2_c3d4, false, 1, &ethernet));
    all.push(joined(&[&section(false, 1, few), &section(true, 101, &packets()[..6])]));
    all
}

/// A capture in every compression, and one that is none.
pub fn compressed() -> Vec<Vec<u8>> {
    let plain = captures().swap_remove(0);
    let packed = |kind| {
        let mut writer = Writer::new(kind, Vec::new())?;
        writer.write_all(&plain)?;
        writer.finish()
    };
    let mut all: Vec<Vec<u8>> = Compression::ALL.into_iter().filter_map(|kind| packed(kind).ok()).collect();
    assert_eq!(all.len(), Compression::ALL.len(), "a seed cannot be compressed");
    all.push(plain);
    all
}
