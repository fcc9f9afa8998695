//! One's complement sums (RFC 1071) over any part of a window.

use std::cell::OnceCell;

/// Bytes between two sums that are kept.
const STEP: usize = 64;
/// A range up to this length is added up as it is.
const SHORT: usize = 2048;

/// The bytes of a window and sums over their beginnings.
///
/// Headers may be made so that very many long packets overlap. With the sums kept every [`STEP`]
/// bytes none of them costs more than a short one.
pub(super) struct Sums<'a> {
    bytes: &'a [u8],
    kept: OnceCell<Vec<u64>>,
}

impl<'a> Sums<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, kept: OnceCell::new() }
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The sum of the 16-bit words from `from` to `to`; to be folded.
    pub fn sum(&self, from: usize, to: usize) -> u64 {
        if to - from <= SHORT {
            return plain(&self.bytes[from..to]);
        }
        let kept = self.kept.get_or_init(|| {
            let mut sum = 0;
            let steps = self.bytes.chunks(STEP).map(|step| {
                let before = sum;
                sum += plain(step);
                before
            });
            steps.collect()
        });
        let (first, last) = (from.div_ceil(STEP), to / STEP);
        let head = &self.bytes[from..first * STEP];
        // Words at odd places are those at even places with their bytes swapped (RFC 1071 §2 B).
        let odd = from % 2 == 1;
        let head = if odd { u64::from(head[0]) + plain(&head[1..]) } else { plain(head) };
        let sum = head + (kept[last] - kept[first]) + plain(&self.bytes[last * STEP..to]);
        if odd {
            u64::from(fold(sum).swap_bytes())
        } else {
            sum
        }
    }
}

/// The sum of the 16-bit words of some bytes; an odd one at the end is filled up with 0.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let mut sum: u64 = words.by_ref().map(|w| u64::from(u32::from_be_bytes([w[0], w[1], w[2], w[3]]))).sum();
    let mut rest = [0; 4];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    sum += u64::from(u32::from_be_bytes(rest));
    sum
}

/// A sum in 16 bits.
#[inline]
pub(super) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_hand(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn any_range_is_summed_as_by_hand() {
        let mut x = 1_u32;
        let bytes: Vec<u8> = (0..9000)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (x >> 24) as u8
            })
            .collect();
        let sums = Sums::new(&bytes);
        for from in [0, 1, 2, 63, 64, 65, 127, 1000, 1001] {
            for to in [from, from + 1, from + 7, from + 2048, from + 2049, 4096, 4097, 8999, 9000] {
                if from <= to {
                    assert_eq!(fold(sums.sum(from, to)), by_hand(&bytes[from..to]), "{from} {to}");
                }
            }
        }
    }
}
