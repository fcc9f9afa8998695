//! Any bytes as segments, and what must hold whatever they are.

use super::{Budget, Checksum, Connection, Event, Kind, Limits, Origin, Policy, Segment};

/// Reads bytes as segments, runs them through a connection and gives the names of what was reported.
///
/// # Panics
/// If a stream has a hole that is no gap, a captured byte is not accounted for, a bound is not held, or a rest
/// between two segments changes anything.
pub fn fuzz_bytes(data: &[u8]) -> Vec<&'static str> {
    let (names, events) = pass(data, false);
    assert_eq!(pass(data, true).1, events, "a rest changes what is said");
    names
}

/// The names of what is reported, and all of it. `rests`: the connection rests whenever it can.
fn pass(data: &[u8], rests: bool) -> (Vec<&'static str>, Vec<String>) {
    let Some((&[setup, tight], mut rest)) = data.split_first_chunk::<2>() else { return Default::default() };
    let policy = Policy::ALL[usize::from(setup) % Policy::ALL.len()];
    let held = if tight & 1 == 0 { 1 << 20 } else { 600 };
    let history = if tight & 2 == 0 { 1 << 16 } else { 300 };
    let limits = Limits {
        held,
        history,
        start: if tight & 4 == 0 { 1 << 10 } else { 8 },
        aside: if tight & 8 == 0 { 1 << 12 } else { 200 },
        acked_hole: (tight & 16 != 0).then_some(4),
    };
    let total = if tight & 32 == 0 { 1 << 20 } else { 500 };
    let budget = Budget::new(total, history);
    let mut connection = Connection::new(policy, limits, budget.clone());
    let mut seen = Seen::default();
    let mut captured = [0_u64; 2];
    let mut frame = 0;
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let [kind, flags, at, ack, window, len, extra, more] = *head;
        let n = usize::from(len & 63).min(tail.len());
        let (payload, tail) = tail.split_at(n);
        rest = tail;
        frame += 1;
        let base = [u32::MAX - 100, 1 << 31][usize::from(kind & 1)];
        let far = [0, 0, 0, 1 << 16, 1 << 28, 1 << 30, 1 << 31, u32::MAX][usize::from(kind >> 5)];
        let segment = Segment {
            dir: kind & 1,
            seq: base.wrapping_add(u32::from(at)).wrapping_add(far),
            ack: [1 << 31, u32::MAX - 100][usize::from(kind & 1)].wrapping_add(u32::from(ack)),
            flags: flags & 0x17 | if flags & 0x60 == 0 { 0 } else { 0x10 },
            window: u16::from(window) * [1, 257][usize::from(extra & 1)],
            wscale: if extra & 2 == 0 { 0xff } else { extra >> 4 },
            payload,
            wire_len: match more & 7 {
                0 => n as u32 + u32::from(more >> 3),
                1 => n as u32 / 2,
                _ => n as u32,
            },
            origin: Origin { frame, ts: i64::from(more), ttl: more, ip_id: u16::from(ack) },
            checksum: match extra & 0xc {
                0 => Checksum::Good,
                4 if extra & 0x80 != 0 => Checksum::Bad,
                _ => Checksum::Unknown,
            },
        };
        captured[usize::from(kind & 1)] += n as u64;
        if kind & 0x1e == 0x1e {
            connection.mark_cut((more & 8 != 0).then_some([u64::from(more) << 30; 2]));
        }
        connection.segment(&segment, &mut |event| seen.note(event));
        if rests {
            connection = match connection.rest() {
                Ok(resting) => resting.wake(policy, limits, &budget),
                Err(busy) => *busy,
            };
        }
        let now = [connection.held(0), connection.held(1)];
        assert!(now.iter().all(|n| *n <= held), "{now:?} bytes are held");
    }
    connection.finish(&mut |event| seen.note(event));
    assert_eq!([connection.held(0), connection.held(1)], [0, 0], "something waits after the end");
    assert_eq!(budget.used(), (0, 0), "memory was not given back");
    assert!(budget.peak().0 <= total && budget.peak().1 <= history, "{:?}", budget.peak());
    for dir in 0..2 {
        let counts = connection.counts(dir);
        let own = &seen.dir[usize::from(dir)];
        assert_eq!(counts.captured, captured[usize::from(dir)]);
        assert_eq!(counts.accounted(), counts.captured, "{counts:?}");
        assert_eq!(
            (counts.delivered, counts.missing, counts.conflicting, counts.refused),
            (own.data, own.gaps, own.other, own.refused)
        );
    }
    (seen.names, seen.events)
}

#[derive(Default)]
struct Dir {
    epoch: u32,
    next: u64,
    data: u64,
    gaps: u64,
    other: u64,
    refused: u64,
}

#[derive(Default)]
struct Seen {
    dir: [Dir; 2],
    names: Vec<&'static str>,
    events: Vec<String>,
}

impl Seen {
    fn note(&mut self, event: &Event<'_>) {
        self.events.push(format!("{event:?}"));
        let own = &mut self.dir[usize::from(event.dir)];
        if own.epoch != event.epoch {
            assert!(own.epoch < event.epoch);
            (own.epoch, own.next) = (event.epoch, 0);
        }
        let name = match event.kind {
            Kind::Data { offset, bytes, .. } => {
                assert_eq!(offset, own.next, "data does not follow");
                assert!(!bytes.is_empty(), "data of no bytes");
                own.next += bytes.len() as u64;
                own.data += bytes.len() as u64;
                "data"
            }
            Kind::Gap { offset, length, reason } => {
                assert_eq!(offset, own.next, "a gap does not follow");
                assert!(length > 0, "a gap of nothing");
                own.next += length;
                own.gaps += length;
                reason.name()
            }
            Kind::Overlap { kept, other, .. } => {
                assert_eq!(kept.len(), other.len());
                assert!(kept.first() != other.first() && kept.last() != other.last(), "no difference");
                own.other += other.len() as u64;
                "overlap"
            }
            Kind::Fin { offset } => {
                assert_eq!(offset, own.next, "the end is not at the end");
                "fin"
            }
            Kind::Reset { .. } => "reset",
            Kind::Anomaly { name, bytes, .. } => {
                own.refused += bytes.len() as u64;
                name.name()
            }
        };
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}
