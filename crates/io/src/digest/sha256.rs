//! SHA-256 (FIPS 180-4) of one stream of bytes, or of several side by side.
//!
//! Each round needs the result of the one before, so one digest leaves a processor with SHA instructions
//! waiting half of the time. Two digests together take little longer than one. Single blocks are those of the `sha2` crate.

use sha2::block_api::compress256;

type State = [u32; 8];
type Block = [u8; 64];

/// The state before the first block (section 5.3.3).
const BEGIN: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A SHA-256 in the making.
#[derive(Clone, Debug)]
pub struct Sha256 {
    state: State,
    /// Bytes that are no whole block yet, `len % 64` of them.
    rest: Block,
    len: u64,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self { state: BEGIN, rest: [0; 64], len: 0 }
    }
}

impl Sha256 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let blocks = self.begin(bytes);
        compress256(&mut self.state, blocks);
    }

    /// Takes bytes and gives those whole blocks of them that still have to go into the state.
    fn begin<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [Block] {
        let filled = (self.len % 64) as usize;
        self.len += bytes.len() as u64;
        if filled > 0 {
            let (head, tail) = bytes.split_at(bytes.len().min(64 - filled));
            self.rest[filled..filled + head.len()].copy_from_slice(head);
            if filled + head.len() < 64 {
                return &[];
            }
            compress256(&mut self.state, &[self.rest]);
            bytes = tail;
        }
        let (blocks, rest) = bytes.as_chunks();
        self.rest[..rest.len()].copy_from_slice(rest);
        blocks
    }

    /// The digest.
    pub fn bytes(mut self) -> [u8; 32] {
        let filled = (self.len % 64) as usize;
        // A one bit, zeros, and the length in bits (section 5.1.1).
        let mut end = [[0; 64]; 2];
        end[0][..filled].copy_from_slice(&self.rest[..filled]);
        end[0][filled] = 0x80;
        let last = usize::from(filled >= 56);
        end[last][56..].copy_from_slice(&(self.len * 8).to_be_bytes());
        compress256(&mut self.state, &end[..=last]);
        let mut out = [0; 32];
        for (four, word) in out.chunks_exact_mut(4).zip(self.state) {
            four.copy_from_slice(&word.to_be_bytes());
        }
        out
    }
}

/// Lets each of several digests take bytes, two at a time.
pub fn update_all(parts: Vec<(&mut Sha256, &[u8])>) {
    let mut runs: Vec<(&mut State, &[Block])> = parts
        .into_iter()
        .map(|(digest, bytes)| {
            let blocks = digest.begin(bytes);
            (&mut digest.state, blocks)
        })
        .collect();
    // The longest first: what is left for the last one to do alone is short.
    runs.sort_by_key(|run| std::cmp::Reverse(run.1.len()));
    let mut runs = runs.into_iter();
    let Some(mut one) = runs.next() else { return };
    for mut two in runs {
        let both = one.1.len().min(two.1.len());
        compress_pair([&mut *one.0, &mut *two.0], [&one.1[..both], &two.1[..both]]);
        (one.1, two.1) = (&one.1[both..], &two.1[both..]);
        if one.1.is_empty() {
            one = two;
        }
    }
    compress256(one.0, one.1);
}

/// Takes equally many blocks into each state.
#[allow(unsafe_code)]
fn compress_pair([a, b]: [&mut State; 2], [x, y]: [&[Block]; 2]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") {
        // The processor has the instructions that `lanes` is made of (SSSE3 comes with SSE4.1).
        return unsafe { x86::lanes([a, b], [x, y]) };
    }
    compress256(a, x);
    compress256(b, y);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32,
        _mm_set_epi8, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
        _mm_shuffle_epi32, _mm_shuffle_epi8,
    };
    use std::array::from_fn;

    use super::{Block, State};

    /// Constants of the rounds (section 4.2.2).
    const K: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    /// Four words as one vector, the first one lowest.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn vector([a, b, c, d]: [u32; 4]) -> __m128i {
        _mm_set_epi32(d as i32, c as i32, b as i32, a as i32)
    }

    /// Sixteen bytes of a block as four words.
    #[inline]
    #[target_feature(enable = "ssse3")]
    #[allow(unsafe_code)]
    fn words(block: &Block, i: usize) -> __m128i {
        let bytes: &[u8; 16] = block[i * 16..].first_chunk().unwrap_or(&[0; 16]);
        // The array is sixteen bytes; the load asks for no alignment.
        let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        _mm_shuffle_epi8(bytes, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3))
    }

    /// Takes equally many blocks into each state.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    pub fn lanes(states: [&mut State; 2], blocks: [&[Block]; 2]) {
        // The instructions hold a state in two vectors, of these words from the lowest on: f e b a, h g d c.
        let mut abef: [__m128i; 2] = from_fn(|n| vector([5, 4, 1, 0].map(|i| states[n][i])));
        let mut cdgh: [__m128i; 2] = from_fn(|n| vector([7, 6, 3, 2].map(|i| states[n][i])));
        for block in blocks[0].iter().zip(blocks[1]) {
            let block = [block.0, block.1];
            let before = (abef, cdgh);
            let mut w = [[_mm_setzero_si128(); 4]; 2];
            for (i, k) in K.iter().enumerate() {
                for n in 0..2 {
                    let w = &mut w[n];
                    let next = if i < 4 {
                        words(block[n], i)
                    } else {
                        // No closure: one that is not inlined here has not these instructions, and costs half the speed.
                        let [w4, w3, w2, w1] = [w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]];
                        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w4, w3), _mm_alignr_epi8::<4>(w1, w2));
                        _mm_sha256msg2_epu32(sum, w1)
                    };
                    w[i % 4] = next;
                    let sum = _mm_add_epi32(next, vector(*k));
                    cdgh[n] = _mm_sha256rnds2_epu32(cdgh[n], abef[n], sum);
                    abef[n] = _mm_sha256rnds2_epu32(abef[n], cdgh[n], _mm_shuffle_epi32::<0x0e>(sum));
                }
            }
            for n in 0..2 {
                abef[n] = _mm_add_epi32(abef[n], before.0[n]);
                cdgh[n] = _mm_add_epi32(cdgh[n], before.1[n]);
            }
        }
        for (n, state) in states.into_iter().enumerate() {
            let words = |v| {
                [
                    _mm_extract_epi32::<3>(v),
                    _mm_extract_epi32::<2>(v),
                    _mm_extract_epi32::<1>(v),
                    _mm_extract_epi32::<0>(v),
                ]
                .map(|word| word as u32)
            };
            let ([a, b, e, f], [c, d, g, h]) = (words(abef[n]), words(cdgh[n]));
            *state = [a, b, c, d, e, f, g, h];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest;

    fn bytes(seed: u32, len: usize) -> Vec<u8> {
        (0..len as u32)
            .map(|i| (i.wrapping_mul(0x9e37_79b9) ^ seed.wrapping_mul(77)).to_be_bytes()[1])
            .collect()
    }

    fn expected(bytes: &[u8]) -> [u8; 32] {
        sha2::Sha256::digest(bytes).into()
    }

    #[test]
    fn any_length_in_any_parts() {
        for len in (0..300).chain([1000, 4095, 4096, 70_000]) {
            let whole = bytes(1, len);
            for part in [1, 7, 63, 64, 65, 200, len + 1] {
                let mut digest = Sha256::default();
                whole.chunks(part).for_each(|bytes| digest.update(bytes));
                assert_eq!(digest.bytes(), expected(&whole), "{len} bytes in parts of {part}");
            }
        }
    }

    #[test]
    fn side_by_side_as_one_by_one() {
        for lengths in [
            &[][..],
            &[5],
            &[64, 64],
            &[0, 64, 0],
            &[1000, 10, 100_000, 64, 63, 65, 0, 99_999],
            &[6400, 128, 6400, 6400, 3000],
        ] {
            let all: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(i, &n)| bytes(i as u32, n)).collect();
            let mut digests = vec![Sha256::default(); all.len()];
            for (from, to) in [(0, 3), (3, 10)] {
                let part = |bytes: &'_ Vec<u8>| bytes.len() * from / 10..bytes.len() * to / 10;
                update_all(digests.iter_mut().zip(&all).map(|(d, bytes)| (d, &bytes[part(bytes)])).collect());
            }
            for (digest, bytes) in digests.into_iter().zip(&all) {
                update_rest(digest, bytes);
            }
        }
    }

    fn update_rest(mut digest: Sha256, bytes: &[u8]) {
        digest.update(&bytes[digest.len as usize..]);
        assert_eq!(digest.bytes(), expected(bytes), "{} bytes", bytes.len());
    }
}
