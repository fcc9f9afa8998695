//! Option lists (draft-ietf-opsawg-pcapng §3.5).

use super::super::bytes::padded;
use super::ByteOrder;

/// The options of a list: code and value. A list that overruns its block ends before the
/// option that does: a broken option is no reason to give up packets.
pub(super) struct Options<'a> {
    rest: &'a [u8],
    order: ByteOrder,
}

impl<'a> Options<'a> {
    pub(super) fn new(list: &'a [u8], order: ByteOrder) -> Self {
        Self { rest: list, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() < 4 {
            return None;
        }
        let (code, len) = (self.order.u16(self.rest, 0), usize::from(self.order.u16(self.rest, 2)));
        let value = self.rest.get(4..4 + len)?;
        if code == 0 {
            return None; // opt_endofopt
        }
        self.rest = self.rest.get(4 + padded(len)..).unwrap_or_default();
        Some((code, value))
    }
}
