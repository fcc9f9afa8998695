//! Any bytes as IP fragments, and what must hold whatever they are.

use std::collections::HashMap;

use super::defrag::{Defrag, Fragment, Odd};
use crate::packet::FragKey;
use crate::stream::Origin;

/// What was there first: the bytes of each place, `None` where the capture lacks one that was on the wire.
#[derive(Default)]
struct Model {
    places: HashMap<usize, Option<u8>>,
    end: Option<usize>,
    headed: bool,
    captured: u64,
}

/// Reads bytes as fragments, puts datagrams together and gives the names of what happened.
///
/// # Panics
/// If a datagram is not what a plain model makes of its fragments, or a captured byte is not accounted for.
pub fn fuzz_fragments(data: &[u8]) -> Vec<&'static str> {
    let (mut defrag, mut odd) = (Defrag::default(), Vec::new());
    let mut models: HashMap<u8, Model> = HashMap::new();
    let mut names = Vec::new();
    let (mut rest, mut ts) = (data, 0_i64);
    let mut frame = 0;
    while let Some((head, tail)) = rest.split_first_chunk::<5>() {
        let [which, at, more, later, len] = *head;
        let (bytes, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        frame += 1;
        ts += i64::from(later) * 1_000_000_000;
        let which = which & 7;
        let fragment = Fragment {
            tag: 1,
            dir: which & 1,
            at: usize::from(at) * if more & 8 == 0 { 8 } else { 320 },
            more: more & 1 != 0,
            bytes,
            wire: bytes.len() + usize::from(more >> 4),
            origin: Origin { frame, ts, ..Origin::default() },
            head: if at == 0 { &[0x45; 20] } else { &[] },
            proto: 6,
        };
        let key = FragKey { id: u32::from(which), ..FragKey::default() };
        let whole = defrag.take(key, &fragment, &mut odd);
        let mut differs = false;
        for odd in odd.drain(..) {
            match odd {
                Odd::Differs(..) => differs = true,
                // Of the datagram before, which was too old; or this fragment can be of none.
                Odd::Incomplete(_, _, origin, lost) if origin.frame == frame => {
                    assert_eq!(lost, bytes.len() as u64);
                    names.push("impossible");
                }
                Odd::Incomplete(_, _, _, lost) => {
                    assert_eq!(
                        lost,
                        models.remove(&which).map_or(0, |m| m.captured),
                        "bytes of a datagram given up"
                    );
                    names.push("too late");
                }
            }
        }
        if names.last() == Some(&"impossible") && whole.is_none() && !model_takes(&fragment) {
            continue;
        }
        let model = models.entry(which).or_default();
        assert_eq!(model.put(&fragment), differs, "fragment {frame}");
        if differs {
            names.push("differs");
        }
        assert_eq!(whole.is_some(), model.is_whole(), "fragment {frame}");
        if let Some(whole) = whole {
            let end = model.end.unwrap_or_default();
            let known: Vec<u8> = (0..end).map_while(|at| model.places.get(&at).copied().flatten()).collect();
            assert_eq!((whole.bytes, whole.wire), (known, end), "fragment {frame}");
            models.remove(&which);
            names.push("whole");
        }
    }
    defrag.finish(&mut odd);
    let lost: u64 = odd.iter().map(|odd| if let Odd::Incomplete(.., n) = odd { *n } else { 0 }).sum();
    assert_eq!(lost, models.values().map(|m| m.captured).sum::<u64>(), "bytes given up at the end");
    names
}

/// Whether a fragment can be of a datagram at all.
fn model_takes(f: &Fragment<'_>) -> bool {
    f.wire > 0 && f.at + f.wire <= 65_535
}

impl Model {
    /// Gives whether the fragment says something else than one before.
    fn put(&mut self, f: &Fragment<'_>) -> bool {
        let stop = f.at + f.wire;
        let mut differs = !f.more && self.end.is_some_and(|end| end != stop);
        if !f.more {
            self.end.get_or_insert(stop);
        }
        self.headed |= f.at == 0;
        for at in f.at..stop {
            let new = f.bytes.get(at - f.at).copied();
            if let Some(old) = self.places.get(&at) {
                differs |= old.is_some() && new.is_some() && *old != new;
            } else {
                self.captured += u64::from(new.is_some());
                self.places.insert(at, new);
            }
        }
        differs
    }

    /// As many places as the end says are filled, and the first fragment is among them.
    fn is_whole(&self) -> bool {
        self.headed && self.end.is_some_and(|end| (0..end).all(|at| self.places.contains_key(&at)))
    }
}

#[cfg(test)]
mod tests {
    use super::fuzz_fragments;

    #[test]
    fn some_fragments_by_hand() {
        let data: Vec<u8> = [&[0, 1, 0, 0, 3][..], b"xyz", &[0, 0, 1, 0, 8], b"abcdefgh"].concat();
        assert_eq!(fuzz_fragments(&data), ["whole"]);
        let data: Vec<u8> = [&[0, 0, 1, 0, 8][..], b"abcdefgh", &[0, 0, 1, 0, 2], b"aX"].concat();
        assert_eq!(fuzz_fragments(&data), ["differs"]);
    }
}
