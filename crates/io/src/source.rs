//! stub
use crate::codec::Compression;
use flowkeep_core::pipe::{Input, ReadAt};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
/// stub
pub struct Source {
    f: File2,
    size: u64,
}
struct File2(File);
impl ReadAt for File2 {
    fn read_at(&self, b: &mut [u8], o: u64) -> io::Result<usize> {
        self.0.read_at(b, o)
    }
}
impl Source {
    /// o
    pub fn open(p: &Path) -> io::Result<Self> {
        let f = File::open(p)?;
        let size = f.metadata()?.len();
        Ok(Self { f: File2(f), size })
    }
    /// i
    pub fn input(&mut self) -> Input<'_> {
        Input::At(&self.f, self.size)
    }
    /// s
    pub fn size(&self) -> Option<u64> {
        Some(self.size)
    }
    /// c
    pub fn consumed(&self) -> u64 {
        self.size
    }
    /// c
    pub fn compression(&self) -> Option<Compression> {
        None
    }
}
