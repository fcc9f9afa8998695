//! Community ID version 1 (<https://github.com/corelight/community-id-spec>).

use sha1::{Digest, Sha1};

use super::session::{flag, Flow};
use crate::packet::Key;

/// Length of the text: `1:` and 20 bytes in base64.
pub const LEN: usize = 30;

/// The flow's Community ID as ASCII text, or `None` for fragments whose ports are not known.
///
/// TCP, UDP and SCTP are hashed with their ports; ICMP and ICMPv6 with type and code of the
/// flow's first packet in place of ports, as the specification maps them; all
/// other protocols with addresses and protocol alone.
pub fn community_id(flow: &Flow, seed: u16) -> Option<[u8; LEN]> {
    let key = &flow.key;
    if key.version & Key::ORPHAN != 0 {
        return None;
    }
    let width = if key.version == 4 { 4 } else { 16 };
    let (lo, hi) = (&key.lo[..width], &key.hi[..width]);
    let mut input = [0_u8; 40];
    input[..2].copy_from_slice(&seed.to_be_bytes());
    let (first, second, ports) = match key.proto {
        1 | 58 => {
            let from_hi = flow.flags & flag::HEAD_HI != 0;
            icmp(flow, lo, hi, from_hi)
        }
        6 | 17 | 132 => (lo, hi, Some((key.lo_port, key.hi_port))),
        _ => (lo, hi, None),
    };
    let mut at = 2;
    for part in [first, second] {
        input[at..at + width].copy_from_slice(part);
        at += width;
    }
    input[at] = key.proto;
    at += 2; // protocol and one byte of padding
    if let Some((a, b)) = ports {
        input[at..at + 2].copy_from_slice(&a.to_be_bytes());
        input[at + 2..at + 4].copy_from_slice(&b.to_be_bytes());
        at += 4;
    }
    Some(text(&Sha1::digest(&input[..at]).into()))
}

type Ends<'a> = (&'a [u8], &'a [u8], Option<(u16, u16)>);

/// Type and counterpart type where the specification pairs them, else type and code, and then
/// the ends stay in the order of the packet because nobody answers.
fn icmp<'a>(flow: &Flow, lo: &'a [u8], hi: &'a [u8], from_hi: bool) -> Ends<'a> {
    let [kind, code] = flow.icmp;
    let (src, dst) = if from_hi { (hi, lo) } else { (lo, hi) };
    match counterpart(flow.key.proto, kind) {
        Some(answer) => {
            let (s, d) = (u16::from(kind), u16::from(answer));
            if (src, s) <= (dst, d) {
                (src, dst, Some((s, d)))
            } else {
                (dst, src, Some((d, s)))
            }
        }
        None => (src, dst, Some((u16::from(kind), u16::from(code)))),
    }
}

fn counterpart(proto: u8, kind: u8) -> Option<u8> {
    let pairs: &[(u8, u8)] = if proto == 1 {
        &[(8, 0), (13, 14), (15, 16), (10, 9), (17, 18)]
    } else {
        &[(128, 129), (133, 134), (135, 136), (130, 131), (139, 140), (144, 145)]
    };
    pairs.iter().find_map(|&(a, b)| match kind {
        k if k == a => Some(b),
        k if k == b => Some(a),
        _ => None,
    })
}

fn text(digest: &[u8; 20]) -> [u8; LEN] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = [b'='; LEN];
    out[..2].copy_from_slice(b"1:");
    let mut padded = [0_u8; 21];
    padded[..20].copy_from_slice(digest);
    for (i, three) in padded.chunks_exact(3).enumerate() {
        let word = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        for (k, place) in out[2 + 4 * i..6 + 4 * i].iter_mut().enumerate() {
            *place = ALPHABET[(word >> (18 - 6 * k)) as usize & 63];
        }
    }
    out[LEN - 1] = b'=';
    out
}
