//! The names of files with streams, and the rows of the manifest about them, as JSON.
//!
//! All text in it is made here: names, numbers, addresses. Nothing has to be escaped.

use std::fmt::Write;

use flowkeep_core::flow::client::client;
use flowkeep_core::flow::{state, Flow};
use flowkeep_core::pipe::FRAME_BITS;
use flowkeep_core::stream::{Counts, Origin};

use super::noted::{Note, Noted, Stream};
use super::pieces::final_name;
use super::streams::Rebuilt;
use crate::digest::hex;
use crate::table::flows::Flows;
use crate::table::text;

/// Sums over the rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Flows with files.
    pub flows: u64,
    /// Files with stream bytes, and bytes in them.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Gaps, overlaps and anomalies, listed or not.
    pub seen: [u64; 3],
    /// Bytes in gaps.
    pub missing: u64,
    /// Holes declared as gaps because a bound was hit.
    pub bounds: u64,
}

/// The name of a flow's files without their end: it sorts by time and holds letters, digits, `.`, `-` and `_` alone.
/// `width`: digits of the `flow_id`.
pub(super) fn stem(id: u32, flow: &Flow, width: usize) -> String {
    let mut name = String::with_capacity(80);
    let seconds = flow.first_ts.div_euclid(1_000_000_000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (y, m, d) = date(day);
    let micros = flow.first_ts.rem_euclid(1_000_000_000) / 1000;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let proto = text::protocol(flow.key.proto);
    let _ = write!(name, "{y}{m:02}{d:02}T{hour:02}{minute:02}{second:02}.{micros:06}Z_{id:0width$}_{proto}");
    for (ip, port) in ends(flow) {
        let _ = write!(name, "_{}_{port}", ip.replace(':', "-"));
    }
    name
}

/// Year, month and day by the number of days since 1970, in the Gregorian calendar.
fn date(day: i64) -> (i64, i64, i64) {
    // Years that begin in March, so that the leap day is their last.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_month)
}

/// Address and port of client and server.
fn ends(flow: &Flow) -> [(String, u16); 2] {
    let (c, _) = client(flow);
    [c == 1, c == 0].map(|hi| {
        let mut ip = String::new();
        text::address(&mut ip, &flow.key, hi);
        (ip, if hi { flow.key.hi_port } else { flow.key.lo_port })
    })
}

/// Appends the row of a flow. `base`: the stem of its names; `None` if it has no files.
pub(super) fn row(
    out: &mut String,
    totals: &mut Totals,
    flows: &Flows,
    flow: &Flow,
    rebuilt: &Rebuilt,
    base: Option<&str>,
) {
    let (_, guessed) = client(flow);
    let _ = write!(out, "{{\"flow_id\": {}, \"community_id\": ", rebuilt.id);
    let id = flows.community_id(flow);
    maybe(out, |out| {
        id.as_ref().and_then(|id| std::str::from_utf8(id).ok()).map(|id| out.push_str(id)).is_some()
    });
    let _ = write!(out, ", \"proto\": \"{}\"", text::protocol(flow.key.proto));
    for (end, (ip, port)) in ["client", "server"].into_iter().zip(ends(flow)) {
        let _ = write!(out, ", \"{end}_ip\": \"{ip}\", \"{end}_port\": {port}");
    }
    let _ = write!(out, ", \"client_guessed\": {guessed}, \"state\": \"{}\", \"vlan\": ", state::name(flow));
    maybe(out, |out| text::vlan(out, flow.vlan));
    out.push_str(", \"tunnel\": ");
    maybe(out, |out| text::tunnels(out, flow.tunnels));
    let lost = rebuilt.outcome.map(|o| o.lost).unwrap_or_default();
    let _ = write!(
        out,
        ", \"first_ns\": {}, \"last_ns\": {}, \"unreadable_packets\": {}, \"fragments_incomplete\": {}, \
         \"fragments_incomplete_bytes\": {}",
        flow.first_ts, flow.last_ts, lost.unreadable, lost.incomplete, lost.incomplete_bytes
    );
    let empty = Stream::default();
    let mut size = 0;
    for (end, dir) in [("client", rebuilt.client), ("server", 1 - rebuilt.client)] {
        let stream = rebuilt.streams[dir].as_deref().unwrap_or(&empty);
        size += stream.pieces.iter().map(|piece| piece.bytes).sum::<u64>();
        let counts = rebuilt.outcome.map(|o| o.counts[dir]);
        let base = base.map(|base| format!("{base}.{end}"));
        let _ = write!(out, ", \"{end}\": ");
        direction(out, totals, stream, counts, base.as_deref());
    }
    totals.flows += u64::from(base.is_some() && size > 0);
    out.push('}');
}

/// Appends text in quotes, or `null` if there is none.
fn maybe(out: &mut String, push: impl FnOnce(&mut String) -> bool) {
    let start = out.len();
    out.push('"');
    if push(out) {
        out.push('"');
    } else {
        out.truncate(start);
        out.push_str("null");
    }
}

fn direction(
    out: &mut String,
    totals: &mut Totals,
    stream: &Stream,
    counts: Option<Counts>,
    base: Option<&str>,
) {
    out.push_str("{\"files\": [");
    if let Some(base) = base {
        for (i, piece) in stream.pieces.iter().enumerate() {
            let name = final_name(base, piece);
            out.push_str(if i > 0 { ", {\"name\": " } else { "{\"name\": " });
            maybe(out, |out| {
                out.push_str(&name);
                piece.bytes > 0
            });
            let _ = write!(
                out,
                ", \"connection\": {}, \"offset\": {}, \"end\": {}, \"bytes\": {}, \"sha256\": \"",
                piece.epoch, piece.offset, piece.end, piece.bytes
            );
            hex(&piece.sha256, out);
            out.push('"');
            if piece.frames {
                let _ = write!(out, ", \"frames\": \"{name}.frames.csv\"");
            }
            out.push('}');
            totals.files += u64::from(piece.bytes > 0);
            totals.bytes += piece.bytes;
        }
    }
    out.push_str("], \"counts\": ");
    if let Some(c) = counts {
        totals.missing += c.missing;
        totals.bounds += c.bounds;
        let _ = write!(
            out,
            "{{\"captured\": {}, \"delivered\": {}, \"duplicate\": {}, \"conflicting\": {}, \"unchecked\": {}, \
             \"refused\": {}, \"padding\": {}, \"missing\": {}, \"bounds\": {}}}",
            c.captured, c.delivered, c.duplicate, c.conflicting, c.unchecked, c.refused, c.padding, c.missing, c.bounds
        );
    } else {
        out.push_str("null");
    }
    if stream.datagrams > 0 {
        let _ = write!(out, ", \"datagrams\": {}", stream.datagrams);
    }
    for (kind, name) in ["gaps", "overlaps", "anomalies"].into_iter().enumerate() {
        let mut number = 0;
        let _ = write!(out, ", \"{name}\": [");
        for noted in stream.notes.iter().filter(|noted| noted.note.kind() == Some(kind)) {
            out.push_str(if number > 0 { ", {" } else { "{" });
            number += 1;
            note(out, noted, number, base);
        }
        out.push(']');
        let more = stream.seen[kind] - number;
        if more > 0 {
            let _ = write!(out, ", \"{name}_not_listed\": {more}");
        }
        totals.seen[kind] += stream.seen[kind];
    }
    out.push_str(", \"ends\": [");
    for (i, noted) in stream.notes.iter().filter(|noted| noted.note.kind().is_none()).enumerate() {
        out.push_str(if i > 0 { ", {" } else { "{" });
        note(out, noted, 0, base);
    }
    out.push_str("]}");
}

/// Appends a note without its opening brace. `number`: which of its kind, from 1.
fn note(out: &mut String, noted: &Noted, number: u64, base: Option<&str>) {
    let _ = match &noted.note {
        Note::Gap { reason, length } => write!(out, "\"reason\": \"{reason}\", \"length\": {length}"),
        Note::Anomaly { name, length } => write!(out, "\"name\": \"{name}\", \"length\": {length}"),
        Note::Reset => write!(out, "\"kind\": \"reset\""),
        Note::Fin => write!(out, "\"kind\": \"fin\""),
        Note::Overlap { length, versions, files } => {
            let _ = write!(out, "\"length\": {length}");
            for (end, (from, begins)) in ["kept", "other"].into_iter().zip(&**versions) {
                let _ = write!(out, ", \"{end}\": {{");
                origin(out, from);
                out.push_str(", \"begins\": \"");
                hex(begins, out);
                out.push('"');
                if let Some(base) = base.filter(|_| *files) {
                    let _ = write!(out, ", \"name\": \"{base}.overlap-{number}.{end}\"");
                }
                out.push('}');
            }
            Ok(())
        }
    };
    let _ = write!(out, ", \"offset\": {}, \"connection\": {}, \"from\": {{", noted.offset, noted.epoch);
    origin(out, &noted.origin);
    out.push_str("}}");
}

fn origin(out: &mut String, origin: &Origin) {
    let (file, frame) = (origin.frame >> FRAME_BITS, origin.frame & ((1 << FRAME_BITS) - 1));
    let _ = write!(
        out,
        "\"file\": {file}, \"frame\": {frame}, \"time_ns\": {}, \"ttl\": {}, \"ip_id\": {}",
        origin.ts, origin.ttl, origin.ip_id
    );
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_675, (2023, 11, 14)),
            (-106_752, (1677, 9, 21)),
            (106_751, (2262, 4, 11)),
        ] {
            assert_eq!(date(day), expected, "day {day}");
        }
        // Each day follows the one before.
        let mut last = date(-1000);
        for day in -999..60_000 {
            let next = date(day);
            let (y, m, d) = last;
            let ok = [(y, m, d + 1), (y, m + 1, 1), (y + 1, 1, 1)].contains(&next);
            assert!(ok && next.1 <= 12 && next.2 <= 31, "{last:?} {next:?}");
            last = next;
        }
    }
}
