//! Any parts in an index under right digests, beside a capture that they may or may not be of.

use std::io;
use std::path::PathBuf;

use flowkeep_core::flow::Rules;
use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::pipe::{is_chosen, Chunk, Control, Take};
use flowkeep_io::dataset::Settings;
use flowkeep_io::index::{build, forged, unpacked};

use super::note;

/// The capture: eighty datagrams of five flows.
fn capture() -> Vec<u8> {
    let mut file: Vec<u8> =
        [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 101].iter().flat_map(|v| v.to_le_bytes()).collect();
    for i in 0..80_u8 {
        file.extend([u32::from(i), 0, 28, 28].iter().flat_map(|v| v.to_le_bytes()));
        file.extend([0x45, 0, 0, 28, 0, 7, 0, 0, 64, 17, 0, 0, 10, 0, 0, i % 5, 10, 0, 1, 1]);
        file.extend([0x9c, 0x40, 0, 53, 0, 8, 0, 0]);
    }
    file
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("flowkeep-fuzz-{}.{name}", std::process::id()))
}

/// Looks at what comes out: flows that were chosen, and nothing of others.
struct Look(u64);

impl Take for Look {
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        assert_eq!(chunk.records.len(), chunk.tags.len(), "each packet has a tag");
        assert!(chunk.tags.iter().all(|&tag| is_chosen(tag)), "only chosen packets come out");
        self.0 += chunk.records.len() as u64;
        Ok(())
    }
}

/// Reads all there is in an index, or says what is wrong with it. No more packets come out than there are.
pub fn index(data: &[u8], notes: &mut Vec<u64>) {
    let (path, beside) = (scratch("pcap"), scratch("index"));
    let Ok(()) = std::fs::write(&path, capture()) else { panic!("{} cannot be written", path.display()) };
    let (mut parts, mut rest) = (Vec::new(), data);
    while let Some((len, more)) = rest.split_first_chunk::<2>() {
        let (part, more) = more.split_at(usize::from(u16::from_le_bytes(*len)).min(more.len()));
        parts.push(part.to_vec());
        rest = more;
    }
    let mut look = Look(0);
    let done = forged(&parts, &beside, &path, Options::default(), &mut look);
    assert!(look.0 <= 80, "{} packets came out of 80", look.0);
    notes.push(note(&(done.map_err(|why| why.replace(|c: char| c.is_ascii_digit(), "")), look.0)));
    let _ = (std::fs::remove_file(&path), std::fs::remove_file(&beside));
}

/// The parts of a true index, each behind its length.
pub fn seeds() -> Vec<Vec<u8>> {
    let (path, beside) = (scratch("pcap"), scratch("index"));
    let settings = Settings {
        options: Options::default(),
        rules: Rules::default(),
        jobs: 1,
        seed: Seed::default(),
        filter: None,
    };
    let made = std::fs::write(&path, capture()).map_err(|e| e.to_string()).and_then(|()| {
        build(&settings, &path, &beside, &Control::default()).map_err(|e| e.to_string())?;
        unpacked(&beside)
    });
    let parts = made.unwrap_or_else(|why| panic!("the index cannot be made: {why}"));
    let _ = (std::fs::remove_file(&path), std::fs::remove_file(&beside));
    let mut seed = Vec::new();
    for part in parts {
        seed.extend((part.len() as u16).to_le_bytes());
        seed.extend(part);
    }
    vec![seed]
}
