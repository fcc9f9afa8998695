//! Random traffic against plain models.

use proptest::prelude::*;

use super::script_tests::Ran;
use super::{Budget, Connection, Event, Kind, Limits, Origin, Policy, Segment};
use crate::packet::tcp_flag::{ACK, FIN, SYN};
use crate::packet::NO_WSCALE;

fn data(seq: u32, payload: &[u8], frame: u64) -> Segment<'_> {
    let origin = Origin { frame, ..Origin::default() };
    Segment { seq, payload, wire_len: payload.len() as u32, flags: ACK, origin, ..Segment::default() }
}

fn ack(ack: u32) -> Segment<'static> {
    Segment { dir: 1, seq: 7, ack, flags: ACK, window: u16::MAX, ..Segment::default() }
}

/// The client's stream with None where bytes are missing; checks that events follow each other.
fn stream(events: &[(u64, Option<Vec<u8>>, u64)]) -> Vec<Option<u8>> {
    let mut all = Vec::new();
    for (offset, bytes, length) in events {
        assert_eq!(*offset, all.len() as u64);
        match bytes {
            Some(bytes) => all.extend(bytes.iter().map(|b| Some(*b))),
            None => all.extend(std::iter::repeat_n(None, *length as usize)),
        }
    }
    all
}

/// Feeds segments and gives the client's stream and the notes.
fn feed(policy: Policy, segments: &[Segment<'_>]) -> (Vec<Option<u8>>, Ran) {
    let mut connection = Connection::new(policy, Limits::default(), Budget::default());
    let (mut events, mut ran) = (Vec::new(), Ran::default());
    let mut out = |event: &Event<'_>| {
        ran.note(event);
        match event.kind {
            Kind::Data { offset, bytes, skip } => {
                if let Some(s) = segments.get(event.origin.frame as usize) {
                    assert_eq!(
                        bytes,
                        &s.payload[skip as usize..skip as usize + bytes.len()],
                        "byte to frame"
                    );
                }
                events.push((offset, Some(bytes.to_vec()), 0));
            }
            Kind::Gap { offset, length, .. } => events.push((offset, None, length)),
            _ => {}
        }
    };
    for s in segments {
        connection.segment(s, &mut out);
    }
    connection.finish(&mut out);
    let counts = connection.counts(0);
    assert_eq!(counts.accounted(), counts.captured);
    (stream(&events), ran)
}

#[derive(Debug, Clone)]
struct Traffic {
    text: Vec<u8>,
    isn: u32,
    /// Begin and length of each segment, and how late it comes.
    parts: Vec<(usize, usize, usize)>,
    acks: Vec<(usize, usize)>,
    syn: Option<usize>,
    fin: Option<usize>,
}

fn traffic() -> impl Strategy<Value = Traffic> {
    prop::collection::vec(any::<u8>(), 1..300).prop_flat_map(|text| {
        let n = text.len();
        let isn = prop_oneof![any::<u32>(), (0..400_u32).prop_map(|d| u32::MAX - d)];
        let parts = prop::collection::vec((0..n, 1..60_usize, 0..60_usize), 1..40);
        let acks = prop::collection::vec((0..=n, 0..60_usize), 0..6);
        let at = || prop::option::of(0..60_usize);
        (Just(text), isn, parts, acks, prop::option::of(Just(0)), at())
            .prop_map(|(text, isn, parts, acks, syn, fin)| Traffic { text, isn, parts, acks, syn, fin })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// Any segmentation, order, repetition and loss gives the very bytes that were captured and gaps for the others.
    #[test]
    fn the_stream_is_exact_and_so_are_its_gaps(t in traffic(), policy in 0..Policy::ALL.len()) {
        let first = t.isn.wrapping_add(1);
        let n = t.text.len();
        let mut timed = Vec::new();
        let mut there = vec![false; n];
        for &(at, len, late) in &t.parts {
            let end = (at + len).min(n);
            there[at..end].fill(true);
            timed.push((late + 1, data(first.wrapping_add(at as u32), &t.text[at..end], 0)));
        }
        let low = if t.syn.is_some() { 0 } else { t.parts.iter().map(|p| p.0).min().unwrap() };
        let mut high = there.iter().rposition(|x| *x).unwrap() + 1;
        if let Some(late) = t.fin {
            high = n;
            timed.push((late + 1, Segment { flags: FIN | ACK, ..data(first.wrapping_add(n as u32), &[], 0) }));
        }
        if t.syn.is_some() {
            timed.push((0, Segment { flags: SYN, wscale: NO_WSCALE, ..data(t.isn, &[], 0) }));
            for &(at, late) in &t.acks {
                timed.push((late + 1, ack(first.wrapping_add(at as u32))));
                high = high.max(at.saturating_sub(1));
            }
        }
        timed.sort_by_key(|(at, _)| *at);
        let mut segments: Vec<_> = timed.into_iter().map(|(_, s)| s).collect();
        for (i, s) in segments.iter_mut().enumerate() {
            s.origin.frame = i as u64;
        }
        let (found, ran) = feed(Policy::ALL[policy], &segments);
        let want: Vec<_> = (low..high).map(|i| there[i].then_some(t.text[i])).collect();
        prop_assert_eq!(found, want);
        prop_assert_eq!(ran.notes.iter().any(|note| note.starts_with("> fin ")), t.fin.is_some());
        let allowed = ["fin_or_byte", "not_captured", "mid_stream", "> fin "];
        let odd = ran.notes.iter().find(|note| !allowed.iter().any(|a| note.contains(a)));
        prop_assert!(odd.is_none(), "{:?}", odd);
    }

    /// Conflicting bytes under each policy, byte by byte: whoever wins takes the byte over, until it
    /// is in order and acknowledged.
    #[test]
    fn each_policy_is_its_model(
        steps in prop::collection::vec((0..24_usize, 2..12_usize, any::<bool>(), any::<u8>()), 1..20),
        policy in 0..Policy::ALL.len(),
    ) {
        let policy = Policy::ALL[policy];
        let mut model: Vec<Option<(u8, (i64, i64))>> = vec![None; 40];
        let (mut settled, mut conflicts) = (0, 0_usize);
        let texts: Vec<Vec<u8>> =
            steps.iter().enumerate().map(|(i, s)| (0..s.1).map(|k| b'a' + ((i + k * usize::from(s.3 & 3)) % 3) as u8).collect()).collect();
        let mut segments = vec![Segment { flags: SYN, wscale: NO_WSCALE, ..data(99, &[], 0) }];
        for (&(at, len, acked, _), text) in steps.iter().zip(&texts) {
            let span = (at as i64, (at + len) as i64);
            for (slot, byte) in model[at..at + len].iter_mut().zip(text).enumerate().map(|(i, x)| (i + at, x)).map(
                |(i, (slot, byte))| ((i, slot), byte),
            ) {
                let (i, slot) = slot;
                match slot {
                    Some((old, owner)) => {
                        conflicts += usize::from(old != byte);
                        if i >= settled && policy.takes_new(span, *owner) {
                            *slot = Some((*byte, span));
                        }
                    }
                    None => *slot = Some((*byte, span)),
                }
            }
            segments.push(data(100 + at as u32, text, segments.len() as u64));
            let in_order = model.iter().position(Option::is_none).unwrap();
            if policy.takes_new((0, 2), (0, 2)) || policy.takes_new((0, 2), (1, 2)) {
                if acked {
                    segments.push(ack(100 + in_order as u32));
                    settled = settled.max(in_order);
                }
            } else {
                settled = settled.max(in_order);
            }
        }
        let (found, ran) = feed(policy, &segments);
        let end = model.iter().rposition(Option::is_some).unwrap() + 1;
        let want: Vec<_> = model[..end].iter().map(|b| b.map(|(byte, _)| byte)).collect();
        prop_assert_eq!(found, want, "{}", policy.name());
        prop_assert_eq!(ran.notes.iter().any(|note| note.contains("overlap")), conflicts > 0);
    }

    /// Any bytes as segments: no panic, each captured byte accounted for, no bound passed.
    #[test]
    fn any_bytes_are_accounted_for(data in prop::collection::vec(any::<u8>(), 0..900)) {
        super::fuzz_bytes(&data);
    }

    /// The same with segments that lie near each other, so that more of it makes sense.
    #[test]
    fn near_segments_are_accounted_for(
        setup in any::<[u8; 2]>(),
        segments in prop::collection::vec((0..8_u8, prop_oneof![Just(0x30_u8), Just(0), any::<u8>()], 80..140_u8,
            80..140_u8, any::<u8>(), 0..16_u8, any::<u8>(), prop_oneof![Just(2_u8), any::<u8>()], 0..3_u8), 0..60),
    ) {
        let mut data = setup.to_vec();
        for (kind, flags, at, ack, window, len, extra, more, byte) in segments {
            data.extend([kind, flags, at, ack, window, len, extra, more]);
            data.extend((0..len).map(|i| (at + i) % 4 + byte / 2));
        }
        super::fuzz_bytes(&data);
    }
}
