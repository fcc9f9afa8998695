//! What needs no interface: blocks of a ring, programs, captures that come in pieces.

use std::sync::{Arc, Mutex};

use flowkeep_core::select::{Filter, Program, Rule, Verdict};

use super::feed::Feed;
use super::hardware::{link_of, COOKED, ETHERNET, RAW};
use super::input::{Bounded, Shared, BATCH};
use super::{InterfaceId, Packet, Packets, Selection, Stats};

/// Interface, time, length on the wire, bytes.
type Seen = (u16, i64, u32, Vec<u8>);

/// Collects what it gets.
#[derive(Default)]
struct Collect {
    interfaces: Mutex<Vec<(String, u16)>>,
    packets: Mutex<Vec<Seen>>,
    largest: Mutex<usize>,
}

impl Packets for Collect {
    fn interface(&self, name: &str, link: u16, _: u32) -> Option<InterfaceId> {
        let mut known = self.interfaces.lock().unwrap();
        let wanted = (name.to_owned(), link);
        let at = known.iter().position(|i| *i == wanted).unwrap_or_else(|| {
            known.push(wanted);
            known.len() - 1
        });
        Some(InterfaceId(at as u16))
    }

    fn batch(&self, packets: &mut dyn Iterator<Item = Packet<'_>>) {
        let mut all = self.packets.lock().unwrap();
        let before = all.len();
        all.extend(packets.map(|p| (p.interface.0, p.time, p.original, p.data.to_vec())));
        let mut largest = self.largest.lock().unwrap();
        *largest = (*largest).max(all.len() - before);
    }

    fn dropped(&self, _: InterfaceId, _: u64) {}
}

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &kind.to_be_bytes()[..], body].concat()
}

fn ip4(proto: u8, offset: u16, options: usize, ports: [u16; 2]) -> Vec<u8> {
    let mut packet = vec![0x45 + (options / 4) as u8, 0, 0, 40, 0, 1, 0, 0, 64, proto, 0, 0];
    packet[6..8].copy_from_slice(&offset.to_be_bytes());
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    packet.resize(20 + options, 1);
    packet.extend(ports.iter().flat_map(|p| p.to_be_bytes()));
    packet.resize(packet.len() + 16, 0);
    packet
}

fn ip6(next: u8, ports: [u16; 2]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 20, next, 64];
    packet.resize(40, 0x20);
    packet.extend(ports.iter().flat_map(|p| p.to_be_bytes()));
    packet.resize(packet.len() + 16, 0);
    packet
}

/// "ether proto" of two bytes at 12, as libpcap has it.
fn type_is(kind: u32) -> Vec<u8> {
    let code: [(u16, u8, u8, u32); 4] =
        [(0x28, 0, 0, 12), (0x15, 0, 1, kind), (6, 0, 0, 262_144), (6, 0, 0, 0)];
    code.iter()
        .flat_map(|&(c, jt, jf, k)| [&c.to_le_bytes()[..], &[jt, jf], &k.to_le_bytes()].concat())
        .collect()
}

#[test]
fn own_traffic_is_known_behind_tags_and_options_in_both_versions() {
    let selection = Selection::new(None, vec![], vec![57012, 9]);
    let keeps =
        |link, frame: &[u8]| selection.verdict_live(link, frame, frame.len() as u32) == Verdict::Match;
    let tagged = |body: Vec<u8>| [&[0, 7][..], &0x0800_u16.to_be_bytes(), &body].concat();
    for ports in [[57012, 1], [1, 57012], [9, 9]] {
        for options in [0, 8] {
            let packet = ip4(6, 0, options, ports);
            assert!(!keeps(ETHERNET, &ethernet(0x0800, &packet)));
            assert!(!keeps(ETHERNET, &ethernet(0x8100, &tagged(packet.clone()))));
            let twice = [&[0, 8][..], &0x8100_u16.to_be_bytes(), &tagged(packet.clone())].concat();
            assert!(!keeps(ETHERNET, &ethernet(0x88a8, &twice)));
            assert!(!keeps(RAW, &packet));
            let mut cooked = vec![0x08, 0x00];
            cooked.resize(20, 0);
            cooked.extend(&packet);
            assert!(!keeps(COOKED, &cooked));
        }
        assert!(!keeps(ETHERNET, &ethernet(0x86dd, &ip6(6, ports))));
        assert!(!keeps(RAW, &ip6(6, ports)));
    }
    for kept in [
        ethernet(0x0800, &ip4(17, 0, 0, [57012, 9])),
        ethernet(0x0800, &ip4(6, 0, 0, [57013, 10])),
        ethernet(0x0800, &ip4(6, 0x2001, 0, [57012, 9])), // no ports in it
        ethernet(0x86dd, &ip6(17, [57012, 9])),
        ethernet(0x0806, &[0; 28]),
        vec![],
        vec![0; 13],
    ] {
        assert!(keeps(ETHERNET, &kept), "{kept:x?}");
    }
    // Without ports nobody knows whose it is.
    for (link, frame) in [(ETHERNET, ethernet(0x0800, &ip4(6, 0, 8, [9, 9]))), (RAW, ip6(6, [9, 9]))] {
        let ports = frame.len() - 20;
        for len in 0..=frame.len() {
            assert_eq!(keeps(link, &frame[..len]), len < ports + 4, "{link} {len}");
        }
    }
}

#[test]
fn the_kernel_decides_where_it_can_and_its_program_is_short_enough() {
    let filter = |bytes: &[u8]| Filter::new([(ETHERNET, Rule::Program(Program::decode(bytes).unwrap()))]);
    let small = type_is(0x0800);
    let selection = Selection::new(Some(filter(&small)), vec![(ETHERNET, small)], vec![57012]);
    let attached = selection.attach(1000);
    assert_eq!(attached.links, [ETHERNET]); // for raw IP there is no program: refused, and counted, here
    assert!(attached.code.iter().any(|i| i == &[6, 0, 0, 0, 232, 3, 0, 0]), "keeps 1000 bytes");
    assert!(!attached.code.iter().any(|i| i[0] == 6 && i[4..] == 262_144_u32.to_le_bytes()));
    let large: Vec<u8> = [&[0, 0, 0, 0, 0, 0, 0, 0].repeat(4096)[..], &type_is(0x0800)].concat();
    let selection = Selection::new(Some(filter(&large)), vec![(ETHERNET, large)], vec![]);
    let attached = selection.attach(1000);
    assert!(attached.links.is_empty() && attached.code.len() < 20);
}

#[test]
fn link_types_follow_from_the_hardware() {
    let expected = [(1, 1), (772, 1), (0xfffe, 101), (776, 101), (512, 276), (803, 127), (9999, 276)];
    for (hardware, link) in expected {
        assert_eq!(link_of(hardware), link, "{hardware}");
    }
}

#[test]
fn interfaces_have_a_bound_whatever_is_invented() {
    let sink = Arc::new(Collect::default());
    let bounded = Bounded::new(sink.clone());
    let ids: Vec<_> = (0..4096).map(|i| bounded.interface(&i.to_string(), 1, 0).unwrap()).collect();
    let others = bounded.interface("new", 1, 0).unwrap();
    assert!(!ids.contains(&others));
    assert_eq!(bounded.interface("newer", 1, 0), Some(others));
    assert_eq!(bounded.interface("7", 1, 0), Some(ids[7]));
    assert_eq!((2..1000).filter(|link| bounded.interface("new", *link, 0).is_some()).count(), 63);
    assert_eq!(bounded.interface("newer", 1, 0), Some(others));
    assert_eq!(sink.interfaces.lock().unwrap().len(), 4096 + 64);
}

/// Gives a few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.len().min(self.1).min(buf.len());
        buf[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn pcap(packets: u32) -> Vec<u8> {
    let mut capture =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for i in 0..packets {
        for field in [i, 5, i % 90, i % 90 + 1] {
            capture.extend(field.to_le_bytes());
        }
        capture.resize(capture.len() + (i % 90) as usize, i as u8);
    }
    capture
}

fn feed(bytes: &[u8], piece: usize) -> (Arc<Collect>, Result<(), String>) {
    let sink = Arc::new(Collect::default());
    let stats = Shared::new(Stats::new(String::new(), "read"));
    let mut feed = Feed::new("name".to_owned(), Arc::new(Selection::default()), sink.clone(), stats.clone());
    let mut input = Pieces(bytes, piece);
    let ended = loop {
        match feed.read(&mut input).unwrap() {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(why) => break Err(why),
        }
    };
    assert_eq!(stats.lock().packets, sink.packets.lock().unwrap().len() as u64);
    (sink, ended)
}

#[test]
fn a_capture_in_pieces_is_the_same_packets_in_small_batches() {
    let capture = pcap(700);
    for piece in [1, 7, 1000, 1 << 20] {
        let (sink, ended) = feed(&capture, piece);
        assert_eq!(ended, Ok(()));
        assert!(*sink.largest.lock().unwrap() <= BATCH);
        assert_eq!(*sink.interfaces.lock().unwrap(), [("name".to_owned(), 1)]);
        let packets = sink.packets.lock().unwrap();
        assert_eq!(packets.len(), 700);
        for (i, (_, time, original, data)) in packets.iter().enumerate() {
            assert_eq!(*time, i as i64 * 1_000_000_000 + 5000);
            assert_eq!((*original, data.len()), (i as u32 % 90 + 1, i % 90));
            assert!(data.iter().all(|&b| b == i as u8));
        }
    }
}

#[test]
fn what_is_broken_ends_a_capture_with_its_place_and_a_length_that_lies_takes_no_memory() {
    let whole = pcap(3);
    let cut = feed(&whole[..whole.len() - 1], 5);
    assert_eq!(cut.0.packets.lock().unwrap().len(), 2);
    assert!(cut.1.unwrap_err().contains("needed"));
    let mut long = pcap(1);
    long[16..20].copy_from_slice(&(100_u32 << 20).to_le_bytes()); // the snap length
    long[32..36].copy_from_slice(&(99_u32 << 20).to_le_bytes());
    let why = feed(&long, 100).1.unwrap_err();
    assert!(why.starts_with("byte 24: a record of 103809040 bytes"), "{why}");
    let why = feed(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 100).1.unwrap_err();
    assert!(why.contains("47 45 54 20") && why.ends_with("not compressed"), "{why}");
    assert!(feed(b"", 1).1.is_err());
    assert!(feed(b"\x0a\x0d", 1).1.is_err());
}

#[cfg(target_os = "linux")]
mod ring {
    use super::super::frame::{frames, Frame};
    use super::*;

    const MAC: usize = 48 + 20 + 32;

    /// One packet in a block, as the slice behind the status word.
    fn block(hatype: u16, kind: u8, status: u32, tag: (u16, u16), net: usize, data: &[u8]) -> Vec<u8> {
        let mut b = vec![0_u8; 36];
        b[..4].copy_from_slice(&1_u32.to_ne_bytes());
        b[4..8].copy_from_slice(&48_u32.to_ne_bytes());
        for field in [0, 7, 9, data.len() as u32, data.len() as u32 + 1000, status] {
            b.extend(field.to_ne_bytes());
        }
        b.extend((MAC as u16).to_ne_bytes());
        b.extend(((MAC + net) as u16).to_ne_bytes());
        b.extend(0_u32.to_ne_bytes());
        b.extend(u32::from(tag.1).to_ne_bytes());
        b.extend(tag.0.to_ne_bytes());
        b.extend([0; 10]);
        b.extend(17_u16.to_ne_bytes());
        b.extend(0x0800_u16.to_be_bytes());
        b.extend(3_i32.to_ne_bytes());
        b.extend(hatype.to_ne_bytes());
        b.extend([kind, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
        b.resize(36 + MAC, 0xee);
        b.extend(data);
        b
    }

    fn only(block: &mut [u8], snap: u32) -> (Frame, Vec<u8>) {
        let mut found = Vec::new();
        assert_eq!(frames(block, snap, &mut found), 1);
        assert_eq!(found.len(), 1);
        (found[0], block[found[0].from as usize..found[0].to as usize].to_vec())
    }

    #[test]
    fn a_frame_is_as_it_was_and_a_tag_is_put_back() {
        let data = ethernet(0x0800, &ip4(6, 0, 0, [1, 2]));
        let (frame, seen) = only(&mut block(1, 0, 1, (0, 0), 14, &data), 1000);
        assert_eq!((seen, frame.changed, frame.link), (data.clone(), false, ETHERNET));
        assert_eq!((frame.time, frame.original, frame.ifindex), (7_000_000_009, data.len() as u32 + 1000, 3));
        for (status, kind) in [(1 | 1 << 4, 0x8100), (1 | 1 << 4 | 1 << 6, 0x88a8)] {
            let mut whole = data[..12].to_vec();
            whole.extend(u16::to_be_bytes(kind));
            whole.extend(0x6007_u16.to_be_bytes());
            whole.extend(&data[12..]);
            let mut bytes = block(1, 0, status, (0x88a8, 0x6007), 14, &data);
            let (frame, seen) = only(&mut bytes.clone(), 1000);
            assert_eq!((&seen, frame.changed), (&whole, true));
            assert_eq!(frame.original, data.len() as u32 + 1004);
            assert_eq!(only(&mut bytes, 20).1, whole[..20]);
        }
    }

    #[test]
    fn an_unknown_link_header_is_replaced_by_a_cooked_one() {
        let packet = ip4(6, 0, 0, [1, 2]);
        let data = [&[9; 6][..], &packet].concat();
        let (frame, seen) = only(&mut block(9999, 4, 1, (0, 0), 6, &data), 1000);
        let header = [8, 0, 0, 0, 0, 0, 0, 3, 0x27, 0x0f, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        assert_eq!(seen, [&header[..], &packet].concat());
        assert_eq!((frame.link, frame.changed), (COOKED, true));
        assert_eq!(frame.original, seen.len() as u32 + 1000);
    }

    #[test]
    fn what_leaves_by_loopback_is_left_out() {
        let mut found = Vec::new();
        assert_eq!(frames(&mut block(772, 4, 1, (0, 0), 14, &[0; 60]), 1000, &mut found), 1);
        assert!(found.is_empty());
        only(&mut block(772, 0, 1, (0, 0), 14, &[0; 60]), 1000);
        only(&mut block(1, 4, 1, (0, 0), 14, &[0; 60]), 1000);
    }

    #[test]
    fn a_block_that_lies_harms_nobody() {
        let whole = block(9999, 4, 1 | 1 << 4, (1, 1), 6, &[7; 64]);
        for at in 0..36 + MAC {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                for more in 0..3 {
                    let mut broken = whole.clone();
                    for byte in &mut broken[at..(at + more + 1).min(36 + MAC)] {
                        *byte = value;
                    }
                    let mut found = Vec::new();
                    frames(&mut broken, 1000, &mut found);
                    for frame in found {
                        assert!(broken.get(frame.from as usize..frame.to as usize).is_some());
                    }
                }
            }
        }
        for len in 0..whole.len() {
            frames(&mut whole[..len].to_vec(), 1000, &mut Vec::new());
        }
    }
}
