//! Writes files and digests what it writes, on threads beside those that make the bytes.
//!
//! All steps of one stream are done by one thread, in the order they were given; so the files do not depend on the
//! number of threads. No file stays open between two steps.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{openat, renameat, unlinkat, AtFlags, Mode, OFlags};

use super::pieces::BUFFER;
use super::spill::Chain;
use crate::digest::{update_all, Sha256};

/// A batch of steps goes to its thread when it holds so many bytes, or so many steps.
const BATCH: usize = 512 << 10;
const STEPS: usize = 256;
/// At most so many batches wait for a thread. With the one in the making and the one being written these are
/// 3 MiB a thread.
const WAITING: usize = 4;
/// Buffers that are kept to be used again: short ones and long ones. Memory that one thread asks for and another frees
/// would be held once by each.
const SPARE: [usize; 2] = [1024, 128];
/// Longer ones of the short ones are not kept, for they would go to shorter streams.
const SHORT: usize = 8 << 10;
/// More threads than these would only wait for the one that rebuilds.
const THREADS: usize = 8;

/// A step of a stream.
pub(super) struct Step {
    /// Which stream.
    pub at: usize,
    pub what: What,
}

/// What is to be done. Names are in the folder.
pub(super) enum What {
    /// Writes and digests bytes. `new`: the file is made; it begins with what `before` holds.
    Bytes { name: String, bytes: Vec<u8>, place: u64, new: bool, before: Option<Chain> },
    /// Digests zeros that are not written; few, for they are made.
    Hole(u64),
    /// Appends to a table. `new`: the file is made.
    Table { name: String, text: Vec<u8>, new: bool },
    /// Gives a file its length; needed where it ends in a hole.
    Length { name: String, length: u64, new: bool },
    /// Nothing more comes for the piece of this number: its digest is done.
    End(u32),
    /// Gives a file its name.
    Rename(String, String),
    /// Takes a file away.
    Remove(String),
}

/// The digest of a piece of a stream.
pub(super) struct Ended {
    pub at: usize,
    pub piece: u32,
    pub sha256: [u8; 32],
}

/// What the threads share.
struct Shared {
    /// Names are looked up in it, not along a path.
    folder: io::Result<File>,
    failed: AtomicBool,
    error: Mutex<Option<io::Error>>,
    spare: Mutex<[Vec<Vec<u8>>; 2]>,
    /// Batches that are not done.
    busy: Mutex<usize>,
    idle: Condvar,
}

/// The threads.
pub(super) struct Scribe {
    shared: Arc<Shared>,
    to: Vec<SyncSender<Vec<Step>>>,
    batches: Vec<(Vec<Step>, usize)>,
    threads: Vec<JoinHandle<Vec<Ended>>>,
}

impl Scribe {
    /// Writes into `folder` with so many threads.
    pub fn new(folder: &Path, threads: usize) -> Self {
        let shared = Arc::new(Shared {
            folder: File::open(folder),
            failed: AtomicBool::new(false),
            error: Mutex::default(),
            spare: Mutex::default(),
            busy: Mutex::default(),
            idle: Condvar::new(),
        });
        let (mut to, mut running) = (Vec::new(), Vec::new());
        for _ in 0..threads.clamp(1, THREADS) {
            let (send, steps) = sync_channel(WAITING);
            let shared = shared.clone();
            running.push(std::thread::spawn(move || work(&shared, &steps)));
            to.push(send);
        }
        let batches = to.iter().map(|_| (Vec::new(), 0)).collect();
        Self { shared, to, batches, threads: running }
    }

    /// The next step of a stream.
    pub fn give(&mut self, step: Step) {
        let size = match &step.what {
            What::Bytes { bytes, before, .. } => {
                bytes.len() + before.as_ref().map_or(0, |chain| chain.spilled.total as usize)
            }
            What::Table { text, .. } => text.len(),
            _ => 0,
        };
        // Both directions of a flow, and neighbours, on different threads.
        let thread = ((step.at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % self.to.len();
        let batch = &mut self.batches[thread];
        batch.0.push(step);
        batch.1 += size;
        if batch.1 >= BATCH || batch.0.len() >= STEPS {
            self.send(thread);
        }
    }

    fn send(&mut self, thread: usize) {
        let (batch, _) = std::mem::take(&mut self.batches[thread]);
        if batch.is_empty() {
            return;
        }
        *lock(&self.shared.busy) += 1;
        if self.to[thread].send(batch).is_err() {
            self.shared.done();
            self.shared.fail(io::Error::other("a thread that writes files is gone"));
        }
    }

    /// Waits until all that was given is done. Then nothing is written until more is given.
    pub fn pause(&mut self) {
        for thread in 0..self.to.len() {
            self.send(thread);
        }
        let mut busy = lock(&self.shared.busy);
        while *busy > 0 {
            busy = self.shared.idle.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What went wrong; nothing is written after that.
    pub fn check(&self) -> io::Result<()> {
        if self.is_well() {
            return Ok(());
        }
        Err(lock(&self.shared.error).take().unwrap_or_else(|| io::Error::other("writing failed before")))
    }

    /// Whether nothing went wrong.
    pub fn is_well(&self) -> bool {
        !self.shared.failed.load(Ordering::Relaxed)
    }

    /// Something went wrong elsewhere.
    pub fn fail(&self, error: io::Error) {
        self.shared.fail(error);
    }

    /// A buffer to use again.
    pub fn spare(&self, long: bool) -> Option<Vec<u8>> {
        lock(&self.shared.spare)[usize::from(long)].pop()
    }

    /// Waits for the threads. Gives the digests.
    pub fn finish(mut self) -> io::Result<Vec<Ended>> {
        self.pause();
        self.to.clear();
        let mut ended = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            ended.extend(thread.join().map_err(|_| io::Error::other("a thread that writes files panicked"))?);
        }
        self.check().map(|()| ended)
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.shared.failed.store(true, Ordering::Relaxed); // what waits need not be written
        self.to.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn fail(&self, error: io::Error) {
        lock(&self.error).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    fn done(&self) {
        *lock(&self.busy) -= 1;
        self.idle.notify_all();
    }
}

/// Bytes that are to be digested.
struct Due {
    at: usize,
    bytes: Vec<u8>,
    end: Option<u32>,
}

/// What one thread knows.
#[derive(Default)]
struct Digests {
    open: HashMap<usize, Sha256>,
    ended: Vec<Ended>,
    /// Of different streams; digested side by side.
    due: Vec<Due>,
    /// Buffers of what was digested.
    used: Vec<Vec<u8>>,
}

fn work(shared: &Shared, steps: &Receiver<Vec<Step>>) -> Vec<Ended> {
    let mut digests = Digests::default();
    while let Ok(batch) = steps.recv() {
        // The thread lives on, so that nobody waits for it in vain.
        let done = catch_unwind(AssertUnwindSafe(|| digests.batch(shared, batch)));
        if done.is_err() {
            shared.fail(io::Error::other("a thread that writes files panicked"));
        }
        shared.done();
    }
    digests.ended
}

/// Opens a file to write to it. `new`: it is made, and must not be there.
fn open(folder: &File, name: &str, new: bool, flags: OFlags) -> io::Result<File> {
    let make = if new { OFlags::CREATE | OFlags::EXCL } else { OFlags::empty() };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | make | flags;
    Ok(File::from(openat(folder, name, flags, Mode::from_raw_mode(0o666))?))
}

impl Digests {
    fn batch(&mut self, shared: &Shared, batch: Vec<Step>) {
        for step in batch {
            if shared.failed.load(Ordering::Relaxed) {
                break;
            }
            let done = match &shared.folder {
                Ok(folder) => self.take(folder, step),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            if let Err(error) = done {
                shared.fail(error);
            }
        }
        self.settle(shared);
    }

    fn take(&mut self, folder: &File, step: Step) -> io::Result<()> {
        let at = step.at;
        match step.what {
            What::Bytes { name, mut bytes, place, new, before } => {
                if let Some(before) = before {
                    let all = before.read(&bytes)?;
                    self.used.push(std::mem::replace(&mut bytes, all));
                }
                open(folder, &name, new, OFlags::empty())?.write_all_at(&bytes, place)?;
                self.note(at, bytes);
            }
            What::Hole(length) => self.note(at, vec![0; length as usize]),
            What::End(piece) => {
                if let Some(due) = self.due.iter_mut().rfind(|due| due.at == at) {
                    due.end = Some(piece);
                } else {
                    let sha256 = self.open.remove(&at).unwrap_or_default().bytes();
                    self.ended.push(Ended { at, piece, sha256 });
                }
            }
            What::Table { name, text, new } => {
                open(folder, &name, new, OFlags::APPEND)?.write_all(&text)?;
            }
            What::Length { name, length, new } => {
                open(folder, &name, new, OFlags::empty())?.set_len(length)?;
            }
            What::Rename(from, to) => renameat(folder, from, folder, to)?,
            What::Remove(name) => unlinkat(folder, name, AtFlags::empty())?,
        }
        Ok(())
    }

    fn note(&mut self, at: usize, bytes: Vec<u8>) {
        if self.due.iter().any(|due| due.at == at) {
            self.digest();
        }
        self.due.push(Due { at, bytes, end: None });
    }

    /// Digests what is due.
    fn digest(&mut self) {
        let open = &mut self.open;
        let mut states: Vec<Sha256> =
            self.due.iter().map(|due| open.remove(&due.at).unwrap_or_default()).collect();
        update_all(states.iter_mut().zip(&self.due).map(|(state, due)| (state, &due.bytes[..])).collect());
        for (due, state) in self.due.drain(..).zip(states) {
            match due.end {
                Some(piece) => self.ended.push(Ended { at: due.at, piece, sha256: state.bytes() }),
                None => _ = self.open.insert(due.at, state),
            }
            self.used.push(due.bytes);
        }
    }

    /// Ends a batch: gives its buffers back.
    fn settle(&mut self, shared: &Shared) {
        self.digest();
        let mut spare = lock(&shared.spare);
        for mut bytes in self.used.drain(..) {
            let long = bytes.capacity() >= BUFFER;
            let spare = &mut spare[usize::from(long)];
            if (long || bytes.capacity() <= SHORT) && spare.len() < SPARE[usize::from(long)] {
                bytes.clear();
                spare.push(bytes);
            }
        }
    }
}
