//! Files that are not on this machine. Who fetches and takes them is set from outside, once; here they are read and
//! written as if they were here.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flowkeep_core::pipe::{Control, ReadAt};

use crate::digest::Sha256;

/// Blocks in hand. Workers read near each other.
const RECENT: usize = 3;
/// Blocks that wait for those before them to be digested.
const WAITING: usize = 2;

/// A piece of a file.
#[derive(Clone)]
pub struct Block {
    /// Offset of its first byte.
    pub start: u64,
    /// What is in it; nothing behind the end.
    pub bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
}

impl Block {
    fn from(&self, offset: u64) -> Option<&[u8]> {
        let bytes = (*self.bytes).as_ref();
        bytes.get(usize::try_from(offset.checked_sub(self.start)?).ok()?..).filter(|rest| !rest.is_empty())
    }
}

/// A file elsewhere. What has to be waited for is `None` after a moment, so that the wait can be ended.
pub trait Remote: Send + Sync {
    /// Size, if it is known, and whether it can be read anywhere.
    fn ready(&self) -> io::Result<Option<(Option<u64>, bool)>>;
    /// The block that a byte is in; an empty one behind the end.
    fn block(&self, offset: u64) -> io::Result<Option<Block>>;
}

/// The world outside.
pub trait Places: Send + Sync {
    /// Begins to open a file for reading.
    fn open(&self, name: &str) -> io::Result<Box<dyn Remote>>;
    /// Opens a file for writing.
    fn create(&self, name: &str) -> io::Result<Box<dyn Write + Send>>;
}

static PLACES: OnceLock<Box<dyn Places>> = OnceLock::new();

/// Says who opens files elsewhere; the first word counts.
pub fn set_places(places: Box<dyn Places>) {
    let _ = PLACES.set(places);
}

/// The URL that a path is.
pub fn url(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    let mut letters = scheme.bytes();
    let named = letters.next().is_some_and(|b| b.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    named.then_some(text)
}

fn places() -> io::Result<&'static dyn Places> {
    PLACES.get().map(|p| &**p).ok_or_else(|| io::Error::other("URLs are not read here"))
}

/// A file elsewhere that is open for reading.
pub struct RemoteFile<'c> {
    remote: Box<dyn Remote>,
    control: Option<&'c Control>,
    size: Option<u64>,
    ranged: bool,
    recent: Mutex<Vec<Block>>,
    digest: Mutex<Option<Rolling>>,
}

/// A digest of blocks that come in nearly the right order.
#[derive(Default)]
struct Rolling {
    digest: Sha256,
    at: u64,
    waiting: Vec<Block>,
}

impl Rolling {
    fn take(&mut self, block: Block) {
        let new = block.start >= self.at && self.waiting.iter().all(|b| b.start != block.start);
        // What cannot wait is read once more at the end.
        if new && (block.start == self.at || self.waiting.len() < WAITING) {
            self.waiting.push(block);
        }
        while let Some(i) = self.waiting.iter().position(|b| b.start == self.at) {
            let block = self.waiting.swap_remove(i);
            let bytes = (*block.bytes).as_ref();
            self.digest.update(bytes);
            self.at += bytes.len() as u64;
        }
    }
}

impl<'c> RemoteFile<'c> {
    /// Opens it; waiting ends when `control` is cancelled.
    pub fn open(url: &str, control: Option<&'c Control>) -> io::Result<Self> {
        let remote = places()?.open(url)?;
        let (size, ranged) = waited(control, || remote.ready())?;
        let (recent, digest) = (Mutex::default(), Mutex::default());
        Ok(Self { remote, control, size, ranged, recent, digest })
    }

    /// Bytes, if that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The size of a file that can be read anywhere.
    pub fn anywhere(&self) -> Option<u64> {
        self.size.filter(|_| self.ranged)
    }

    /// From here on what is read is digested, too. Nothing was read yet but the head.
    pub fn begin_digest(&self) {
        let mut rolling = Rolling::default();
        lock(&self.recent).iter().for_each(|block| rolling.take(block.clone()));
        *lock(&self.digest) = Some(rolling);
    }

    /// The digest of the whole file: what was not read yet is read now.
    pub fn end_digest(&self) -> io::Result<Option<String>> {
        loop {
            let Some(at) = lock(&self.digest).as_ref().map(|rolling| rolling.at) else { return Ok(None) };
            if (*self.fetch(at)?.bytes).as_ref().is_empty() {
                break;
            }
        }
        Ok(lock(&self.digest).take().map(|rolling| rolling.digest.hex()))
    }

    /// No lock is held while the block is waited for: who brings it may wait for one of us.
    fn block(&self, offset: u64) -> io::Result<Block> {
        if let Some(block) = lock(&self.recent).iter().find(|block| block.from(offset).is_some()) {
            return Ok(block.clone());
        }
        self.fetch(offset)
    }

    fn fetch(&self, offset: u64) -> io::Result<Block> {
        let block = waited(self.control, || self.remote.block(offset))?;
        if (*block.bytes).as_ref().is_empty() {
            return Ok(block);
        }
        if let Some(rolling) = &mut *lock(&self.digest) {
            rolling.take(block.clone());
        }
        let mut recent = lock(&self.recent);
        if recent.iter().all(|b| b.start != block.start) {
            if recent.len() == RECENT {
                recent.remove(0);
            }
            recent.push(block.clone());
        }
        Ok(block)
    }
}

impl ReadAt for RemoteFile<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let block = self.block(offset)?;
        let Some(rest) = block.from(offset) else { return Ok(0) };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn waited<T>(control: Option<&Control>, mut ask: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    loop {
        if control.is_some_and(Control::is_cancelled) {
            return Err(io::Error::other("cancelled"));
        }
        if let Some(found) = ask()? {
            return Ok(found);
        }
    }
}

/// One byte after the other.
pub struct Reader<'c> {
    file: Arc<RemoteFile<'c>>,
    at: u64,
}

impl<'c> Reader<'c> {
    /// Reads from the first byte on.
    pub fn new(file: Arc<RemoteFile<'c>>) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wrong = || io::Error::from(io::ErrorKind::InvalidInput);
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.anywhere().ok_or_else(wrong)?, by),
        };
        self.at = base.checked_add_signed(by).ok_or_else(wrong)?;
        Ok(self.at)
    }
}

/// What is read and sought in.
pub trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Opens a small file, here or elsewhere.
pub fn open_any<'c>(path: &Path, control: Option<&'c Control>) -> io::Result<Box<dyn ReadSeek + 'c>> {
    match url(path) {
        None => Ok(Box::new(File::open(path)?)),
        Some(url) => Ok(Box::new(Reader::new(Arc::new(RemoteFile::open(url, control)?)))),
    }
}

/// Opens a file for writing, here or elsewhere.
pub fn create_any(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    match url(path) {
        None => Ok(Box::new(File::create(path)?)),
        Some(url) => places()?.create(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_by_their_scheme() {
        for text in ["s3://bucket/key", "memory://x", "gs+x://y", "HTTP://h/"] {
            assert_eq!(url(Path::new(text)), Some(text));
        }
        for text in ["/a/b", "a:b", "s3:/bucket", "://x", "1s://x", "a b://c", "-", ""] {
            assert_eq!(url(Path::new(text)), None, "{text}");
        }
    }

    /// Blocks of 7 bytes of a file of 30.
    struct Made;

    impl Remote for Made {
        fn ready(&self) -> io::Result<Option<(Option<u64>, bool)>> {
            Ok(Some((Some(30), true)))
        }

        fn block(&self, offset: u64) -> io::Result<Option<Block>> {
            let start = offset / 7 * 7;
            let bytes: Vec<u8> = (start..(start + 7).min(30)).map(|b| b as u8).collect();
            Ok(Some(Block { start, bytes: Arc::new(if offset < 30 { bytes } else { Vec::new() }) }))
        }
    }

    #[test]
    fn the_digest_is_that_of_the_whole_file_in_whatever_order_it_is_read() {
        let whole: Vec<u8> = (0..30).collect();
        let mut sum = Sha256::default();
        sum.update(&whole);
        let wanted = sum.hex();
        for order in [vec![], vec![29, 0, 15], vec![8, 3, 22, 14], (0..30).rev().collect(), (0..30).collect()]
        {
            let remote: Box<dyn Remote> = Box::new(Made);
            let (recent, digest) = (Mutex::default(), Mutex::default());
            let file = RemoteFile { remote, control: None, size: Some(30), ranged: true, recent, digest };
            file.begin_digest();
            for at in order {
                let mut byte = [0];
                assert_eq!(file.read_at(&mut byte, at).unwrap(), 1);
                assert_eq!(u64::from(byte[0]), at);
            }
            assert_eq!(file.read_at(&mut [0], 30).unwrap(), 0);
            assert_eq!(file.end_digest().unwrap().as_deref(), Some(&*wanted));
        }
    }

    #[test]
    fn it_is_sought_in_like_a_file() {
        let (recent, digest) = (Mutex::default(), Mutex::default());
        let file = RemoteFile {
            remote: Box::new(Made),
            control: None,
            size: Some(30),
            ranged: true,
            recent,
            digest,
        };
        let mut reader = Reader::new(Arc::new(file));
        assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), 20);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, (20..30).collect::<Vec<u8>>());
        assert_eq!(reader.seek(SeekFrom::Current(-29)).unwrap(), 1);
        assert!(reader.seek(SeekFrom::Current(-2)).is_err());
    }
}
