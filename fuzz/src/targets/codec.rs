//! Any bytes in the place of compressed ones.

use std::io::Read;

use flowkeep_io::codec::{reader, Compression};
use flowkeep_io::probe::probe;

use super::note;

/// Bytes that are decompressed of one input.
const ENOUGH: u64 = 8 << 20;

/// A result or an error. Where the first bytes say what it is, also through a file.
pub fn codec(data: &[u8], notes: &mut Vec<u64>) {
    for kind in Compression::ALL {
        let Ok(stream) = reader(kind, data) else { continue };
        let (mut out, mut limited) = (Vec::new(), stream.take(ENOUGH));
        let done = limited.read_to_end(&mut out);
        let error = done.err().map(|e| e.to_string());
        notes.push(note(&(kind, error, out.len().next_power_of_two())));
    }
    if Compression::detect(data).is_some() || data.len() % 16 == 0 {
        let path = std::env::temp_dir().join(format!("flowkeep-fuzz-{}.bin", std::process::id()));
        let Ok(()) = std::fs::write(&path, data) else { panic!("{} cannot be written", path.display()) };
        let probed = probe(&path);
        notes.push(note(&probed.map(|p| (p.format, p.first_ts.is_some())).map_err(|_| ())));
        let _ = std::fs::remove_file(&path);
    }
}
