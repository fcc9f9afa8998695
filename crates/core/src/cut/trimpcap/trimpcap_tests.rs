//! The facts known of TrimPCAP 1.3, each with the numbers that were measured of it.

use super::*;

const ETHERNET: u16 = 1;

/// An Ethernet frame of `len` bytes with an IPv4 packet from 10.0.0.`host`.
fn frame(host: u32, proto: u8, offset: u16, len: usize) -> Vec<u8> {
    let mut f = vec![0; 12];
    f.extend([8, 0, 0x45, 0]);
    f.extend((len as u16 - 14).to_be_bytes());
    f.extend([0, 1]);
    f.extend(offset.to_be_bytes());
    f.extend([64, proto, 0, 0]);
    f.extend((0x0a00_0000 + host).to_be_bytes());
    f.extend([192, 0, 2, 1, 0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10]);
    f.resize(len, 0);
    f
}

fn kept(limit: u64, frames: &[Vec<u8>]) -> usize {
    let mut trim = TrimPcap::new(limit);
    frames.iter().filter(|f| trim.fate(ETHERNET, f) == Fate::Keep).count()
}

#[test]
fn the_limit_itself_is_too_much() {
    assert_eq!(kept(1000, &[frame(1, 6, 0, 1000)]), 0);
    assert_eq!(kept(2001, &vec![frame(1, 6, 0, 1000); 5]), 2);
    assert_eq!(kept(2000, &vec![frame(1, 6, 0, 1000); 5]), 1);
}

#[test]
fn dropped_packets_count_too() {
    assert_eq!(kept(1000, &[frame(1, 6, 0, 900), frame(1, 6, 0, 1400), frame(1, 6, 0, 60)]), 1);
}

#[test]
fn what_is_not_ipv4_shares_one_allowance() {
    let mut other = vec![frame(1, 6, 0, 100); 3];
    for (f, kind) in other.iter_mut().zip([[0x86, 0xdd], [0x81, 0x00], [0x08, 0x06]]) {
        f[12..14].copy_from_slice(&kind);
    }
    assert_eq!(kept(250, &other), 2);
}

#[test]
fn later_fragments_of_two_hosts_are_one_flow() {
    let (first, later) = (frame(1, 17, 0x2000, 500), frame(1, 17, 0x2010, 500));
    let mut swapped = later.clone();
    swapped[26..30].copy_from_slice(&later[30..34]);
    swapped[30..34].copy_from_slice(&later[26..30]);
    assert_eq!(kept(1001, &[first.clone(), later.clone(), first.clone(), swapped.clone(), later.clone()]), 4);
    assert_eq!(Key::of(ETHERNET, &later), Key::of(ETHERNET, &swapped));
    assert_ne!(Key::of(ETHERNET, &later), Key::of(ETHERNET, &first));
}

#[test]
fn an_evicted_flow_begins_anew() {
    // An elephant, 25,000 mice, the elephant again: 20 packets kept instead of 10.
    let mut frames = vec![frame(0, 6, 0, 1000); 50];
    frames.extend((1..=25_000).map(|host| frame(host, 6, 0, 60)));
    frames.extend(vec![frame(0, 6, 0, 1000); 50]);
    assert_eq!(kept(10_001, &frames), 25_000 + 20);
}

#[test]
fn the_hand_gives_up_after_107_marks() {
    let mut clock = Clock::new(200);
    for key in 0..200 {
        clock.put(key, key);
    }
    // All are marked: the hand takes 107 marks away and evicts the next one.
    clock.put(200, 200);
    assert_eq!(clock.get(&107), None);
    assert!((0..200).filter(|key| *key != 107).all(|key| clock.get(&key) == Some(&key)));
}

#[test]
fn any_bytes_have_a_key() {
    let frame = frame(1, 6, 0, 80);
    for link in [0, 1, 6, 12, 101, 108, 113] {
        for len in 0..frame.len() {
            Key::of(link, &frame[..len]);
            Key::of(link, &frame[frame.len() - len..]);
        }
    }
}
