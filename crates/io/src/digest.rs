//! SHA-256 of files and of what is written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::Digest;

/// A SHA-256 in the making.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest.
    pub fn bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }

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

/// Lets each of several digests take bytes.
pub fn update_all(parts: &mut [(&mut Sha256, &[u8])]) {
    for (digest, bytes) in parts {
        digest.update(bytes);
    }
}

/// The digest of a file; `None` if it was cancelled.
pub fn file_digest(path: &Path, cancelled: impl Fn() -> bool) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::default();
    let mut buffer = vec![0; 1 << 18];
    loop {
        if cancelled() {
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
