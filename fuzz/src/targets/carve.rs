//! Packets in any bytes, in windows of any size.

use flowkeep_core::carve::{scan, Hit, Level, Settler, Window, BEFORE, BEHIND};

use super::note;
use crate::mutate::Rng;

/// Packets do not overlap, lie inside the input, and are the same wherever windows end.
pub fn carve(data: &[u8], notes: &mut Vec<u64>) {
    let mut rng = Rng::of(data);
    for level in [Level::Strict, Level::Normal, Level::Loose] {
        let hits = carved(data, level, usize::MAX >> 1);
        let mut end = 0;
        for hit in &hits {
            assert!(end <= hit.start && hit.start <= hit.at && hit.at < hit.end, "{hit:?} behind {end}");
            assert!(hit.end <= data.len() as u64 && hit.end - hit.start <= u64::from(hit.wirelen), "{hit:?}");
            assert!(hit.reasons().len() < 200);
            end = hit.end;
            notes.push(note(&(hit.class, hit.version, hit.proto, hit.evidence)));
        }
        let block = 1 + rng.below(data.len().max(1));
        assert_eq!(carved(data, level, block), hits, "windows of {block} bytes");
    }
}

fn carved(data: &[u8], level: Level, block: usize) -> Vec<Hit> {
    let (mut settler, mut out, mut found) = (Settler::default(), Vec::new(), Vec::new());
    let mut from = 0;
    while from < data.len() {
        let to = from.saturating_add(block).min(data.len());
        let begin = from.saturating_sub(BEFORE);
        let bytes = &data[begin..(to + BEHIND).min(data.len())];
        let window = Window { bytes, base: begin as u64, from: from - begin, to: to - begin };
        scan(&window, level, &mut found);
        for found in found.drain(..) {
            settler.push(found, &mut out);
        }
        settler.reached(to as u64, &mut out);
        from = to;
    }
    settler.finish(&mut out);
    out
}
