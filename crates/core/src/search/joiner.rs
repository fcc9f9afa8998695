//! Which bytes of one direction of a TCP connection follow each other.

use std::collections::BTreeMap;

/// Segments that came too early and wait, per direction; and their bytes.
const WAITING: usize = 32;
const WAITING_BYTES: usize = 1 << 16;

/// Payload bytes, and where they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Where they stand in the stream: 0 is the first byte behind the SYN, or the first one that was seen.
    /// `None`: before it.
    pub offset: Option<u64>,
    /// They follow directly on the piece before that was in order.
    pub follows: bool,
    /// They were there before: a retransmission, looked at by itself.
    pub again: bool,
    /// Number and time of the packet that brought them.
    pub packet: (u64, i64),
}

/// Puts the segments of one direction in order. The assembler can take this place.
pub trait Stream: Default {
    /// The SYN: `seq` is its sequence number.
    fn begin(&mut self, seq: u32);
    /// Takes a segment of `len` payload bytes, of which `bytes` were captured; gives what can be said.
    fn segment(
        &mut self,
        seq: u32,
        len: u32,
        bytes: &[u8],
        packet: (u64, i64),
        give: &mut dyn FnMut(Piece<'_>),
    );
    /// Nothing more comes: gives what waits.
    fn finish(&mut self, give: &mut dyn FnMut(Piece<'_>));
    /// Bytes of memory that wait.
    fn waiting(&self) -> usize;
}

/// Follows the next expected sequence number (RFC 9293 §3.4). Of bytes that come twice the first ones are in
/// the stream. A segment that comes too early waits, within bounds, for what is missing.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    /// Sequence number and offset that come next; none before the first segment.
    next: Option<(u32, u64)>,
    /// By offset: what waits.
    early: BTreeMap<u64, Early>,
    early_bytes: usize,
    /// The byte before `next` is known.
    joined: bool,
}

#[derive(Clone, Debug)]
struct Early {
    len: u32,
    bytes: Vec<u8>,
    packet: (u64, i64),
}

impl Stream for Joiner {
    fn begin(&mut self, seq: u32) {
        if self.next.is_none() {
            self.next = Some((seq.wrapping_add(1), 0));
        }
    }

    fn segment(
        &mut self,
        seq: u32,
        len: u32,
        bytes: &[u8],
        packet: (u64, i64),
        give: &mut dyn FnMut(Piece<'_>),
    ) {
        if len == 0 {
            return;
        }
        let (expected, offset) = *self.next.get_or_insert((seq, 0));
        let ahead = i64::from(seq.wrapping_sub(expected) as i32);
        let at = offset as i64 + ahead;
        if ahead > 0 {
            self.wait(at as u64, Early { len, bytes: bytes.to_vec(), packet });
            while self.early.len() > WAITING || self.early_bytes > WAITING_BYTES {
                self.skip(give);
            }
            return;
        }
        if at + i64::from(len) <= offset as i64 {
            let offset = u64::try_from(at).ok();
            give(Piece { bytes, offset, follows: false, again: true, packet });
            return;
        }
        self.take(at, len, bytes, packet, give);
        self.follow(give);
    }

    fn finish(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        while !self.early.is_empty() {
            self.skip(give);
        }
    }

    fn waiting(&self) -> usize {
        self.early_bytes
    }
}

impl Joiner {
    fn wait(&mut self, at: u64, early: Early) {
        // Of two at the same place the longer one says more.
        if self.early.get(&at).is_some_and(|there| there.len >= early.len) {
            return;
        }
        self.early_bytes += early.bytes.len();
        if let Some(old) = self.early.insert(at, early) {
            self.early_bytes -= old.bytes.len();
        }
    }

    /// Gives a segment that begins at or before the next offset and ends behind it.
    fn take(&mut self, at: i64, len: u32, bytes: &[u8], packet: (u64, i64), give: &mut dyn FnMut(Piece<'_>)) {
        let Some((seq, offset)) = self.next else { return };
        let old = (offset as i64 - at) as usize;
        let new = len - old as u32;
        let bytes = bytes.get(old..).unwrap_or_default();
        if !bytes.is_empty() {
            give(Piece { bytes, offset: Some(offset), follows: self.joined, again: false, packet });
        }
        // What was cut off by the capture is a hole.
        self.joined = bytes.len() == new as usize;
        self.next = Some((seq.wrapping_add(new), offset + u64::from(new)));
    }

    /// Gives what has waited for the next offset.
    fn follow(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        while let (Some((_, offset)), Some((&at, _))) = (self.next, self.early.first_key_value()) {
            if at > offset {
                return;
            }
            let Some(early) = self.early.remove(&at) else { return };
            self.early_bytes -= early.bytes.len();
            if at + u64::from(early.len) > offset {
                self.take(at as i64, early.len, &early.bytes, early.packet, give);
            } else {
                let piece = Piece {
                    bytes: &early.bytes,
                    offset: Some(at),
                    follows: false,
                    again: true,
                    packet: early.packet,
                };
                give(piece);
            }
        }
    }

    /// Gives up what is missing before the first segment that waits.
    fn skip(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        let (Some((seq, offset)), Some((&at, _))) = (self.next, self.early.first_key_value()) else { return };
        if at > offset {
            self.next = Some((seq.wrapping_add((at - offset) as u32), at));
            self.joined = false;
        }
        self.follow(give);
    }
}
