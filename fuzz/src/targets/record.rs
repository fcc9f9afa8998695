//! Records of any bytes.

use flowkeep_core::error::Damage;
use flowkeep_core::record::{shorten, Interface, Record, Shape, Walker};

use super::note;
use crate::mutate::Rng;

/// All that a walk finds; offsets of records are those in the capture.
#[derive(Debug, Clone, PartialEq)]
pub struct Walked {
    pub records: Vec<Record>,
    pub end: usize,
    pub damage: Option<Damage>,
    pub interfaces: Vec<Interface>,
    pub shape: Shape,
    pub format: &'static str,
}

/// The bytes of a record's packet.
pub fn bytes<'a>(data: &'a [u8], record: &Record) -> &'a [u8] {
    &data[record.data as usize..][..record.caplen as usize]
}

/// Walks a capture; `None` when it is none. With `pieces` the walker gets a random piece at a time,
/// and sometimes just as many bytes as it asked for.
pub fn walk(data: &[u8], mut pieces: Option<&mut Rng>) -> Option<Walked> {
    let mut walker = Walker::open(&data[..data.len().min(1 << 16)]).ok()?;
    let (mut at, mut seen, mut records) = (walker.header_len(), walker.header_len(), Vec::new());
    loop {
        let (eof, max) = match &mut pieces {
            None => (true, usize::MAX),
            Some(rng) => (seen == data.len(), [1, 7, usize::MAX][rng.below(3)]),
        };
        let known = if pieces.is_some() { seen } else { data.len() };
        let first = records.len();
        let walked = walker.walk(&data[at..known], at as u64, eof, max, &mut records);
        for record in &mut records[first..] {
            record.start += at as u32;
            record.data += at as u32;
        }
        at += walked.consumed;
        assert!(walked.need <= 130 << 20, "{} bytes are asked for", walked.need);
        assert!(at <= known, "more consumed than there was");
        let done = walked.damage.is_some() || at == data.len();
        if done {
            let (interfaces, shape) = (walker.interfaces().to_vec(), walker.shape());
            return Some(Walked {
                records,
                end: at,
                damage: walked.damage,
                interfaces,
                shape,
                format: walker.format(),
            });
        }
        if let Some(rng) = &mut pieces {
            // What is asked for must be more than there was, or have been there already.
            assert!(walked.need > 0 || at == seen, "nothing is asked for, but {} bytes are left", seen - at);
            let step = if rng.below(3) == 0 { walked.need } else { 1 + rng.below(400) };
            seen = (at + step).max(seen + usize::from(walked.need > seen - at)).min(data.len());
        }
    }
}

/// Any pieces give what the whole gives.
pub fn record(data: &[u8], notes: &mut Vec<u64>) {
    let Some(whole) = walk(data, None) else { return };
    let pieces = walk(data, Some(&mut Rng::of(data)));
    assert_eq!(Some(&whole), pieces.as_ref(), "in pieces");
    let mut end = 0;
    for r in &whole.records {
        assert!(r.start >= end && r.start <= r.data, "{r:?} begins before {end}");
        end = r.start + r.len;
        assert!(r.data + r.caplen <= end && end as usize <= whole.end, "{r:?} overruns");
        assert_eq!(whole.interfaces[usize::from(r.iface)].link, r.link);
    }
    let damage = whole.damage.map(|d| (d.kind, d.detail.chars().filter(|c| !c.is_ascii_digit()).count()));
    notes.push(note(&(whole.format, damage, whole.records.len().min(20), whole.interfaces.len().min(5))));
}

/// A record made shorter reads back as what it was, but for the bytes it lost.
pub fn shortened(data: &[u8], notes: &mut Vec<u64>) {
    let Some(whole) = walk(data, None) else { return };
    let mut rng = Rng::of(data);
    let (mut out, mut wanted, mut copied) = (Vec::new(), Vec::new(), 0);
    for r in &whole.records {
        let keep = [0, 1, r.caplen / 2, r.caplen.saturating_sub(1), r.caplen][rng.below(5)].min(r.caplen);
        let (start, end) = (r.start as usize, (r.start + r.len) as usize);
        out.extend_from_slice(&data[copied..start]);
        let before = out.len();
        let done = shorten(whole.shape, &data[start..end], r, keep, &mut out);
        let simple = whole.format == "pcapng" && r.data - r.start == 12;
        assert_eq!(done, keep < r.caplen && !simple, "{keep} bytes of {r:?}");
        copied = if done { end } else { start };
        assert!(done || out.len() == before, "refused, yet written");
        let kept = if done { keep } else { r.caplen };
        wanted.push((
            Record { caplen: kept, start: 0, len: 0, data: 0, ..*r },
            &bytes(data, r)[..kept as usize],
        ));
    }
    out.extend_from_slice(&data[copied..whole.end]);
    if out.is_empty() {
        return; // damaged before the first block: nothing is whole
    }
    let again = walk(&out, None);
    let Some(again) = again else { panic!("what was written is no capture") };
    if again.format != whole.format && whole.format.starts_with("pcap") {
        return; // dialects that share a magic number are told apart by their first records, which have changed
    }
    assert_eq!(again.damage, None, "what was written is damaged");
    assert_eq!(again.records.len(), wanted.len());
    for (r, (was, kept)) in again.records.iter().zip(&wanted) {
        assert_eq!((Record { start: 0, len: 0, data: 0, ..*r }, bytes(&out, r)), (*was, *kept));
    }
    notes.push(note(&(whole.format, whole.shape, whole.records.len().min(20))));
}
