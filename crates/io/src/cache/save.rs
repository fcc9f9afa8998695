//! A store in a file: as [`Loader`] describes it, and then the SHA-256 of all that.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use flowkeep_core::cache::{Loader, Settings};

use super::shared::{Shared, CHAINS};
use crate::dataset::Error;
use crate::digest::Sha256;

/// Hexadecimal digits of the digest at the end.
const DIGEST: usize = 64;

/// Writes the store to a file, which the caller makes visible. Packets that come meanwhile may be missing; stop the capture first.
pub fn save(shared: &Shared, path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    let mut out = Digested { out: BufWriter::with_capacity(1 << 18, file), digest: Sha256::default() };
    let (mut piece, mut chains) = (Vec::new(), 0);
    shared.look(|store| {
        chains = store.chains();
        store.save_head(&mut piece);
    });
    // Few flows a lock, for those may be long.
    for from in (0..chains).step_by(CHAINS / 64) {
        out.write_all(&piece)?;
        piece.clear();
        shared.look(|store| store.save_flows(from..from + CHAINS / 64, &mut piece));
        shared.let_writers_go();
    }
    shared.look(|store| store.save_end(&mut piece));
    out.write_all(&piece)?;
    let digest = out.digest.hex();
    out.out.write_all(digest.as_bytes())?;
    out.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

struct Digested {
    out: BufWriter<File>,
    digest: Sha256,
}

impl Digested {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads a store from a file into one with these settings.
pub fn load(path: &Path, settings: Settings) -> Result<Shared, Error> {
    let usage = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    let mut file = File::open(path).map_err(Error::Open)?;
    let mut loader = Loader::new(settings).map_err(|why| Error::Usage(why.0))?;
    let mut digest = Sha256::default();
    let (mut buffer, mut held) = (vec![0; 1 << 16], Vec::new());
    loop {
        let n = match file.read(&mut buffer) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Open(error)),
        };
        if n == 0 {
            break;
        }
        // The last bytes are the digest of those before.
        held.extend_from_slice(&buffer[..n]);
        let ready = held.len().saturating_sub(DIGEST);
        digest.update(&held[..ready]);
        loader.feed(&held[..ready]).map_err(|why| usage(why.0))?;
        held.drain(..ready);
    }
    if digest.hex().as_bytes() != held {
        return Err(usage(
            "its SHA-256 is not the one at its end: it is no store that flowkeep saved, or damaged"
                .to_owned(),
        ));
    }
    Ok(Shared::of(loader.finish().map_err(|why| usage(why.0))?))
}
