//! Whatever the room in memory: the same files, and the same is said of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use flowkeep_core::pipe::Listen;
use flowkeep_core::stream::{Event, GapReason, Kind, Origin};

use super::super::noted::Piece;
use super::super::spill::Spilled;
use super::{Gaps, Pieces, PiecesPlan, Spill};

/// A folder that is taken away in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("flowkeep-pieces-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Told = (BTreeMap<String, Vec<u8>>, Vec<Vec<Piece>>);

/// A hundred streams that grow side by side, some of them long, some with gaps.
fn written(gaps: Gaps, frames: bool, most: usize) -> (Told, bool) {
    let folder = Folder::new();
    let plan = PiecesPlan { gaps, frames, versions: false };
    let mut pieces = Pieces::new(folder.0.clone(), plan, 2);
    pieces.most = most;
    let mut places = [0_u64; 100];
    let (mut state, mut spilled) = (7_u64, false);
    for frame in 1..6_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) as usize % 100;
        let long = at.is_multiple_of(10);
        let length = 1 + (state >> 40) as usize % if long { 9_000 } else { 700 };
        let origin = Origin { frame, ts: frame as i64, ..Origin::default() };
        let mut say = |kind| {
            let event = Event { dir: (at % 2) as u8, epoch: 0, origin, kind };
            pieces.event(at as u32 / 2, &event);
        };
        if at % 7 == 3 && state >> 60 == 0 {
            say(Kind::Gap { offset: places[at], length: 777, reason: GapReason::NotCaptured });
            places[at] += 777;
        }
        let bytes = vec![frame as u8; length];
        say(Kind::Data { offset: places[at], bytes: &bytes, skip: 0 });
        places[at] += length as u64;
        spilled |=
            pieces.streams.iter().flatten().any(|s| s.open.as_ref().is_some_and(|o| o.spilled.total > 0));
    }
    for at in 0..100 {
        let base = format!("stream-{at}");
        pieces.end(at, (at % 9 != 5).then_some(&base[..]));
    }
    let (streams, _) = pieces.finish().unwrap();
    let files = fs::read_dir(&folder.0).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
    });
    let told = streams.into_iter().map(|s| s.map_or_else(Vec::new, |s| s.pieces)).collect();
    ((files.collect(), told), spilled)
}

#[test]
fn the_room_in_memory_changes_nothing() {
    for (gaps, frames) in [
        (Gaps::Split, false),
        (Gaps::Omit, false),
        (Gaps::Zero, false),
        (Gaps::Sparse, false),
        (Gaps::Split, true),
    ] {
        let (all, spilled) = written(gaps, frames, 1 << 30);
        assert!(!spilled && all.0.len() > 85);
        for most in [100, 20_000, 200_000] {
            let (some, spilled) = written(gaps, frames, most);
            assert!(spilled, "{gaps:?}: nothing waited on disk with {most} bytes of room");
            let names = |told: &Told| told.0.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&some), names(&all), "{gaps:?} {most}");
            assert!(some.0 == all.0, "{gaps:?} {most}: other bytes");
            assert_eq!(some.1, all.1, "{gaps:?} {most}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    let gone = folder.0.join("gone");
    let mut spill = Spill::new();
    assert!(spill.put(&gone, Spilled::default(), b"bytes").is_err());
}
