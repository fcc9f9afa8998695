//! Where captures are read from: files, compressed files, pipes, standard input.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use flowkeep_core::pipe::{Control, Input, ReadAt};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;

use crate::codec::{self, Compression};
use crate::remote::{self, RemoteFile};

/// Bytes that tell a compression.
const SNIFF: usize = 6;
/// Read from a pipe or a compressed file at once.
const BUFFER: usize = 1 << 18;
/// How long a read waits before it looks whether the work was cancelled.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// An opened capture.
pub struct Source<'c> {
    from: From<'c>,
    size: Option<u64>,
    compression: Option<Compression>,
    consumed: Arc<AtomicU64>,
    remote: Option<Arc<RemoteFile<'c>>>,
}

enum From<'c> {
    File(Positioned, u64),
    Remote(Arc<RemoteFile<'c>>, u64),
    Stream(Box<dyn Read + Send + 'c>),
}

struct Positioned(File);

impl ReadAt for Positioned {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
}

impl<'c> Source<'c> {
    /// Opens a path; `-` is standard input. Waiting for a pipe ends when `control` is cancelled.
    pub fn open(path: &Path, control: &'c Control) -> io::Result<Self> {
        if let Some(url) = remote::url(path) {
            return Self::open_remote(Arc::new(RemoteFile::open(url, Some(control))?));
        }
        let file = if crate::dataset::is_standard(path) {
            use std::os::fd::AsFd;
            File::from(io::stdin().as_fd().try_clone_to_owned()?)
        } else {
            // Else opening a named pipe waits for a writer, and nothing could end that.
            std::fs::OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?
        };
        let kind = file.metadata()?;
        if kind.is_dir() {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::ISDIR.raw_os_error()));
        }
        let consumed = Arc::new(AtomicU64::new(0));
        if kind.is_file() && !crate::dataset::is_standard(path) {
            let mut first = [0; SNIFF];
            let n = file.read_at(&mut first, 0)?;
            let size = kind.len();
            let compression = Compression::detect(&first[..n]);
            let from = match compression {
                None => {
                    consumed.store(size, Ordering::Relaxed);
                    From::File(Positioned(file), size)
                }
                Some(kind) => From::Stream(codec::reader(
                    kind,
                    buffered(Counted { input: file, count: consumed.clone() }),
                )?),
            };
            return Ok(Self { from, size: Some(size), compression, consumed, remote: None });
        }
        let mut pipe = Counted { input: Patient { file, control }, count: consumed.clone() };
        let mut first = Vec::new();
        while first.len() < SNIFF {
            let mut more = [0; SNIFF];
            let room = SNIFF - first.len();
            match pipe.read(&mut more[..room])? {
                0 => break,
                n => first.extend_from_slice(&more[..n]),
            }
        }
        let compression = Compression::detect(&first);
        let whole = Cursor::new(first).chain(pipe);
        let from: Box<dyn Read + Send + 'c> = match compression {
            None => Box::new(whole),
            Some(kind) => codec::reader(kind, buffered(whole))?,
        };
        Ok(Self { from: From::Stream(from), size: None, compression, consumed, remote: None })
    }

    /// A file elsewhere; of one that cannot be read anywhere the size does not count.
    fn open_remote(file: Arc<RemoteFile<'c>>) -> io::Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let mut first = Vec::new();
        while first.len() < SNIFF {
            let mut more = [0; SNIFF];
            let room = SNIFF - first.len();
            match file.read_at(&mut more[..room], first.len() as u64)? {
                0 => break,
                n => first.extend_from_slice(&more[..n]),
            }
        }
        let compression = Compression::detect(&first);
        let size = file.anywhere();
        let from = match (compression, size) {
            (None, Some(size)) => From::Remote(file.clone(), size),
            (kind, _) => {
                let input = Counted { input: remote::Reader::new(file.clone()), count: consumed.clone() };
                From::Stream(match kind {
                    None => Box::new(input),
                    Some(kind) => codec::reader(kind, buffered(input))?,
                })
            }
        };
        Ok(Self { from, size, compression, consumed, remote: Some(file) })
    }

    /// The file elsewhere that this is.
    pub fn remote(&self) -> Option<&RemoteFile<'c>> {
        self.remote.as_deref()
    }

    /// The input for a run.
    pub fn input(&mut self) -> Input<'_> {
        match &mut self.from {
            From::File(file, size) => Input::At(file, *size),
            From::Remote(file, size) => Input::At(&**file, *size),
            From::Stream(stream) => Input::Stream(&mut **stream),
        }
    }

    /// Bytes on disk; `None` for a pipe.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes read from the disk or the pipe so far.
    pub fn consumed(&self) -> u64 {
        self.size.unwrap_or_else(|| self.consumed.load(Ordering::Relaxed))
    }

    /// How the capture is compressed.
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }
}

fn buffered<R: Read>(input: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER, input)
}

/// Counts what goes through.
struct Counted<R> {
    input: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A pipe whose reads end when the work is cancelled.
struct Patient<'c> {
    file: File,
    control: &'c Control,
}

impl Read for Patient<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.control.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            let ready = poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&PATIENCE));
            match ready {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => match self.file.read(buf) {
                    Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                    done => return done,
                },
                Err(error) => return Err(error.into()),
            }
        }
    }
}
