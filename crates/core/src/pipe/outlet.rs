//! One capture made of the chosen packets of many.

use std::io::{self, Write};

use super::chunk::Chunk;
use super::copy::Copier;
use super::deal::Take;
use super::tag::WAITS;
use crate::record::{write, Record, Shape};
use crate::select::UNCHOSEN;

/// How the packets of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they stand, with all that is no packet.
    Copy,
    /// The same without the file header: a pcap file whose like was written before.
    Append,
    /// As records of a pcap file with these stamps.
    Pcap {
        /// In nanoseconds; else microseconds.
        nanoseconds: bool,
    },
    /// As a section of a pcapng file; what is pcapng already is copied.
    Section,
}

/// Packets and their captured bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Captured bytes.
    pub bytes: u64,
}

impl Count {
    /// Counts one more packet.
    pub fn add(&mut self, record: &Record) {
        self.packets += 1;
        self.bytes += u64::from(record.caplen);
    }
}

/// The capture in the making.
pub struct Outlet<W> {
    out: W,
    form: Form,
    /// Link type of the pcap file, once it has a header.
    link: Option<u16>,
    buffer: Vec<u8>,
    count: Count,
}

impl<W: Write + Send> Outlet<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Self { out, form: Form::Copy, link: None, buffer: Vec::new(), count: Count::default() }
    }

    /// The next file is written in this form.
    pub fn begin_file(&mut self, form: Form) {
        self.form = form;
    }

    /// The output, and what was written.
    pub fn into_inner(self) -> (W, Count) {
        (self.out, self.count)
    }

    /// Ends a pcap file that got no packet: it is a header all the same.
    pub fn finish_pcap(&mut self, link: u16, nanoseconds: bool) -> io::Result<()> {
        if self.link.is_none() {
            self.header(link, nanoseconds);
            self.flush_buffer()?;
        }
        Ok(())
    }

    fn copy(&mut self, chunk: &Chunk, head: bool) -> io::Result<()> {
        let mut copier = Copier::new(chunk, head);
        for (record, &tag) in chunk.records.iter().zip(&chunk.tags) {
            if is_chosen(tag) {
                self.count.add(record);
            } else {
                let (start, end) = (record.start as usize, (record.start + record.len) as usize);
                copier.leave_out(start, end, &mut self.out)?;
            }
        }
        copier.finish(&mut self.out)
    }

    fn header(&mut self, link: u16, nanoseconds: bool) {
        write::pcap_header(&mut self.buffer, link, write::SNAPLEN, nanoseconds);
        self.link = Some(link);
    }

    fn pcap(&mut self, chunk: &Chunk, nanoseconds: bool) -> io::Result<()> {
        for (record, &tag) in chunk.records.iter().zip(&chunk.tags) {
            if !is_chosen(tag) {
                continue;
            }
            match self.link {
                None => self.header(record.link, nanoseconds),
                Some(link) if link == record.link => {}
                Some(link) => return Err(misfit(link, record.link)),
            }
            let data = chunk.packet(record);
            write::pcap_packet(&mut self.buffer, record.ts, data, record.wirelen, nanoseconds)
                .map_err(|time| out_of_range(time.0))?;
            self.count.add(record);
        }
        self.flush_buffer()
    }

    fn section(&mut self, chunk: &Chunk) -> io::Result<()> {
        let Some(interface) = chunk.interfaces.first() else {
            return Ok(());
        };
        if chunk.head > 0 {
            write::section(&mut self.buffer);
            write::interface(&mut self.buffer, interface);
        }
        let resolution = write::resolution(interface);
        for (record, &tag) in chunk.records.iter().zip(&chunk.tags) {
            if is_chosen(tag) {
                let data = chunk.packet(record);
                write::packet(&mut self.buffer, 0, resolution, record.ts, data, record.wirelen);
                self.count.add(record);
            }
        }
        self.flush_buffer()
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write + Send> Take for Outlet<W> {
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        match self.form {
            Form::Copy => self.copy(chunk, true),
            Form::Append => self.copy(chunk, false),
            Form::Pcap { nanoseconds } => self.pcap(chunk, nanoseconds),
            Form::Section if chunk.shape == Shape::Pcapng => self.copy(chunk, true),
            Form::Section => self.section(chunk),
        }
    }
}

/// Whether the tag is that of a chosen flow.
#[inline]
pub fn is_chosen(tag: u32) -> bool {
    tag != UNCHOSEN && tag != WAITS
}

/// The error of a packet whose link type is not that of the pcap file it should go into.
pub fn misfit(file: u16, packet: u16) -> io::Error {
    use crate::record::linktype::name;
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "a pcap file has one link type: it was begun with {}, a packet of {} follows; pcapng holds both",
            name(file),
            name(packet)
        ),
    )
}

/// The error of a time that pcap cannot hold.
pub fn out_of_range(ts: i64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "a pcap file holds times from 1970 to 2106: a packet is of {ts} ns since 1970; pcapng holds it"
        ),
    )
}
