//! What is planted is found, once, whatever is around it.

use proptest::prelude::*;

use super::sums::{fold, plain};
use super::*;

fn put_sum(bytes: &mut [u8], at: usize, pseudo: u64) {
    let sum = !fold(pseudo + plain(bytes));
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// An IPv4 packet; `place`: flags and fragment offset.
fn ip4(proto: u8, body: &[u8], place: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 7, 7, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 192, 168, 0, 2];
    packet[2..4].copy_from_slice(&((20 + body.len()) as u16).to_be_bytes());
    packet[6..8].copy_from_slice(&place.to_be_bytes());
    put_sum(&mut packet, 10, 0);
    packet.extend(body);
    packet
}

fn ip6(proto: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, proto, 64];
    packet[4..6].copy_from_slice(&(body.len() as u16).to_be_bytes());
    for end in [1, 2] {
        packet.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
    }
    packet.extend(body);
    packet
}

fn pseudo(packet: &[u8], proto: u8, len: usize) -> u64 {
    let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    plain(addresses) + u64::from(proto) + len as u64
}

fn tcp(payload: &[u8], six: bool) -> Vec<u8> {
    let mut segment = vec![0, 80, 200, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 1, 1, 0, 0, 0, 0];
    segment.extend(payload);
    seal(&segment, 6, 16, six)
}

fn udp(payload: &[u8], six: bool) -> Vec<u8> {
    let mut datagram = vec![0, 53, 200, 1, 0, 0, 0, 0];
    datagram[4..6].copy_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
    datagram.extend(payload);
    seal(&datagram, 17, 6, six)
}

fn seal(body: &[u8], proto: u8, at: usize, six: bool) -> Vec<u8> {
    let mut packet = if six { ip6(proto, body) } else { ip4(proto, body, 0x4000) };
    let (sum, from) = (pseudo(&packet, proto, body.len()), packet.len() - body.len());
    put_sum(&mut packet[from..], at, sum);
    packet
}

fn ether(packet: &[u8], tags: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for _ in 0..tags {
        frame.extend([0x81, 0, 0, 7]);
    }
    frame.extend(if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] });
    frame.extend(packet);
    frame
}

fn pcap_record(frame: &[u8], caplen: usize) -> Vec<u8> {
    let mut record = Vec::new();
    for word in [1_700_000_000, 123_456, caplen as u32, frame.len() as u32] {
        record.extend(word.to_le_bytes());
    }
    record.extend(&frame[..caplen]);
    record
}

/// Scans in windows of `block` bytes.
fn carve_in(bytes: &[u8], level: Level, block: usize) -> Vec<Hit> {
    let (mut settler, mut out) = (Settler::default(), Vec::new());
    for from in (0..bytes.len()).step_by(block) {
        let begin = from.saturating_sub(BEFORE);
        let to = (from + block).min(bytes.len());
        let end = (to + BEHIND).min(bytes.len());
        let window =
            Window { bytes: &bytes[begin..end], base: begin as u64, from: from - begin, to: to - begin };
        let mut found = Vec::new();
        scan(&window, level, &mut found);
        for found in found {
            settler.push(found, &mut out);
        }
        settler.reached(to as u64, &mut out);
        assert!(settler.needs().is_none_or(|at| at + (1 << 20) + BEHIND as u64 > to as u64));
    }
    settler.finish(&mut out);
    out
}

fn carve(bytes: &[u8]) -> Vec<Hit> {
    carve_in(bytes, Level::Normal, usize::MAX >> 1)
}

fn noise(mut seed: u64, len: usize) -> Vec<u8> {
    let words = std::iter::repeat_with(|| {
        // splitmix64
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    words.take(len / 8 + 1).flat_map(u64::to_le_bytes).take(len).collect()
}

#[derive(Clone, Debug)]
enum Kind {
    Tcp,
    Udp,
    Fragment,
    Gre,
    Icmp,
}

fn planted() -> impl Strategy<Value = (Vec<u8>, usize, Class)> {
    let kind = prop_oneof![
        Just(Kind::Tcp),
        Just(Kind::Udp),
        Just(Kind::Fragment),
        Just(Kind::Gre),
        Just(Kind::Icmp)
    ];
    let size = prop_oneof![0..100_usize, 1000..1460_usize, 60_000..65_400_usize];
    (kind, size, any::<bool>(), 0..4_usize, any::<u64>()).prop_map(|(kind, size, six, link, seed)| {
        let payload = noise(seed, size);
        let (packet, class) = match kind {
            Kind::Tcp => (tcp(&payload, six), Class::Checksum),
            Kind::Udp => (udp(&payload, six), Class::Checksum),
            Kind::Fragment => (ip4(17, &payload[..size / 8 * 8 + size % 8], 3), Class::Fragment),
            Kind::Gre => (ip4(47, &payload, 0), Class::Unchecked),
            Kind::Icmp => {
                let mut body = vec![8, 0, 0, 0, 1, 1, 1, 1];
                body.extend(&payload);
                put_sum(&mut body, 2, 0);
                (ip4(1, &body, 0), Class::Checksum)
            }
        };
        // An empty fragment is none.
        let packet = if class == Class::Fragment && size == 0 { ip4(17, &[1], 3) } else { packet };
        if link == 0 {
            (packet, 0, class)
        } else {
            (ether(&packet, link - 1), 14 + 4 * (link - 1), class)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_planted_packet_is_found_once_wherever_the_windows_end(
        plants in prop::collection::vec((planted(), 0..3000_usize), 1..8),
        seed in any::<u64>(),
        block in 500..100_000_usize,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (i, ((frame, link, class), gap)) in plants.iter().enumerate() {
            bytes.extend(noise(seed ^ i as u64, *gap));
            expected.push((bytes.len() as u64, (bytes.len() + link) as u64, (bytes.len() + frame.len()) as u64, *class));
            bytes.extend(frame);
        }
        bytes.extend(noise(seed, 100));
        let hits = carve(&bytes);
        let seen: Vec<_> = hits.iter().map(|h| (h.start, h.at, h.end, h.class)).collect();
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(carve_in(&bytes, Level::Normal, block), hits);
    }

    #[test]
    fn any_bytes_are_survived_and_windows_change_nothing(
        mut bytes in prop::collection::vec(prop_oneof![Just(0x45), Just(0x60), Just(0), any::<u8>()], 0..5000),
        heads in prop::collection::vec((0..5000_usize, any::<u16>(), any::<u8>(), any::<u16>()), 0..40),
        block in 64..2000_usize,
    ) {
        // Headers whose checksums are right, over each other.
        for (at, total, proto, place) in heads {
            let mut head = ip4(proto, &[], place & 0x7fff);
            head[2..4].copy_from_slice(&(total % 4096).to_be_bytes());
            head[10..12].fill(0);
            put_sum(&mut head, 10, 0);
            if at + 20 <= bytes.len() {
                bytes[at..at + 20].copy_from_slice(&head);
            }
        }
        for level in [Level::Strict, Level::Normal, Level::Loose] {
            let hits = carve_in(&bytes, level, usize::MAX >> 1);
            prop_assert_eq!(&carve_in(&bytes, level, block), &hits);
            for pair in hits.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            prop_assert!(hits.iter().all(|h| h.start <= h.at && h.at < h.end && h.end <= bytes.len() as u64));
        }
    }
}

#[test]
fn a_record_header_gives_time_and_length() {
    let frame = ether(&tcp(b"hello", false), 0);
    let mut padded = frame.clone();
    padded.resize(60, 0);
    let hit = carve(&pcap_record(&padded, 60))[0];
    assert_eq!((hit.start, hit.end, hit.wirelen), (16, 76, 60));
    assert_eq!((hit.ns(), hit.evidence.pcap), (Some(1_700_000_000_123_456_000), true));
    // Behind the header of a file with nanoseconds the same fraction is another time.
    let mut file = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    file.extend(pcap_record(&frame, frame.len()));
    assert_eq!(carve(&file)[0].ns(), Some(1_700_000_000_000_123_456));
}

#[test]
fn a_snapped_record_is_told_from_a_wrong_checksum() {
    let frame = ether(&udp(&[7; 500], false), 1);
    let mut bytes = pcap_record(&frame, 96);
    bytes.extend(pcap_record(&frame, frame.len()));
    let hits = carve(&bytes);
    assert_eq!(hits.iter().map(|h| h.class).collect::<Vec<_>>(), [Class::Snapped, Class::Checksum]);
    assert_eq!((hits[0].end - hits[0].start, hits[0].wirelen), (96, frame.len() as u32));
    // The same bytes without a record header: the header is right, what follows is something else.
    let mut bytes = frame[..96].to_vec();
    bytes.extend([9; 2000]);
    assert!(carve(&bytes).is_empty());
    assert_eq!(carve_in(&bytes, Level::Loose, 1 << 20)[0].class, Class::Mismatch);
}

#[test]
fn a_packet_cut_off_by_the_end_of_the_input_is_snapped() {
    let frame = ether(&tcp(&[1; 300], false), 0);
    let hits = carve(&frame[..200]);
    assert_eq!((hits.len(), hits[0].class), (1, Class::Snapped));
    assert_eq!((hits[0].end, hits[0].wirelen), (200, frame.len() as u32));
    assert!(carve_in(&frame[..200], Level::Strict, 1 << 20).is_empty());
}

#[test]
fn what_a_sound_packet_carries_is_a_part_of_it() {
    let inner = tcp(b"inner", false);
    for outer in [ip4(4, &inner, 0), udp(&inner, false), udp(&inner, true)] {
        let hits = carve(&outer);
        assert_eq!(hits.iter().map(|h| (h.at, h.end)).collect::<Vec<_>>(), [(0, outer.len() as u64)]);
    }
    // A fragment is no proof that what it seems to hold belongs to it.
    let outer = ip4(17, &inner, 3);
    assert_eq!(carve(&outer)[0].at, 20);
}

#[test]
fn of_two_that_overlap_the_better_wins_then_the_longer() {
    let good = tcp(&[3; 100], false);
    let mut bytes = ip4(47, &[0; 60], 0);
    bytes.truncate(50);
    let at = bytes.len() as u64;
    bytes.extend(&good);
    assert_eq!(carve(&bytes).iter().map(|h| h.at).collect::<Vec<_>>(), [at]);
}

#[test]
fn an_ethernet_header_inside_the_packet_before_is_left_to_it() {
    let mut payload = vec![5; 40];
    payload.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    let first = tcp(&payload, false);
    let second = tcp(b"second", false);
    let hits = carve(&[first.clone(), second].concat());
    assert_eq!((hits[1].start, hits[1].evidence.ethernet), (first.len() as u64, 0));
    assert_eq!(hits[1].wirelen, 46);
}

#[test]
fn a_checksum_left_to_the_network_card_is_known() {
    for six in [false, true] {
        let mut packet = tcp(b"payload", six);
        let from = packet.len() - 27;
        let half = fold(pseudo(&packet, 6, 27));
        packet[from + 16..from + 18].copy_from_slice(&half.to_be_bytes());
        let hits = carve(&ether(&packet, 0));
        assert_eq!(hits.iter().map(|h| h.class).collect::<Vec<_>>(), [Class::Offload]);
        packet[from + 17] ^= 1;
        assert!(carve(&ether(&packet, 0)).is_empty());
    }
}

#[test]
fn a_header_without_checksum_needs_a_record() {
    let mut frame = ether(&tcp(b"payload", false), 0);
    frame[24..26].fill(0);
    assert!(carve_in(&frame, Level::Loose, 1 << 20).is_empty());
    let record = pcap_record(&frame, frame.len());
    assert_eq!(carve(&record).iter().map(|h| h.class).collect::<Vec<_>>(), [Class::Offload]);
}

#[test]
fn headers_in_a_dense_row_cost_little() {
    // 50,000 headers whose checksums are right, each of a packet of 60,000 bytes.
    let mut head = ip4(17, &[], 0);
    head[2..4].copy_from_slice(&60_000_u16.to_be_bytes());
    head[10..12].fill(0);
    put_sum(&mut head, 10, 0);
    let mut bytes: Vec<u8> = head.iter().copied().cycle().take(1_000_000).collect();
    bytes.resize(bytes.len() + 70_000, 0);
    for level in [Level::Normal, Level::Loose] {
        assert_eq!(carve_in(&bytes, level, 1 << 18), carve_in(&bytes, level, 1 << 22));
    }
}

#[test]
fn random_bytes_hold_no_packets() {
    // Expected per gigabyte: 0.2 fragments, and far less of everything else; see docs/guide/carve.md.
    assert_eq!(carve(&noise(1, 8 << 20)), []);
}
