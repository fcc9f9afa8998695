//! Writes what a reader reads: a capture file, piece by piece.

use std::fmt::Write;

use super::packets::Header;
use super::query::{Format, Query, Step};
use super::readers::{Reader, MOST_READERS};
use super::record::Class;
use super::settings::BadSettings;
use super::status::{ReaderStatus, Reason};
use super::store::Store;
use crate::record::write::{self, begin, end, option};
use crate::record::TsResol;

/// Packets looked at in one step, and bytes after which it ends.
const PACKETS: usize = 2048;
const BYTES: usize = 1 << 15;

/// Options of pcapng blocks (draft-ietf-opsawg-pcapng): a comment; of a section, the application; of statistics, packets
/// received and dropped.
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const RECEIVED: u16 = 4;
const DROPPED: u16 = 5;

impl Store {
    /// Begins to read what is held now.
    ///
    /// # Errors
    /// When pcap is asked for and there are several link types, or there are too many readers; in words.
    pub fn reader(&mut self, query: Query) -> Result<u32, BadSettings> {
        if self.readers.len() >= MOST_READERS {
            return Err(BadSettings(format!(
                "{MOST_READERS} readers are open; try again when one has ended"
            )));
        }
        if query.format == Format::Pcap {
            let mut links: Vec<u16> =
                self.interfaces.iter().filter(|i| i.received.packets > 0).map(|i| i.link).collect();
            links.sort_unstable();
            links.dedup();
            if links.len() > 1 {
                let text =
                    format!("pcap holds one link type, the cache has packets of {links:?}: ask for pcapng");
                return Err(BadSettings(text));
            }
        }
        let from = query.since.map_or(0, |time| self.order.before(time));
        let from = if from == 0 { self.order.first() } else { from };
        let mut reader = Reader {
            query,
            at: 0,
            at_key: (0, 0),
            newest: (self.clock.tick(), self.seq as u32),
            end: self.end(),
            copies: std::collections::BTreeMap::new(),
            described: 0,
            begun: false,
            status: ReaderStatus::default(),
        };
        reader.move_to(&self.pool, from);
        Ok(self.readers.open(reader))
    }

    /// The last packet in the order of time.
    fn end(&self) -> (i64, u32) {
        match self.order.last() {
            0 => (i64::MIN, 0),
            last => self.pool.header(last).key(),
        }
    }

    /// A reader that follows comes to an end with what is held now.
    pub fn stop(&mut self, id: u32) {
        let (newest, end) = ((self.clock.tick(), self.seq as u32), self.end());
        self.readers.stop(id, newest, end);
    }

    /// Appends the next piece of what a reader reads: two thousand packets are looked at, at most.
    pub fn read(&mut self, id: u32, out: &mut Vec<u8>) -> Step {
        let Some(mut reader) = self.readers.take(id) else { return Step::End };
        let step = if reader.status.ended { Step::End } else { self.step(&mut reader, out) };
        self.readers.put(id, reader);
        step
    }

    fn step(&mut self, reader: &mut Reader, out: &mut Vec<u8>) -> Step {
        let (start, mut data) = (out.len(), Vec::new());
        if !reader.begun {
            reader.begun = true;
            self.begin_capture(reader, out);
        }
        self.describe(reader, out);
        for _ in 0..PACKETS {
            if out.len() - start >= BYTES {
                break;
            }
            let before = (reader.at != 0).then_some(reader.at_key);
            if let Some((key, copy)) = self.readers.next_copy(reader, before) {
                self.write(reader, out, (copy.interface, key.0, copy.original), &copy.data, None);
                continue;
            }
            if reader.at == 0 {
                if reader.query.follow {
                    return Step::Wait;
                }
                self.end_capture(reader, out);
                reader.status.ended = true;
                return Step::End;
            }
            let place = reader.at;
            let header = self.pool.header(place);
            let past = reader.query.until.is_some_and(|t| header.time > t) && !reader.query.follow;
            if reader.is_behind(header.key()) || past {
                reader.at = 0;
                continue;
            }
            reader.move_to(&self.pool, header.next);
            if !reader.is_in(&header) {
                continue;
            }
            data.clear();
            self.pool.read_into(place, &header, &mut data);
            let link = self.interfaces[usize::from(header.interface)].link;
            if reader.wants(&self.pool, link, &header, &data) {
                let comment = self.comment(place, &header);
                let about = (header.interface, header.time, header.original);
                self.write(reader, out, about, &data, comment.as_deref());
            }
        }
        Step::More
    }

    fn write(
        &self,
        reader: &mut Reader,
        out: &mut Vec<u8>,
        (interface, time, original): (u16, i64, u32),
        data: &[u8],
        comment: Option<&str>,
    ) {
        match (reader.query.format, comment) {
            (Format::Pcapng, None) => {
                write::packet(out, u32::from(interface), TsResol::NANO, time, data, original);
            }
            (Format::Pcapng, Some(comment)) => {
                let id = u32::from(interface);
                write::commented_packet(out, id, TsResol::NANO, time, data, original, comment);
            }
            (Format::Pcap, _) => {
                if self.interfaces[usize::from(interface)].link != self.pcap_link() {
                    return;
                }
                // A time that pcap cannot hold becomes the nearest one that it can.
                let time = time.clamp(0, i64::from(u32::MAX) * 1_000_000_000);
                if write::pcap_packet(out, time, data, original, true).is_err() {
                    return;
                }
            }
        }
        reader.status.matched += 1;
    }

    fn pcap_link(&self) -> u16 {
        let used = self.interfaces.iter().find(|i| i.received.packets > 0);
        used.or(self.interfaces.first()).map_or(1, |i| i.link)
    }

    fn begin_capture(&self, reader: &Reader, out: &mut Vec<u8>) {
        if reader.query.format == Format::Pcap {
            write::pcap_header(out, self.pcap_link(), write::SNAPLEN, true);
            return;
        }
        let at = begin(out, 0x0a0d_0d0a);
        for word in [0x1a2b_3c4d_u32, 0x0000_0001, u32::MAX, u32::MAX] {
            out.extend(word.to_le_bytes());
        }
        option(out, COMMENT, self.ledger().as_bytes());
        option(out, APPLICATION, b"flowkeep cache");
        option(out, 0, &[]);
        end(out, at);
    }

    /// What was let go, in a line.
    fn ledger(&self) -> String {
        let mut text = format!(
            "flowkeep cache: {} packets ({} bytes) came, {} ({} bytes) are held",
            self.received.packets, self.received.bytes, self.held.packets, self.held.bytes
        );
        for reason in Reason::ALL {
            let gone = self.let_go.0[reason as usize];
            if gone.packets > 0 {
                let (packets, bytes) = (gone.packets, gone.bytes);
                let _ = write!(text, ", {packets} ({bytes} bytes) were let go: {}", reason.name());
            }
        }
        text
    }

    /// Describes interfaces that the output does not know yet.
    fn describe(&self, reader: &mut Reader, out: &mut Vec<u8>) {
        if reader.query.format == Format::Pcapng {
            for i in &self.interfaces[reader.described..] {
                write::interface(out, &i.described());
            }
        }
        reader.described = self.interfaces.len();
    }

    /// What is said of a flow that is not whole, at the last packet of its beginning.
    fn comment(&self, place: u32, header: &Header) -> Option<String> {
        let r = self.pool.record(header.flow);
        let last = if r.head_last == 0 { r.tail_last } else { r.head_last };
        if place != last || r.class == Class::NoFlow {
            return None;
        }
        let held = (u64::from(r.packets), r.head_bytes + r.tail_bytes);
        let (packets, bytes) =
            (r.flow.packets().saturating_sub(held.0), r.flow.bytes().saturating_sub(held.1));
        (packets > 0).then(|| {
            format!(
                "flowkeep: of this flow {packets} packets ({bytes} bytes) are not held any more, {} ({} bytes) are",
                held.0, held.1
            )
        })
    }

    /// Interface statistics (§4.6).
    fn end_capture(&self, reader: &Reader, out: &mut Vec<u8>) {
        if reader.query.format == Format::Pcap {
            return;
        }
        let newest = self.order.last();
        let time = if newest == 0 { 0 } else { self.pool.time(newest) };
        let units = TsResol::NANO.from_ns(time);
        for (n, i) in self.interfaces.iter().enumerate().take(reader.described) {
            let at = begin(out, 5);
            for word in [n as u32, (units >> 32) as u32, units as u32] {
                out.extend(word.to_le_bytes());
            }
            if reader.status.lost > 0 && n == 0 {
                let text = format!(
                    "flowkeep: {} packets were let go before they were read: reading took too long",
                    reader.status.lost
                );
                option(out, COMMENT, text.as_bytes());
            }
            option(out, RECEIVED, &(i.received.packets + i.dropped).to_le_bytes());
            option(out, DROPPED, &i.dropped.to_le_bytes());
            option(out, 0, &[]);
            end(out, at);
        }
    }

    /// How a reader fares.
    pub fn reader_status(&self, id: u32) -> ReaderStatus {
        let gone = ReaderStatus { ended: true, ..ReaderStatus::default() };
        self.readers.get(id).map_or(gone, |reader| reader.status)
    }

    /// A reader is gone.
    pub fn close(&mut self, id: u32) {
        self.readers.close(id);
    }
}
