//! Any bytes as the file of a summary, and any entries in one that is whole.

use flowkeep_core::flow::summary::{Entry, Head, Loading, Told};
use flowkeep_core::flow::{Left, Packet, Rules, Silent, Tracker};
use flowkeep_core::packet::{fragment_key, read, Options, Seed};
use flowkeep_io::dataset::{Settings, Summary};
use flowkeep_io::table::summary;

use super::note;

const RULES: Rules = Rules { idle_ns: 60_000_000_000, tcp_idle_ns: 0, max_flows: 4096 };
/// Ethernet frames of the seeds are raw IP.
const RAW_IP: u16 = 101;
const SEED: Seed = Seed(1, 2);

/// The head, as it stands before the entries: what kind it is, packets, bytes, and what stands before the last packet.
fn head(data: &[u8]) -> Option<(Head, &[u8])> {
    let (kind, rest) = data.split_first()?;
    let mut numbers = [0; 4];
    let mut rest = rest;
    for number in &mut numbers {
        let (bytes, more) = rest.split_first_chunk()?;
        (*number, rest) = (u64::from_le_bytes(*bytes), more);
    }
    let [packets, bytes, last, before] = numbers;
    let head = Head {
        rules: RULES,
        left: if kind & 1 == 0 { Left::Start } else { Left::Open },
        packets,
        bytes,
        untracked: 0,
        overflow: 0,
        told: (kind & 2 != 0).then(|| (kind & 4 != 0).then_some((last, before))),
        told_from: (kind & 8 != 0).then_some(last),
    };
    Some((head, rest))
}

/// The file of a summary with these entries, or what is wrong with them.
fn file(data: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (head, mut rest) = head(data).ok_or("it has no head")?;
    let mut loading = Loading::new(&head, SEED)?;
    while let [kind, one, two, more @ ..] = rest {
        let (entry, more) = more.split_at(usize::from(u16::from_le_bytes([*one, *two])).min(more.len()));
        loading.entry(Entry::of(*kind).ok_or("there is no such kind")?, entry)?;
        rest = more;
    }
    let (tracker, told) = loading.done();
    summary::write(Vec::new(), &tracker, told.as_ref()).map_err(|_| "it cannot be written")
}

/// Refused in words; or it is the same when it is written and read again, in parts and together, and what is merged with it
/// is a summary as well.
pub fn summary(data: &[u8], notes: &mut Vec<u64>) {
    let Some((how, data)) = data.split_first() else { return };
    let made = if *how == 0 { Ok(data.to_vec()) } else { file(data) };
    let read = made.map_err(str::to_owned).and_then(|bytes| again(&bytes));
    notes.push(note(&read.map_err(|why| why.replace(|c: char| c.is_ascii_digit(), ""))));
}

fn again(bytes: &[u8]) -> Result<(usize, bool), String> {
    let read = |bytes: &[u8]| Summary::from_bytes(bytes, SEED).map_err(|why| why.to_string());
    let write = |one: &Summary| one.to_bytes().unwrap_or_else(|why| panic!("it cannot be written: {why}"));
    let one = read(bytes)?;
    let written = write(&one);
    let same = read(&written).unwrap_or_else(|why| panic!("what was written cannot be read: {why}"));
    assert!(write(&same) == written, "written again, it is not the same");
    let parts: Vec<Summary> = (0..3).map(|n| one.part(n, 3)).collect();
    assert_eq!(parts.iter().map(Summary::len).sum::<usize>(), one.len(), "each flow is in one part");
    let mut joined = parts[0].clone();
    for part in &parts[1..] {
        joined.join(part).unwrap_or_else(|why| panic!("parts cannot be joined: {why}"));
    }
    assert_eq!(joined.len(), one.len());
    let settings = Settings {
        options: Options::default(),
        rules: *one.table().rules(),
        jobs: 1,
        seed: SEED,
        filter: None,
    };
    let mut merged = Summary::start(&settings);
    let piece = one.table().left() == Left::Open;
    if !piece {
        merged = one.clone();
    }
    for cutting in [false, true] {
        let met = merged.met_by(&one);
        assert!(met.len() <= merged.len(), "a carry has no flows of its own");
        assert_eq!(
            merged.merge(one.clone(), cutting).is_ok(),
            piece,
            "a piece follows, and nothing else does"
        );
    }
    let before = merged.len();
    merged.end();
    let after = write(&merged);
    assert!(merged.len() >= before);
    assert_eq!(merged.begins().count(), merged.len(), "each flow has a name");
    // What was told of a file may add up to more than is believed; else it can be read.
    let found = read(&after);
    Ok((one.len(), found.is_ok()))
}

/// A file, and the entries of a piece, of a carry and of a trimmed file.
pub fn seeds() -> Vec<Vec<u8>> {
    let open = tracker(Left::Open);
    let mut whole = tracker(Left::Start);
    whole.name();
    let rows = Told { rows: Vec::new(), last: Some((3, 90)) };
    let file = summary::write(Vec::new(), &open, None).unwrap_or_else(|why| panic!("no seed: {why}"));
    let mut seeds = vec![[&[0][..], &file].concat()];
    seeds.push(entries(&open, 1, None));
    seeds.push(entries(&whole, 0, None));
    seeds.push(entries(&open, 7, Some(&rows)));
    seeds
}

/// Datagrams, some of them in fragments, and some of these without their first one.
fn tracker(left: Left) -> Tracker {
    let mut tracker = Tracker::new(RULES, left, SEED);
    for i in 0..24_u8 {
        let place: u16 = [0, 0x2000, 1, 0x2001][usize::from(i % 4)];
        let mut frame = vec![0x45, 0, 0, 36, 0, i / 5, (place >> 8) as u8, place as u8, 64, 17, 0, 0];
        frame.extend([10, 0, 0, i % 3, 10, 0, 1, 1, 0x9c, 0x40, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let facts = read(RAW_IP, &frame, 44, &Options::default());
        let packet = Packet {
            facts: &facts,
            ts: i64::from(i) * 7_000_000_000,
            caplen: frame.len() as u32,
            wirelen: frame.len() as u32,
            pos: 0,
            data: &[],
        };
        let datagram = fragment_key(RAW_IP, &frame, 44, &Options::default());
        tracker.feed(packet, facts.key.hash(SEED), datagram.as_ref(), &mut Silent);
    }
    tracker
}

fn entries(of: &Tracker, kind: u8, told: Option<&Told>) -> Vec<u8> {
    let mut seed = vec![1, kind];
    for number in [of.packets(), of.bytes(), 3, 90] {
        seed.extend(number.to_le_bytes());
    }
    of.save(None, |kind, bytes| {
        // A row is a flow with an end of its own.
        let row = told.is_some() && kind == Entry::Flow;
        let bytes = if row { [&bytes[..bytes.len() - 8], &[1], &[0; 64]].concat() } else { bytes.to_vec() };
        seed.push(if row { Entry::Row as u8 } else { kind as u8 });
        seed.extend((bytes.len() as u16).to_le_bytes());
        seed.extend(bytes);
    });
    seed
}
