//! Bounds on memory, per stream and for all streams together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// What a stored piece costs beside its bytes, in bytes: the piece itself, its place in a tree,
/// and what the allocator adds.
pub(super) const PIECE: usize = 128;

/// Bounds of one direction of a connection, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that wait for a hole to be filled, pieces counted with what they cost.
    pub held: usize,
    /// Bytes that were handed on and are remembered, to compare repeated ones.
    pub history: usize,
    /// Without a SYN: bytes to wait for before the lowest one is taken as the begin.
    pub start: usize,
    /// Bytes of segments in doubt.
    pub aside: usize,
    /// If set: a hole that the receiver acknowledged is a gap as soon as this many bytes wait behind it.
    /// Not set, a hole waits for the end or for a bound, which is the most exact.
    pub acked_hole: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { held: 16 << 20, history: 256 << 10, start: 64 << 10, aside: 1 << 20, acked_hole: None }
    }
}

#[derive(Debug)]
struct Pool {
    max: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Pool {
    fn new(max: usize) -> Self {
        Self { max, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    fn take(&self, n: usize) -> bool {
        let fits = |used: usize| used.checked_add(n).filter(|sum| *sum <= self.max);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(before) => {
                self.peak.fetch_max(before + n, Ordering::Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    fn give(&self, n: usize) {
        self.used.fetch_sub(n, Ordering::Relaxed);
    }
}

/// Memory that many connections share. Clones are the same budget.
///
/// When it is used up, a stream that needs more declares its oldest hole a gap and hands on what
/// waits behind it; what would only be remembered for comparison is forgotten earlier. Which streams
/// are hit depends on the order of segments over all streams: give one budget to one ordered pass.
#[derive(Clone, Debug)]
pub struct Budget(Arc<(Pool, Pool)>);

impl Budget {
    /// At most `held` bytes that wait, and `history` bytes that are remembered.
    pub fn new(held: usize, history: usize) -> Self {
        Self(Arc::new((Pool::new(held), Pool::new(history))))
    }

    pub(super) fn take_held(&self, n: usize) -> bool {
        self.0 .0.take(n)
    }

    pub(super) fn give_held(&self, n: usize) {
        self.0 .0.give(n);
    }

    pub(super) fn take_history(&self, n: usize) -> bool {
        self.0 .1.take(n)
    }

    pub(super) fn give_history(&self, n: usize) {
        self.0 .1.give(n);
    }

    /// Bytes in use: those that wait, and those that are remembered.
    pub fn used(&self) -> (usize, usize) {
        (self.0 .0.used.load(Ordering::Relaxed), self.0 .1.used.load(Ordering::Relaxed))
    }

    /// The most that was ever in use.
    pub fn peak(&self) -> (usize, usize) {
        (self.0 .0.peak.load(Ordering::Relaxed), self.0 .1.peak.load(Ordering::Relaxed))
    }
}

impl Default for Budget {
    /// 256 MiB that wait and 128 MiB that are remembered.
    fn default() -> Self {
        Self::new(256 << 20, 128 << 20)
    }
}
