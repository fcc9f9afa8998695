//! Any bytes as IP fragments.

use flowkeep_core::pipe::fuzz_fragments;

use super::note;

/// Datagrams that are what came first, every captured byte accounted for, bounds held.
pub fn defrag(data: &[u8], notes: &mut Vec<u64>) {
    let names = fuzz_fragments(data);
    for (i, name) in names.iter().enumerate() {
        notes.push(note(name));
        notes.extend(names[..i].iter().map(|before| note(&(before, name))));
    }
}

/// A datagram in order, one in another order with an overlap, one that lacks its end, one that comes too late.
pub fn seeds() -> Vec<Vec<u8>> {
    // Which datagram, place in eights, whether more follow and what is cut off, seconds later, length.
    let orders: [&[[u8; 5]]; 4] = [
        &[[0, 0, 1, 0, 16], [0, 2, 1, 0, 8], [0, 3, 0, 0, 5]],
        &[[1, 2, 0, 1, 12], [1, 1, 1, 0, 16], [2, 0, 1, 0, 8], [1, 0, 1, 0, 8], [2, 1, 0, 0, 8]],
        &[[3, 0, 1, 0, 24], [3, 1, 1, 0, 8], [3, 9, 0x11, 0, 8]],
        &[[4, 0, 1, 0, 8], [4, 1, 0, 121, 8], [4, 0, 1, 0, 8], [4, 0, 0, 0, 0]],
    ];
    orders
        .iter()
        .map(|fragments| {
            let mut data = Vec::new();
            for (i, head) in fragments.iter().enumerate() {
                data.extend(head);
                data.extend((0..head[4]).map(|n| n ^ (i as u8) << 6));
            }
            data
        })
        .collect()
}
