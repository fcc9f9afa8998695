//! SHA-256 of files and of what is written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flowkeep_core::pipe::Control;

use crate::remote::{self, RemoteFile};

mod sha256;

pub use sha256::{update_all, Sha256};

impl Sha256 {
    /// The digest in lower-case hexadecimal.
    pub fn hex(self) -> String {
        let mut text = String::with_capacity(64);
        hex(&self.bytes(), &mut text);
        text
    }
}

/// Appends bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The digest of a file; `None` if it was cancelled.
pub fn file_digest(path: &Path, control: &Control) -> io::Result<Option<String>> {
    if let Some(url) = remote::url(path) {
        let file = RemoteFile::open(url, Some(control))?;
        file.begin_digest();
        return match file.end_digest() {
            Err(_) if control.is_cancelled() => Ok(None),
            done => done,
        };
    }
    let mut file = File::open(path)?;
    let mut digest = Sha256::default();
    let mut buffer = vec![0; 1 << 18];
    loop {
        if control.is_cancelled() {
            return Ok(None);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(digest.hex())),
            Ok(n) => digest.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
