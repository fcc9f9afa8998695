//! The ClientHello in QUIC Initial packets (RFC 9001 §5.2, RFC 9369 §3.3): their keys follow from what is sent in clear.
//!
//! A packet that opens was made by somebody who knows QUIC: the tag of 16 bytes fits by accident once in 2^128.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::aes::Aes128;
use aes_gcm::Aes128Gcm;
use hkdf::Hkdf;
use sha2::Sha256;

use super::super::cursor::Cursor;
use super::super::verdict::{ensure, Step, Stop};
use super::tls::MAX_HELLO;

/// Datagrams in which the hello is looked for.
pub const MAX_DATAGRAMS: usize = 4;

/// Keys that are derived at most, for a datagram may hold many small packets, none of which opens.
const MAX_KEYS: usize = 8;

/// Version 2 (RFC 9369).
pub const V2: u32 = 0x6b33_43cf;

/// The salts of the versions. Facebook's own follow the drafts 22 and 27, Google's T050 and T051 have theirs.
const SALTS: &[(&[u32], u128, u32)] = &[
    (&[1, 0xff00_0021, 0xff00_0022], 0x3876_2cf7_f559_34b3_4d17_9ae6_a4c8_0cad, 0xccbb_7f0a),
    (&[V2], 0x0ded_e3de_f700_a6db_8193_81be_6e26_9dcb, 0xf9bd_2ed9),
    (
        &[0xff00_001d, 0xff00_001e, 0xff00_001f, 0xff00_0020],
        0xafbf_ec28_9993_d24c_9e97_86f1_9c61_11e0,
        0x4390_a899,
    ),
    (
        &[
            0xff00_0017,
            0xff00_0018,
            0xff00_0019,
            0xff00_001a,
            0xff00_001b,
            0xff00_001c,
            0xface_b002,
            0xface_b00e,
        ],
        0xc3ee_f712_c72e_bb5a_11a7_d243_2bb4_6365,
        0xbef9_f502,
    ),
    (&[0x5430_3530], 0x7ff5_79e5_acd0_7291_5580_304c_43a2_367c, 0x6048_8310),
    (&[0x5430_3531], 0x7a4e_def4_e7cc_ee5f_a450_6c19_124f_c8cc, 0xda6e_033d),
];

/// The salt of a version; `None` when it is not published or not known here.
fn salt(version: u32) -> Option<[u8; 20]> {
    let (_, head, tail) = SALTS.iter().find(|(versions, ..)| versions.contains(&version))?;
    let mut out = [0; 20];
    out[..16].copy_from_slice(&head.to_be_bytes());
    out[16..].copy_from_slice(&tail.to_be_bytes());
    Some(out)
}

/// A version nobody speaks, sent to have one negotiated (RFC 9000 §15).
pub fn is_reserved(version: u32) -> bool {
    version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

/// The versions by whose keys a packet may be sealed: who asks for a negotiation seals as in a version it knows.
fn sealed_as(version: &u32) -> &[u32] {
    if is_reserved(*version) {
        &[1, 0xff00_001d, 0xff00_001b]
    } else {
        std::slice::from_ref(version)
    }
}

/// Keys of the packets that the client sends.
struct Keys {
    seal: Aes128Gcm,
    iv: [u8; 12],
    header: Aes128,
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446 §7.1) with an empty context.
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> [u8; N] {
    let mut info = vec![0, N as u8, 6 + label.len() as u8];
    info.extend(b"tls13 ");
    info.extend(label.bytes());
    info.push(0);
    let mut out = [0; N];
    _ = secret.expand(&info, &mut out); // it fails only for outputs of many blocks
    out
}

impl Keys {
    fn new(version: u32, target: &[u8]) -> Option<Self> {
        let secret: [u8; 32] = expand(&Hkdf::<Sha256>::new(Some(&salt(version)?), target), "client in");
        let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let word = if version == V2 { "quicv2" } else { "quic" };
        let key: [u8; 16] = expand(&secret, &format!("{word} key"));
        let header: [u8; 16] = expand(&secret, &format!("{word} hp"));
        Some(Self {
            seal: Aes128Gcm::new(&key.into()),
            iv: expand(&secret, &format!("{word} iv")),
            header: Aes128::new(&header.into()),
        })
    }

    /// Opens a packet: `head` is where its number begins, the rest is sealed. Gives the frames.
    fn open(&self, packet: &[u8], head: usize) -> Step<Vec<u8>> {
        let sample: [u8; 16] =
            packet.get(head + 4..head + 20).and_then(|s| s.try_into().ok()).ok_or(Stop::No)?;
        let mut mask = sample.into();
        self.header.encrypt_block(&mut mask);
        let first = packet[0] ^ (mask[0] & 0x0f);
        let size = usize::from(first & 3) + 1;
        let mut clear = packet[..head + size].to_vec();
        clear[0] = first;
        let mut nonce = self.iv;
        for index in 0..size {
            clear[head + index] ^= mask[1 + index];
            nonce[12 - size + index] ^= clear[head + index];
        }
        let sealed = Payload { msg: &packet[head + size..], aad: &clear };
        self.seal.decrypt(&nonce.into(), sealed).map_err(|_| Stop::No)
    }
}

/// An Initial packet as it stands in a datagram.
struct Initial<'a> {
    version: u32,
    target: &'a [u8],
    packet: &'a [u8],
    head: usize,
}

/// The first Initial of a datagram, if it is whole, and what follows it.
fn initial(bytes: &[u8]) -> Step<(Option<Initial<'_>>, &[u8])> {
    let mut c = Cursor::new(bytes);
    let first = c.u8()?;
    ensure(first & 0xc0 == 0xc0)?;
    let version = c.u32()?;
    let (target, source) = (c.counted(1)?, c.counted(1)?);
    ensure(target.len() <= 20 && source.len() <= 20)?;
    let kind = if version == V2 { (first >> 4).wrapping_sub(1) & 3 } else { first >> 4 & 3 };
    ensure(kind != 3)?;
    if kind == 0 {
        let token = usize::try_from(c.varint()?).map_err(|_| Stop::No)?;
        c.skip(token)?;
    }
    let len = usize::try_from(c.varint()?).map_err(|_| Stop::No)?;
    let head = c.position();
    c.skip(len)?;
    let packet = &bytes[..head + len];
    Ok(((kind == 0).then_some(Initial { version, target, packet, head }), c.rest()))
}

/// Bytes of the handshake by their offset.
#[derive(Default)]
struct Crypto(Vec<(usize, Vec<u8>)>);

impl Crypto {
    fn frames(&mut self, bytes: &[u8]) -> Step<()> {
        let mut c = Cursor::new(bytes);
        while !c.is_empty() {
            match c.u8()? {
                0 | 1 => {} // padding, ping
                kind @ (2 | 3) => {
                    c.varint()?;
                    c.varint()?;
                    let ranges = c.varint()?;
                    c.varint()?;
                    for _ in 0..ranges {
                        c.varint()?;
                        c.varint()?;
                    }
                    for _ in 0..if kind == 3 { 3 } else { 0 } {
                        c.varint()?;
                    }
                }
                // Google gave CRYPTO the number that became STREAM, which no Initial may hold.
                6 | 8 => {
                    let (offset, len) = (c.varint()? as usize, c.varint()? as usize);
                    ensure(offset <= MAX_HELLO && len <= MAX_HELLO)?;
                    self.0.push((offset, c.take(len)?.to_vec()));
                }
                _ => return Ok(()), // the connection is closed
            }
        }
        Ok(())
    }

    /// The bytes from offset 0 on, up to the first hole.
    fn stream(&mut self) -> Vec<u8> {
        self.0.sort_by_key(|(offset, _)| *offset);
        let mut out = Vec::new();
        for (offset, bytes) in &self.0 {
            if *offset > out.len() {
                break;
            }
            if let Some(new) = bytes.get(out.len() - offset..) {
                out.extend_from_slice(new);
            }
        }
        out
    }
}

/// The body of the client's hello in its first datagrams, and whether it is whole. `More` when none of it is there
/// from its beginning on; `No` when the first datagram does not open.
pub fn client_hello<'a>(datagrams: impl Iterator<Item = &'a [u8]>) -> Step<(Vec<u8>, bool)> {
    let mut keys: Option<(Keys, u32, &[u8])> = None;
    let mut crypto = Crypto::default();
    let mut derived = 0;
    for datagram in datagrams.take(MAX_DATAGRAMS) {
        let mut rest = datagram;
        let mut reserved = false;
        while let Ok((found, behind)) = initial(rest) {
            rest = behind;
            let Some(found) = found else { continue };
            let opened = keys.as_ref().and_then(|(keys, ..)| keys.open(found.packet, found.head).ok());
            let frames = match opened {
                Some(frames) => frames,
                // Behind a Retry the keys follow from the new connection id, behind a negotiation from the new
                // version, and the hello begins again.
                None if keys.as_ref().is_none_or(|(_, version, target)| {
                    crypto.0.is_empty() || (*version, *target) != (found.version, found.target)
                }) =>
                {
                    reserved |= is_reserved(found.version);
                    let tried = sealed_as(&found.version).len();
                    if derived + tried > MAX_KEYS {
                        continue;
                    }
                    derived += tried;
                    let fresh = sealed_as(&found.version).iter().find_map(|&version| {
                        let keys = Keys::new(version, found.target)?;
                        let frames = keys.open(found.packet, found.head).ok()?;
                        Some((keys, frames))
                    });
                    let Some((fresh, frames)) = fresh else { continue };
                    keys = Some((fresh, found.version, found.target));
                    crypto.0.clear();
                    frames
                }
                None => continue,
            };
            _ = crypto.frames(&frames);
        }
        if crypto.0.is_empty() && !reserved {
            return Err(Stop::No);
        }
    }
    ensure(!crypto.0.is_empty())?;
    let stream = crypto.stream();
    let mut c = Cursor::new(&stream);
    ensure(c.u8()? == 1)?;
    let len = c.u24()? as usize;
    ensure(len <= MAX_HELLO)?;
    let shown = c.left().min(len);
    Ok((c.rest()[..shown].to_vec(), shown == len))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A datagram with a client's Initial of 1200 bytes that holds these frames.
    pub(crate) fn sealed(version: u32, target: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
        sealed_by(&Keys::new(version, target).unwrap(), version, target, number, frames)
    }

    fn sealed_by(keys: &Keys, version: u32, target: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
        let kind = if version == V2 { 0xd0 } else { 0xc0 };
        let mut out = vec![kind];
        out.extend(version.to_be_bytes());
        out.push(target.len() as u8);
        out.extend(target);
        out.extend([4, 1, 2, 3, 4, 0]);
        let len = 1200 - out.len() - 2;
        out.extend([0x40 | (len >> 8) as u8, len as u8, number]);
        let head = out.len() - 1;
        let mut clear = frames.to_vec();
        clear.resize(len - 17, 0);
        let mut nonce = keys.iv;
        nonce[11] ^= number;
        let body = keys.seal.encrypt(&nonce.into(), Payload { msg: &clear, aad: &out }).unwrap();
        out.extend(body);
        let sample: [u8; 16] = out[head + 4..head + 20].try_into().unwrap();
        let mut mask = sample.into();
        keys.header.encrypt_block(&mut mask);
        out[0] ^= mask[0] & 0x0f;
        out[head] ^= mask[1];
        out
    }

    /// A CRYPTO frame.
    pub(crate) fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![6];
        for number in [offset, bytes.len()] {
            out.extend([0x40 | (number >> 8) as u8, number as u8]);
        }
        out.extend(bytes);
        out
    }

    /// A hello of this length in all.
    pub(crate) fn hello(len: usize) -> Vec<u8> {
        let body = len - 4;
        let mut out = vec![1, 0, (body >> 8) as u8, body as u8];
        out.extend((0..body).map(|i| i as u8));
        out
    }

    #[test]
    fn keys_are_those_of_the_specification() {
        // RFC 9001 appendix A.1, RFC 9369 appendix A.1
        let target = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let keys = Keys::new(1, &target).unwrap();
        assert_eq!(keys.iv, [0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3, 0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c]);
        let keys = Keys::new(V2, &target).unwrap();
        assert_eq!(keys.iv, [0x91, 0xf7, 0x3e, 0x23, 0x51, 0xd8, 0xfa, 0x91, 0x66, 0x0e, 0x90, 0x9f]);
    }

    #[test]
    fn a_hello_in_pieces_over_datagrams_is_put_together() {
        let hello = hello(1700);
        let one = [crypto(900, &hello[900..1000]), vec![1], crypto(0, &hello[..900])].concat();
        let two = crypto(1000, &hello[1000..]);
        for version in [1, V2, 0xff00_001d] {
            let first = sealed(version, &[5; 8], 0, &one);
            let second = sealed(version, &[5; 8], 1, &two);
            let found = client_hello([&first[..], &second].into_iter()).unwrap();
            assert_eq!(found, (hello[4..].to_vec(), true));
            let found = client_hello([&first[..]].into_iter()).unwrap();
            assert_eq!(found, (hello[4..1000].to_vec(), false));
        }
    }

    #[test]
    fn who_has_a_version_negotiated_is_read_too() {
        let hello = hello(300);
        for known in [1, 0xff00_001d] {
            let keys = Keys::new(known, &[5; 8]).unwrap();
            let asks = sealed_by(&keys, 0x1a2a_3a4a, &[5; 8], 0, &crypto(0, &hello));
            assert_eq!(client_hello([&asks[..]].into_iter()), Ok((hello[4..].to_vec(), true)));
        }
        // Sealed in a way nobody knows, and then, the version negotiated, as the version says.
        let asks = sealed_by(&Keys::new(V2, &[5; 8]).unwrap(), 0x1a2a_3a4a, &[5; 8], 0, &crypto(0, &hello));
        assert_eq!(client_hello([&asks[..]].into_iter()), Err(Stop::No));
        let agreed = sealed(1, &[5; 8], 0, &crypto(0, &hello));
        assert_eq!(client_hello([&asks[..], &agreed].into_iter()), Ok((hello[4..].to_vec(), true)));
    }

    #[test]
    fn many_packets_that_do_not_open_cost_few_keys() {
        let good = sealed(1, &[5; 8], 0, &crypto(0, &hello(300)));
        // Header, no token, and 20 bytes: as short as a packet may be.
        let fake = |id: u8| [&[0xc0, 0, 0, 0, 1, 8], &[id; 8][..], &[0, 0, 20], &[id; 20]].concat();
        let behind = |fakes: u8| [(0..fakes).flat_map(fake).collect::<Vec<_>>(), good.clone()].concat();
        assert!(client_hello([&behind(7)[..]].into_iter()).is_ok());
        assert_eq!(client_hello([&behind(8)[..]].into_iter()), Err(Stop::No));
    }

    #[test]
    fn one_wrong_bit_anywhere_and_it_does_not_open() {
        let good = sealed(1, &[5; 8], 0, &crypto(0, &hello(300)));
        assert!(client_hello([&good[..]].into_iter()).is_ok());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            assert_eq!(client_hello([&bad[..]].into_iter()), Err(Stop::No), "{at}");
        }
    }
}
