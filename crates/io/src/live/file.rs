//! Captures in files and pipes, with the times of their packets.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use flowkeep_core::pipe::{Input, ReadAt};

use super::feed::Feed;
use super::input::{Packets, Shared, State, Stats, Stop};
use super::program::Selection;
use crate::source::Source;

/// A capture to be read.
pub struct Replay {
    path: PathBuf,
    selection: Arc<Selection>,
    sink: Arc<dyn Packets>,
    stats: Shared,
}

impl Replay {
    /// `-` is standard input. It is opened when it runs.
    pub fn new(path: PathBuf, selection: Arc<Selection>, sink: Arc<dyn Packets>) -> Self {
        let stats = Shared::new(Stats::new(path.to_string_lossy().into_owned(), "read"));
        Self { path, selection, sink, stats }
    }

    /// What is known of it.
    pub fn stats(&self) -> Shared {
        self.stats.clone()
    }

    /// Reads to the end, or until it is stopped.
    pub fn run(self, stop: &Stop) {
        self.stats.state(State::Running);
        let ended = self.read(stop);
        match ended {
            _ if stop.is_asked() => self.stats.state(State::Stopped),
            Ok(()) => self.stats.state(State::Done),
            Err(why) => {
                self.stats.error(why);
                self.stats.state(State::Failed);
            }
        }
    }

    fn read(&self, stop: &Stop) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        let mut source = Source::open(&self.path, &stop.control).map_err(failed)?;
        let name = self.path.file_name().map_or_else(|| "-".to_owned(), |n| n.to_string_lossy().into_owned());
        let mut feed = Feed::new(name, self.selection.clone(), self.sink.clone(), self.stats.clone());
        let mut input: Box<dyn Read + '_> = match source.input() {
            Input::At(file, size) => Box::new(InOrder { file, size, at: 0 }),
            Input::Stream(stream) => Box::new(stream),
        };
        while !stop.is_asked() {
            match feed.read(&mut *input) {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Ok(()),
                Ok(Err(why)) => return Err(why),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

/// One byte after the other of a file of known size.
struct InOrder<'f> {
    file: &'f dyn ReadAt,
    size: u64,
    at: u64,
}

impl Read for InOrder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = buf.len().min(usize::try_from(self.size - self.at).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buf[..room], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
