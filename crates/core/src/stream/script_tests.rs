//! A small language for segments, so that a test reads as the traffic it sends.
//!
//! One segment a line: `>` or `<`, then in any order `syn`, `fin`, `rst`, a sequence number, `ack N`,
//! `win N`, `scale N`, `ttl N`, `wire N` (bytes on the wire), `good` or `bad` (checksum), `noack`, and
//! payload in quotes without spaces. Frames count from 1. The line `cut` stands where a policy
//! began to cut; a number behind it is what each end sent originally.

use std::fmt::Write;

use super::{Budget, Checksum, Connection, Event, Kind, Limits, Origin, Policy, Segment};
use crate::packet::tcp_flag::{ACK, FIN, RST, SYN};

/// What came out: both streams as text, where `[5]` is a gap of five, and all but data as lines.
#[derive(Debug, Default)]
pub struct Ran {
    pub text: [String; 2],
    pub notes: Vec<String>,
    /// Offset, length, frame and place in the frame's payload of each data event.
    pub map: Vec<(u8, u64, usize, u64, u32)>,
}

impl Ran {
    pub fn note(&mut self, event: &Event<'_>) {
        let arrow = ['>', '<'][usize::from(event.dir)];
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let text = &mut self.text[usize::from(event.dir)];
        self.notes.push(match event.kind {
            Kind::Data { offset, bytes, skip } => {
                text.push_str(&lossy(bytes));
                self.map.push((event.dir, offset, bytes.len(), event.origin.frame, skip));
                return;
            }
            Kind::Gap { offset, length, reason } => {
                write!(text, "[{length}]").unwrap();
                format!("{arrow} {} {offset}+{length}", reason.name())
            }
            Kind::Overlap { offset, kept, other, kept_from, other_from } => format!(
                "{arrow} overlap {offset} {}#{} {}#{}",
                lossy(kept),
                kept_from.frame,
                lossy(other),
                other_from.frame
            ),
            Kind::Fin { offset } => format!("{arrow} fin {offset}"),
            Kind::Reset { offset } => format!("{arrow} reset {offset}"),
            Kind::Anomaly { name, offset, bytes } => {
                format!("{arrow} {} {offset} {}", name.name(), lossy(bytes)).trim_end().to_owned()
            }
        });
    }
}

/// Feeds a script to a connection.
pub fn feed(connection: &mut Connection, script: &str, out: &mut dyn FnMut(&Event<'_>)) {
    let mut frame = 0;
    for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(sent) = line.strip_prefix("cut") {
            connection.mark_cut(sent.trim().parse().ok().map(|n| [n, n]));
            continue;
        }
        frame += 1;
        let mut words = line.split_whitespace();
        let dir = u8::from(words.next() == Some("<"));
        let mut payload = "";
        let mut wire = None;
        let origin = Origin { frame, ts: frame as i64, ttl: 64, ip_id: frame as u16 };
        let mut s = Segment { dir, window: 1000, wscale: 0xff, flags: 0, origin, ..Segment::default() };
        let mut plain = false;
        while let Some(word) = words.next() {
            let mut number = || words.next().unwrap().parse::<u32>().unwrap();
            match word {
                "syn" => s.flags |= SYN,
                "fin" => s.flags |= FIN | ACK,
                "rst" => s.flags |= RST,
                "ack" => (s.ack, s.flags) = (number(), s.flags | ACK),
                "win" => s.window = number() as u16,
                "scale" => s.wscale = number() as u8,
                "ttl" => s.origin.ttl = number() as u8,
                "wire" => wire = Some(number()),
                "good" => s.checksum = Checksum::Good,
                "bad" => s.checksum = Checksum::Bad,
                "noack" => plain = true,
                text if text.starts_with('"') => payload = text.trim_matches('"'),
                seq => s.seq = seq.parse().unwrap_or_else(|_| panic!("{seq:?} in {line:?}")),
            }
        }
        if s.flags & (SYN | RST | ACK) == 0 && !plain {
            s.flags |= ACK; // an old number that says nothing
            s.ack = if dir == 0 { 500 } else { 100 };
        }
        s.payload = payload.as_bytes();
        s.wire_len = wire.unwrap_or(payload.len() as u32);
        connection.segment(&s, out);
    }
}

/// Runs a script with the default bounds and checks that each captured byte is accounted for.
pub fn run(policy: Policy, script: &str) -> Ran {
    bounded(policy, Limits::default(), script)
}

/// The same with other bounds.
pub fn bounded(policy: Policy, limits: Limits, script: &str) -> Ran {
    let budget = Budget::default();
    let mut connection = Connection::new(policy, limits, budget.clone());
    let mut ran = Ran::default();
    feed(&mut connection, script, &mut |event| ran.note(event));
    connection.finish(&mut |event| ran.note(event));
    for dir in 0..2 {
        let counts = connection.counts(dir);
        assert_eq!(counts.accounted(), counts.captured, "{counts:?}");
    }
    assert_eq!(budget.used(), (0, 0));
    ran
}

/// The script's result with the default policy: the client's stream and the notes.
pub fn first(script: &str) -> (String, String) {
    let ran = run(Policy::First, script);
    (ran.text[0].clone(), ran.notes.join("\n"))
}

/// A handshake; client data begins at 100, server data at 500.
pub const OPEN: &str = "> 99 syn\n< 499 syn ack 100\n> 100 ack 500\n";

/// Asserts the client's stream and the notes behind a handshake.
#[track_caller]
pub fn check(script: &str, text: &str, notes: &[&str]) {
    let (found, said) = first(&format!("{OPEN}{script}"));
    assert_eq!((found.as_str(), said.as_str()), (text, notes.join("\n").as_str()));
}
