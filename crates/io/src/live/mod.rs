//! Packets as they come: from interfaces, by TCP (PCAP-over-IP), from files and pipes.
//!
//! Each input has a thread of its own and hands its packets to one [`Packets`] in batches. Inputs are opened
//! first, which may need privileges; then these are given up ([`privileges::drop_all`]); then the threads start.
//! Nothing that happens later needs them again.
//!
//! What is lost is counted where it is lost: the kernel counts packets for which a ring had no room, and they
//! are told to the store ([`Packets::dropped`]).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

mod feed;
mod file;
mod input;
mod program;
mod tcp;

#[cfg(target_os = "linux")]
mod frame;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
pub mod privileges;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod tap;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod hardware;
#[cfg(not(target_os = "linux"))]
use elsewhere as tap;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::privileges;

#[cfg(test)]
mod live_tests;

pub use input::{Count, InterfaceId, Packet, Packets, State, Stats};
pub use program::{Selection, MAX_PORTS};

use input::{Bounded, Shared, Stop};

/// Bytes of a ring unless another size is asked for: what a burst at 5 Gbit/s fills in 0.1 s.
pub const RING: usize = 64 << 20;
/// Bytes that are kept of a packet unless it is said otherwise: all of it, also of segments that the network card
/// will cut or has put together.
pub const SNAP_LENGTH: u32 = 262_144;

/// How interfaces are captured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of each ring.
    pub ring: usize,
    /// Bytes that are kept of a packet.
    pub snap_length: u32,
    /// Also what is not for this machine.
    pub promiscuous: bool,
    /// Which packets.
    pub selection: Arc<Selection>,
}

/// Why an input cannot be opened.
#[derive(Debug)]
pub enum Error {
    /// What was asked for makes no sense.
    Usage(String),
    /// The operating system refuses.
    System {
        /// What was opened.
        what: String,
        /// What can be done about it, if that is known.
        hint: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::System { what, hint: "", error } => write!(f, "{what}: {error}"),
            Self::System { what, hint, error } => write!(f, "{what}: {error}; {hint}"),
        }
    }
}

impl std::error::Error for Error {}

/// An input that has not started.
type Job = Box<dyn FnOnce(&Stop) + Send>;

/// Inputs and their threads.
pub struct Live {
    sink: Arc<dyn Packets>,
    selection: Arc<Selection>,
    stop: Arc<Stop>,
    jobs: Vec<(Shared, Job)>,
    inputs: Vec<Shared>,
    threads: Vec<JoinHandle<()>>,
    started: bool,
}

impl Live {
    /// Nothing yet. Packets that `selection` takes go to `sink`.
    pub fn new(sink: Arc<dyn Packets>, selection: Arc<Selection>) -> io::Result<Self> {
        Ok(Self {
            sink: Arc::new(Bounded::new(sink)),
            selection,
            stop: Arc::new(Stop::new()?),
            jobs: Vec::new(),
            inputs: Vec::new(),
            threads: Vec::new(),
            started: false,
        })
    }

    fn add(&mut self, stats: Shared, job: Job) -> Result<(), Error> {
        if self.stop.is_asked() {
            return Err(Error::Usage("the capture is stopped: make a new one".to_owned()));
        }
        self.inputs.push(stats.clone());
        self.jobs.push((stats, job));
        if self.started {
            self.start()?;
        }
        Ok(())
    }

    /// Opens an interface, or all of them with one ring. Packets are held in the ring from now on.
    pub fn interface(
        &mut self,
        name: Option<&str>,
        ring: usize,
        snap_length: u32,
        promiscuous: bool,
    ) -> Result<(), Error> {
        let settings = Settings { ring, snap_length, promiscuous, selection: self.selection.clone() };
        let tap = tap::Tap::open(name, settings, self.sink.clone())?;
        self.add(tap.stats(), Box::new(|stop| tap.run(stop)))
    }

    /// Waits for senders of captures; returns the port.
    pub fn listen(&mut self, host: &str, port: u16) -> Result<u16, Error> {
        let (listen, port) = tcp::Listen::open(host, port, self.selection.clone(), self.sink.clone())?;
        self.add(listen.stats(), Box::new(|stop| listen.run(stop)))?;
        Ok(port)
    }

    /// Takes captures from a sender. Its name is looked up now.
    pub fn connect(&mut self, host: &str, port: u16) -> Result<(), Error> {
        let connect = tcp::Connect::open(host, port, self.selection.clone(), self.sink.clone())?;
        self.add(connect.stats(), Box::new(|stop| connect.run(stop)))
    }

    /// Reads a capture; `-` is standard input.
    pub fn read(&mut self, path: PathBuf) -> Result<(), Error> {
        let replay = file::Replay::new(path, self.selection.clone(), self.sink.clone());
        self.add(replay.stats(), Box::new(|stop| replay.run(stop)))
    }

    /// Starts a thread for each input; those that are added later start at once.
    pub fn start(&mut self) -> Result<(), Error> {
        if self.stop.is_asked() {
            return Err(Error::Usage("the capture is stopped: make a new one".to_owned()));
        }
        self.started = true;
        for (stats, job) in self.jobs.drain(..) {
            let stop = self.stop.clone();
            let thread = std::thread::Builder::new().name("flowkeep-live".to_owned()).spawn(move || {
                let run = std::panic::AssertUnwindSafe(|| job(&stop));
                if std::panic::catch_unwind(run).is_err() {
                    stats.error("a fault in flowkeep ended this input; please report it");
                    stats.state(State::Failed);
                }
            });
            let failed = |error| Error::System { what: "a thread for an input".to_owned(), hint: "", error };
            self.threads.push(thread.map_err(failed)?);
        }
        Ok(())
    }

    /// Stops all inputs and waits for them: what the kernel has taken in for them is handed on first.
    pub fn stop(&mut self) {
        self.stop.stop();
        for thread in self.threads.drain(..) {
            // It cannot have panicked, see `start`.
            let _ = thread.join();
        }
        // Those that never started close their sockets here.
        for (stats, job) in self.jobs.drain(..) {
            drop(job);
            stats.state(State::Stopped);
        }
    }

    /// What is known of each input, in the order in which they were added.
    pub fn stats(&self) -> Vec<Stats> {
        self.inputs.iter().map(|input| input.lock().clone()).collect()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Packets for crate::cache::Shared {
    fn interface(&self, name: &str, link: u16, snap_length: u32) -> Option<InterfaceId> {
        Some(self.interface(flowkeep_core::cache::Interface { link, name: name.to_owned(), snap_length }))
    }

    fn batch(&self, packets: &mut dyn Iterator<Item = Packet<'_>>) {
        // The iterator's packets live as long as this call; `add_batch` wants to know that they live at all.
        self.change(|store| {
            for packet in packets {
                store.add(packet.interface, packet.time, packet.original, packet.data);
            }
        });
    }

    fn dropped(&self, interface: InterfaceId, packets: u64) {
        self.dropped(interface, packets);
    }
}
