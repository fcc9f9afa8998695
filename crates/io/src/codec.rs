//! stub
use std::io::{self, Write};
/// stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// g
    Gzip,
}
impl Compression {
    /// n
    pub fn name(self) -> &'static str {
        "gzip"
    }
    /// b
    pub fn by_name(n: &str) -> Option<Self> {
        (n == "gzip").then_some(Self::Gzip)
    }
}
/// stub
pub struct Writer<W>(W);
impl<W: Write> Writer<W> {
    /// n
    pub fn new(_k: Compression, w: W) -> io::Result<Self> {
        Ok(Self(w))
    }
    /// f
    pub fn finish(self) -> io::Result<W> {
        Ok(self.0)
    }
}
impl<W: Write> Write for Writer<W> {
    fn write(&mut self, b: &[u8]) -> io::Result<usize> {
        self.0.write(b)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
