//! What each cutoff would leave of a file, from its ledger's rows: the curve by which plans are made.
//!
//! It stands in the ledger's metadata, so that an archive is planned without reading rows.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use arrow_ipc::root_as_footer;

use flowkeep_core::cut::ledger::Row;

use super::ledger::About;
use crate::remote::open_any;

const TCP: u8 = 6;
/// Steps of a decade.
const STEPS: [u64; 6] = [10, 15, 20, 30, 50, 70];
const DECADES: u32 = 8;

/// The cutoffs of a curve: six a decade, from 100 bytes to 10 GB.
pub fn cutoffs() -> Vec<u64> {
    let steps = (1..=DECADES).flat_map(|e| STEPS.map(|s| s * 10_u64.pow(e)));
    steps.chain([10_u64.pow(DECADES + 2)]).collect()
}

/// SYN, SYN/ACK, FIN or RST of both ends stay whatever the cutoff is; their frames are no larger.
const CONTROL: u64 = CONTROL_PACKETS * 78;
const CONTROL_PACKETS: u64 = 4;

/// What a cutoff leaves: captured bytes, packets, and flows that have all their packets.
type Left = [u64; 3];

/// What this cutoff leaves of a row's flow, of which there were so many bytes before the file. It errs on the large
/// side by less than a packet and the control packets.
fn left(row: &Row, before: u64, cutoff: u64) -> Left {
    let [bytes, packets] = [row.kept[0].bytes + row.kept[1].bytes, row.kept[0].packets + row.kept[1].packets];
    let room = cutoff.saturating_sub(before);
    if row.flow.bytes() <= room {
        return [bytes, packets, u64::from(bytes == row.flow.bytes())];
    }
    let control = if row.flow.key.proto == TCP { CONTROL } else { 0 };
    let kept = bytes.min(room.saturating_add(control));
    let share = (u128::from(packets) * u128::from(kept)).div_ceil(u128::from(bytes.max(1)));
    let more = if control > 0 { CONTROL_PACKETS } else { 0 };
    [kept, packets.min(u64::try_from(share).unwrap_or(packets) + more), 0]
}

/// The text for the metadata: packets and captured bytes there are, flows, time of the last packet, and then for each cutoff
/// `BYTES,PACKETS,FLOWS` that it would leave. Cutoffs that change nothing any more are left out.
pub fn curve(about: &About, rows: &[Row], before: impl Fn(usize) -> u64) -> String {
    let original: [u64; 2] =
        rows.iter().fold([0; 2], |sum, r| [sum[0] + r.flow.packets(), sum[1] + r.flow.bytes()]);
    // Packets that belong to no flow; they stay.
    let other = [about.bytes.saturating_sub(original[1]), about.packets.saturating_sub(original[0])];
    let sum = |cutoff: u64| {
        rows.iter().enumerate().fold([other[0], other[1], 0], |sum: Left, (i, row)| {
            let left = left(row, before(i), cutoff);
            [sum[0] + left[0], sum[1] + left[1], sum[2] + left[2]]
        })
    };
    let all = sum(u64::MAX);
    let last_ts = rows.iter().map(|r| r.flow.last_ts).max().or(about.first_ts);
    let mut text = format!("{} {} {} ", all[1], all[0], rows.len());
    text.push_str(&last_ts.map_or_else(|| "-".to_owned(), |ts| ts.to_string()));
    for cutoff in cutoffs() {
        let left = sum(cutoff);
        let _ = write!(text, " {},{},{}", left[0], left[1], left[2]);
        if left == all {
            break;
        }
    }
    text
}

/// Largest footer that is read: a ledger of 16 million flows has less.
const FOOTER: u64 = 1 << 24;

/// The metadata of a ledger, `flowkeep.` taken off; its rows are not read. The error says in words what is wrong.
pub fn metadata(path: &Path) -> Result<HashMap<String, String>, String> {
    let mut file = open_any(path, None).map_err(|e| format!("it cannot be opened: {e}"))?;
    let short = |e: std::io::Error| format!("it is no Arrow IPC file: {e}");
    let mut tail = [0; 10];
    let size = file.seek(SeekFrom::End(-10)).map_err(short)?;
    file.read_exact(&mut tail).map_err(short)?;
    let len = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if &tail[4..] != b"ARROW1" || len > size.min(FOOTER) {
        return Err("it is no Arrow IPC file: its end is missing".to_owned());
    }
    let mut footer = vec![0; len as usize];
    file.seek(SeekFrom::Start(size - len)).map_err(short)?;
    file.read_exact(&mut footer).map_err(short)?;
    let footer = root_as_footer(&footer).map_err(|e| format!("its Arrow data is broken: {e}"))?;
    let pairs = footer.schema().and_then(|schema| schema.custom_metadata());
    let mut found = HashMap::new();
    for pair in pairs.iter().flatten() {
        if let (Some(key), Some(value)) = (pair.key(), pair.value()) {
            if let Some(name) = key.strip_prefix("flowkeep.") {
                found.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    if found.contains_key("ledger") {
        Ok(found)
    } else {
        Err("it lacks the metadata flowkeep.ledger".to_owned())
    }
}

/// What a curve in the metadata says, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// Packets that are there, their captured bytes, flows.
    pub all: Left,
    /// Time of the last packet.
    pub last_ts: Option<i64>,
    /// What the cutoffs leave, eight bytes a number, little-endian.
    pub points: Vec<u8>,
}

impl Curve {
    /// Reads it; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let all = [number()?, number()?, number()?];
        let last_ts = match words.next()? {
            "-" => None,
            ts => Some(ts.parse().ok()?),
        };
        let mut points = Vec::with_capacity(cutoffs_len() * 24);
        for word in words {
            let mut parts = 0;
            for part in word.split(',') {
                points.extend_from_slice(&part.parse::<u64>().ok()?.to_le_bytes());
                parts += 1;
            }
            if parts != 3 || points.len() > cutoffs_len() * 24 {
                return None;
            }
        }
        Some(Self { all, last_ts, points })
    }
}

/// How many cutoffs a curve has.
const fn cutoffs_len() -> usize {
    STEPS.len() * DECADES as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowkeep_core::cut::ledger::Left as CoreLeft;
    use flowkeep_core::cut::Kept;
    use flowkeep_core::flow::{Flow, Side, NONE};
    use flowkeep_core::packet::Key;

    fn row(bytes: [u64; 2], kept: [u64; 2], proto: u8) -> Row {
        let flow = Flow {
            key: Key { proto, version: 4, ..Key::default() },
            flags: 0,
            tunnels: 0,
            vlan: [0; 2],
            icmp: [0; 2],
            head_seq: 0,
            older: NONE,
            first: 0,
            head_ts: 0,
            tail_ts: 0,
            first_ts: 0,
            last_ts: 0,
            side: [Side::default(); 2],
        };
        let was = CoreLeft::default();
        let mut row = Row {
            flow,
            continues: false,
            kept: [Kept::default(); 2],
            shortened: 0,
            head: [0; 2],
            was,
            cutoff: u64::MAX,
            before: [Side::default(); 2],
            rule: 0,
            service: 0,
        };
        for end in 0..2 {
            row.flow.side[end].bytes = bytes[end];
            row.flow.side[end].packets = bytes[end] / 100;
            row.kept[end] = Kept { packets: kept[end] / 100, bytes: kept[end] };
        }
        row
    }

    #[test]
    fn the_cutoffs_ascend() {
        let cutoffs = cutoffs();
        assert!(cutoffs.windows(2).all(|w| w[0] < w[1]));
        assert_eq!((cutoffs[0], cutoffs[cutoffs.len() - 1], cutoffs.len()), (100, 10_000_000_000, 49));
    }

    #[test]
    fn a_flow_that_began_before_has_less_room() {
        let row = row([600, 400], [600, 400], 17);
        assert_eq!(left(&row, 0, 500), [500, 5, 0]);
        assert_eq!(left(&row, 300, 500), [200, 2, 0]);
        assert_eq!(left(&row, 501, 500), [0, 0, 0]);
        assert_eq!(left(&row, 0, 1000), [1000, 10, 1]);
        assert_eq!(left(&row, 1, 1000), [999, 10, 0]);
    }

    #[test]
    fn a_flow_that_lost_something_is_not_whole_again() {
        let row = row([6000, 400], [600, 400], 6);
        assert_eq!(left(&row, 0, u64::MAX), [1000, 10, 0]);
        assert_eq!(left(&row, 0, 100), [412, 9, 0]); // control packets stay
    }

    #[test]
    fn a_curve_is_read_as_it_was_written() {
        let about = About { packets: 20, bytes: 1200, ..About::default() };
        let curve = Curve::parse(&curve(&about, &[row([600, 400], [600, 400], 17)], |_| 0)).unwrap();
        assert_eq!((curve.all, curve.last_ts), ([20, 1200, 1], Some(0)));
        assert_eq!(curve.points[..8], 300_u64.to_le_bytes());
        assert_eq!(curve.points[curve.points.len() - 8..], 1_u64.to_le_bytes());
        assert_eq!(cutoffs().len(), cutoffs_len());
    }

    #[test]
    fn what_is_no_curve_is_refused() {
        let many = format!("1 1 1 -{}", " 1,1,1".repeat(50));
        for text in ["", "1 1 1", "1 1 x -", "1 1 1 x", "1 1 1 - 1,1", "1 1 1 - 1,1,1,1", "-1 1 1 -", &many] {
            assert_eq!(Curve::parse(text), None, "{text}");
        }
        assert!(Curve::parse("1 1 1 -").is_some());
    }

    #[test]
    fn packets_of_no_flow_stay() {
        let about = About { packets: 20, bytes: 1200, ..About::default() };
        let text = curve(&about, &[row([600, 400], [600, 400], 17)], |_| 0);
        let first = text.split(' ').nth(4).unwrap();
        assert_eq!(first, "300,11,0"); // 100 of the flow, 200 and 10 packets of no flow
        assert_eq!(text.split(' ').next_back().unwrap(), "1200,20,1");
        assert!(text.starts_with("20 1200 1 "));
    }
}
