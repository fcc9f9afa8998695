//! What all inputs share: the way to stop them, and what is known of them while they run.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use flowkeep_core::cache::InterfaceId;
use flowkeep_core::pipe::Control;
use rustix::event::{poll, PollFd, PollFlags, Timespec};

/// Interfaces that are told apart in one capture; the packets of more are kept under the name [`OTHERS`]. A machine
/// that starts containers all day makes new names all day, and a sender of captures may invent them.
pub const MAX_INTERFACES: usize = 4096;
/// Link types of those others that are told apart.
const MAX_OTHERS: usize = 64;
/// See [`MAX_INTERFACES`].
pub const OTHERS: &str = "(others)";

/// Packets that are handed on at once: a reader of the store waits no longer than for these.
pub const BATCH: usize = 256;

/// A packet on its way into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The interface it was seen on.
    pub interface: InterfaceId,
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// Length on the wire.
    pub original: u32,
    /// What was captured of it.
    pub data: &'a [u8],
}

/// Takes the packets of all inputs, from any thread.
pub trait Packets: Send + Sync {
    /// Describes an interface; the same name and link type give the same number. `None`: there are too many, and
    /// its packets cannot be taken.
    fn interface(&self, name: &str, link: u16, snap_length: u32) -> Option<InterfaceId>;
    /// Takes packets, in their order.
    fn batch(&self, packets: &mut dyn Iterator<Item = Packet<'_>>);
    /// Is told of packets that the kernel lost on an interface.
    fn dropped(&self, interface: InterfaceId, packets: u64);
}

/// Keeps the number of interfaces within its bound, whoever invents them.
pub struct Bounded {
    sink: Arc<dyn Packets>,
    known: Mutex<HashMap<(String, u16), InterfaceId>>,
}

impl Bounded {
    /// In front of this sink.
    pub fn new(sink: Arc<dyn Packets>) -> Self {
        Self { sink, known: Mutex::default() }
    }
}

impl Packets for Bounded {
    fn interface(&self, name: &str, link: u16, snap_length: u32) -> Option<InterfaceId> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (name.to_owned(), link);
        if let Some(id) = known.get(&key) {
            return Some(*id);
        }
        if known.len() >= MAX_INTERFACES {
            OTHERS.clone_into(&mut key.0);
            if let Some(id) = known.get(&key) {
                return Some(*id);
            }
            // There are as many of these as link types are invented.
            if known.len() >= MAX_INTERFACES + MAX_OTHERS {
                return None;
            }
        }
        let id = self.sink.interface(&key.0, link, snap_length)?;
        known.insert(key, id);
        Some(id)
    }

    fn batch(&self, packets: &mut dyn Iterator<Item = Packet<'_>>) {
        self.sink.batch(packets);
    }

    fn dropped(&self, interface: InterfaceId, packets: u64) {
        self.sink.dropped(interface, packets);
    }
}

/// What an input is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Opened, not started.
    Ready,
    /// Packets come in, or may.
    Running,
    /// It waits for an interface that is gone, or for a sender that cannot be reached.
    Waiting,
    /// There is no more to come.
    Done,
    /// It has ended by an error.
    Failed,
    /// It was stopped.
    Stopped,
}

impl State {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// Packets of one interface of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets handed on.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
}

/// What is known of an input.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The interface, `all`, an address and port, or a path.
    pub name: String,
    /// `interface`, `listen`, `connect` or `read`.
    pub kind: &'static str,
    /// What it is doing.
    pub state: State,
    /// Packets handed on.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Packets that the kernel had no room for.
    pub dropped: u64,
    /// Packets that the filter left out here; those that it left out in the kernel are not known.
    pub filtered: u64,
    /// Packets left out because the filter cannot be applied to their link type, or because there are too many
    /// interfaces.
    pub refused: u64,
    /// By interface name.
    pub interfaces: BTreeMap<String, Count>,
    /// Connections so far.
    pub connections: u64,
    /// Bytes of the ring.
    pub ring: u64,
    /// The error met last. The input may go on after it.
    pub error: Option<String>,
}

impl Stats {
    /// Nothing yet.
    pub fn new(name: String, kind: &'static str) -> Self {
        Self {
            name,
            kind,
            state: State::Ready,
            packets: 0,
            bytes: 0,
            dropped: 0,
            filtered: 0,
            refused: 0,
            interfaces: BTreeMap::new(),
            connections: 0,
            ring: 0,
            error: None,
        }
    }

    /// Counts packets of an interface.
    pub fn count(&mut self, name: &str, count: Count) {
        self.packets += count.packets;
        self.bytes += count.bytes;
        if let Some(of) = self.interfaces.get_mut(name) {
            of.packets += count.packets;
            of.bytes += count.bytes;
        } else {
            let name = if self.interfaces.len() < MAX_INTERFACES { name } else { OTHERS };
            let of = self.interfaces.entry(name.to_owned()).or_default();
            of.packets += count.packets;
            of.bytes += count.bytes;
        }
    }
}

/// The same for its thread and for whoever asks.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Stats>>);

impl Shared {
    /// For a new input.
    pub fn new(stats: Stats) -> Self {
        Self(Arc::new(Mutex::new(stats)))
    }

    /// For a short look or change.
    pub fn lock(&self) -> MutexGuard<'_, Stats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what it is doing.
    pub fn state(&self, state: State) {
        self.lock().state = state;
    }

    /// Says what went wrong.
    pub fn error(&self, error: impl Into<String>) {
        self.lock().error = Some(error.into());
    }
}

/// Asks threads to stop, also those that wait.
pub struct Stop {
    /// For whoever reads files.
    pub control: Control,
    ends: Mutex<Option<PipeWriter>>,
    wakes: PipeReader,
}

impl Stop {
    /// Nobody is asked yet.
    pub fn new() -> io::Result<Self> {
        let (wakes, ends) = io::pipe()?;
        Ok(Self { control: Control::default(), ends: Mutex::new(Some(ends)), wakes })
    }

    /// Asks all.
    pub fn stop(&self) {
        self.control.cancel();
        // Nobody reads it, so everyone sees it.
        if let Some(mut pipe) = self.ends.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = pipe.write_all(&[0]);
        }
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.control.is_cancelled()
    }

    /// Waits until one of the descriptors has something to read (or to write, with `write`), or has an error, or
    /// the time is over, or it is asked to stop.
    pub fn wait(&self, descriptors: &[BorrowedFd<'_>], write: bool, at_most: Duration) -> io::Result<()> {
        let flags = if write { PollFlags::OUT } else { PollFlags::IN };
        let mut all = vec![PollFd::new(&self.wakes, PollFlags::IN)];
        all.extend(descriptors.iter().map(|fd| PollFd::from_borrowed_fd(*fd, flags)));
        let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: at_most.subsec_nanos().into() };
        match poll(&mut all, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
