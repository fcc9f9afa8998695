//! What is found against looking through the whole stream at once.

use proptest::prelude::*;

use super::*;
use crate::flow::{Left, Packet, Rules, Tracker};
use crate::packet::{tcp_flag, Class, Facts, Key, Seed};

fn naive(bytes: &[u8], pattern: &[u8]) -> Vec<u64> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at + pattern.len() <= bytes.len() {
        if &bytes[at..at + pattern.len()] == pattern {
            found.push(at as u64);
            at += pattern.len();
        } else {
            at += 1;
        }
    }
    found
}

fn pattern(bytes: &[u8]) -> Pattern {
    Pattern::new(bytes, Kind::Bytes, false).unwrap()
}

fn finder(pattern: Pattern) -> Finder {
    Finder::new(pattern, Box::new(|_, _, _| true), 1000, 1 << 20)
}

struct Sender {
    finder: Finder,
    tracker: Tracker,
    pos: u64,
}

impl Sender {
    fn send(&mut self, proto: u8, flags: u8, seq: u32, bytes: &[u8]) {
        let facts = Facts {
            key: Key { proto, version: 4, ..Key::default() },
            class: Class::Flow,
            payload: bytes.len() as u32,
            tcp_flags: flags,
            seq,
            ..Facts::default()
        };
        let len = bytes.len() as u32;
        let p = Packet {
            facts: &facts,
            ts: self.pos as i64,
            caplen: len,
            wirelen: len,
            pos: self.pos,
            data: bytes,
        };
        self.tracker.feed(p, facts.key.hash(SEED), None, &mut self.finder);
        self.pos += 1;
    }

    fn offsets(mut self) -> Vec<u64> {
        self.finder.finish();
        let mut offsets: Vec<u64> = self.finder.take_hits().iter().filter_map(|h| h.offset).collect();
        offsets.sort_unstable();
        offsets
    }
}

const SEED: Seed = Seed(1, 2);

fn sender_to(finder: Finder) -> Sender {
    Sender { finder, tracker: Tracker::new(Rules::default(), Left::Start, SEED), pos: 0 }
}

fn sender(pattern: Pattern) -> Sender {
    sender_to(finder(pattern))
}

/// Bytes of few kinds, so that patterns are met.
fn few(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff_u8)], size)
}

fn pieces(stream: &[u8], cuts: &[usize]) -> Vec<(usize, usize)> {
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (stream.len() + 1)).chain([0, stream.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|w| (w[0], w[1])).filter(|(a, b)| a < b).collect()
}

proptest! {
    #[test]
    fn a_stream_in_any_pieces_is_searched_as_if_whole(
        stream in few(1..300),
        wanted in few(1..7),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        isn in any::<u32>(),
        syn in any::<bool>(),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut sent = pieces(&stream, &cuts);
        // Some come a little too early; some twice; with a SYN all of them have a known place.
        if syn {
            for index in &swaps {
                let i = index.index(sent.len());
                if i > 0 {
                    sent.swap(i - 1, i);
                }
            }
        }
        let first = isn.wrapping_add(1);
        let mut s = sender(pattern(&wanted));
        if syn {
            s.send(6, tcp_flag::SYN, isn, b"");
        }
        for (i, &(from, to)) in sent.iter().enumerate() {
            s.send(6, tcp_flag::ACK, first.wrapping_add(from as u32), &stream[from..to]);
            for index in &again {
                if index.index(sent.len()) == i && to - from < wanted.len() {
                    // A retransmission over the border of two pieces.
                    let from = from.saturating_sub(3);
                    s.send(6, tcp_flag::ACK, first.wrapping_add(from as u32), &stream[from..to]);
                }
            }
        }
        let mut seen = s.offsets();
        seen.dedup();
        let expected = naive(&stream, &wanted);
        // A retransmission may show a match by itself that overlaps one in the stream.
        seen.retain(|at| again.is_empty() || expected.contains(at));
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn any_segments_are_survived(
        segments in prop::collection::vec((any::<u8>(), 0..400_u32, few(0..50)), 0..100),
        wanted in few(1..4),
        memory in 0..2000_usize,
    ) {
        let finder = Finder::new(pattern(&wanted), Box::new(|_, _, _| true), 5, memory);
        let mut s = sender_to(finder);
        for (flags, seq, bytes) in segments {
            s.send(6, flags, seq.wrapping_sub(200), &bytes);
        }
        s.finder.finish();
        prop_assert!(s.finder.take_hits().len() <= 5);
    }
}

#[test]
fn every_split_of_a_pattern_over_segments() {
    let stream = b"xxneedleyy";
    for a in 0..stream.len() {
        for b in a..stream.len() {
            for isn in [0, u32::MAX, u32::MAX - 4] {
                let mut s = sender(pattern(b"needle"));
                s.send(6, tcp_flag::SYN, isn, b"");
                for (from, to) in [(0, a), (a, b), (b, stream.len())] {
                    s.send(6, 16, isn.wrapping_add(1 + from as u32), &stream[from..to]);
                }
                assert_eq!(s.offsets(), [2], "{a} {b} {isn}");
            }
        }
    }
}

#[test]
fn a_hole_is_no_border_to_search_over() {
    let mut s = sender(pattern(b"needle"));
    s.send(6, 16, 100, b"nee");
    s.send(6, 16, 104, b"dle");
    s.send(6, 16, 107, b"needle");
    let hits = {
        s.finder.finish();
        s.finder.take_hits()
    };
    assert_eq!(hits.iter().map(|h| (h.offset, h.packet)).collect::<Vec<_>>(), [(Some(7), 2)]);
}

#[test]
fn a_retransmission_with_other_bytes_is_looked_at_and_the_same_one_listed_once() {
    let mut s = sender(pattern(b"needle"));
    s.send(6, 16, 100, b"..needle..");
    s.send(6, 16, 100, b"..needle..");
    s.send(6, 16, 100, b"...needle.");
    assert_eq!(s.offsets(), [2, 3]);
}

#[test]
fn datagrams_are_not_joined() {
    let mut s = sender(pattern(b"needle"));
    s.send(17, 0, 0, b"nee");
    s.send(17, 0, 0, b"dle needle");
    let hits = s.finder.take_hits();
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].offset, hits[0].packet, hits[0].len), (None, 1, 6));
    assert_eq!(hits[0].excerpt, [b"dle ".to_vec(), b"needle".to_vec(), Vec::new()]);
}

#[test]
fn a_regular_expression_sees_the_last_bytes_of_the_stream() {
    let find = |text: &[u8]| Pattern::new(text, Kind::Regex, false).unwrap();
    let mut s = sender(find(br"user=[a-z]+\r"));
    s.send(6, 16, 1, b"...user=");
    s.send(6, 16, 9, &[b'a'; 1000]);
    s.send(6, 16, 1009, b"\r\n");
    assert_eq!(s.offsets(), [3]);
    let mut s = sender(find(br"user=[a-z]+\r"));
    s.send(6, 16, 1, b"...user=");
    s.send(6, 16, 9, &[b'a'; WINDOW + CONTEXT]);
    s.send(6, 16, 9 + (WINDOW + CONTEXT) as u32, b"\r\n");
    assert_eq!(s.offsets(), []);
}

#[test]
fn what_cannot_be_looked_for_is_explained() {
    let why = |bytes: &[u8], kind| Pattern::new(bytes, kind, false).unwrap_err();
    assert!(why(b"", Kind::Bytes).contains("empty"));
    assert!(why(&vec![b'a'; 64 << 20], Kind::Bytes).contains("67108864 bytes, at most 4096"));
    assert!(why(b"a*", Kind::Regex).contains("nothing at all"));
    assert!(why(br"(\w{100}){100}", Kind::Regex).contains("repetitions"));
    assert!(why(b"(a", Kind::Regex).contains("unclosed group"));
    assert!(why(b"\xff", Kind::Regex).contains("byte 0"));
    assert!(why("(".repeat(500).as_bytes(), Kind::Regex).contains("cannot be read"));
    assert!(Pattern::new(&[b'.'; LONGEST], Kind::Bytes, false).is_ok());
    assert!(Pattern::new(&[0xff; LONGEST], Kind::Bytes, true).is_ok());
}

#[test]
fn letters_of_both_cases() {
    let find =
        |text: &str, bytes: &[u8]| Pattern::new(text.as_bytes(), Kind::Bytes, true).unwrap().find(bytes, 0);
    assert_eq!(find("PassWord", b"my password"), Some((3, 11)));
    assert_eq!(find("ä", "Ä".as_bytes()), Some((0, 2)));
    assert_eq!(find("a.b", b"axb"), None);
    assert_eq!(pattern(b"a.b").find(b"\xffa.b", 0), Some((1, 4)));
}
