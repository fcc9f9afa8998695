//! Any bytes as the segments of one connection.

use flowkeep_core::stream::fuzz_bytes;

use super::note;

/// Streams without holes that are no gaps, every byte accounted for, bounds held.
pub fn stream(data: &[u8], notes: &mut Vec<u64>) {
    let names = fuzz_bytes(data);
    for (i, name) in names.iter().enumerate() {
        notes.push(note(name));
        notes.extend(names[..i].iter().map(|before| note(&(before, name))));
    }
}

/// A handshake, data in and out of order, a conflict, a hole and a FIN, with bounds wide and tight.
pub fn seeds() -> Vec<Vec<u8>> {
    let heads: [[u8; 8]; 8] = [
        [0, 0x02, 100, 0, 200, 0, 0, 2],
        [1, 0x12, 100, 101, 200, 0, 0, 2],
        [0, 0x10, 105, 101, 200, 4, 0, 2],
        [0, 0x10, 101, 101, 200, 6, 0, 2],
        [1, 0x10, 101, 109, 200, 9, 0, 2],
        [0, 0x10, 120, 110, 200, 3, 0, 0],
        [0, 0x11, 123, 110, 200, 0, 0, 2],
        [1, 0x14, 110, 124, 200, 0, 0, 2],
    ];
    let mut all = Vec::new();
    for (policy, tight) in [(0, 0), (1, 0), (5, 63), (2, 20)] {
        let mut data = vec![policy, tight];
        for head in heads {
            data.extend(head);
            data.extend((0..head[5]).map(|i| head[2] + i));
        }
        all.push(data);
    }
    all
}
