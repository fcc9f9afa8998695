//! Packets of interfaces: one ring each, or one for all.
//!
//! A socket that is bound to no interface gets the packets of all, also of those that come later; one that was
//! bound to an interface may be bound to another one. Neither needs a privilege, so all of them
//! can be given up once the sockets are open.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowkeep_core::select::Verdict;

use super::frame::{frames, Frame};
use super::hardware::link_of;
use super::input::{Count, InterfaceId, Packet, Packets, Shared, State, Stats, Stop, BATCH, MAX_INTERFACES};
use super::netlink::{self, Event, Link, Links};
use super::ring::Ring;
use super::{Error, Settings};

/// How often the kernel is asked what it lost.
const PERIOD: Duration = Duration::from_millis(100);
/// How long the last packets may take to come out of the ring when it is stopped.
const LAST: Duration = Duration::from_millis(500);
/// Numbers of interfaces that are remembered; a machine that makes many uses each only once.
const MAX_KNOWN: usize = 2 * MAX_INTERFACES;
/// Name under which losses stand that may be of any interface.
const ANY: &str = "all interfaces";

/// An open capture of one interface, or of all.
pub struct Tap {
    ring: Ring,
    links: Links,
    /// `None`: all.
    wanted: Option<String>,
    /// The interface the socket is bound to, if one is wanted and there.
    bound: Option<i32>,
    known: HashMap<i32, Link>,
    ids: HashMap<(i32, u16), (Option<InterfaceId>, String)>,
    decided: Vec<u16>,
    settings: Settings,
    stats: Shared,
    sink: Arc<dyn Packets>,
    /// Packets that the kernel let in, less those it dropped.
    taken_in: u64,
    /// Packets that came out of the ring.
    taken_out: u64,
}

impl Tap {
    /// Opens a ring for an interface, or for all, and takes packets in from now on.
    ///
    /// # Errors
    /// [`Error`] when there is no such interface, or the system refuses the socket or its ring.
    pub fn open(wanted: Option<&str>, settings: Settings, sink: Arc<dyn Packets>) -> Result<Self, Error> {
        let shown = wanted.unwrap_or("all");
        let attached = settings.selection.attach(settings.snap_length);
        let ring = Ring::open(settings.ring, settings.snap_length, &attached.code)
            .map_err(|error| refused(shown, settings.ring, error))?;
        let failed = |error| Error::System { what: format!("interface {shown}"), hint: "", error };
        let links = Links::open().map_err(failed)?;
        let mut stats = Stats::new(shown.to_owned(), "interface");
        stats.ring = ring.size() as u64;
        let mut tap = Self {
            ring,
            links,
            wanted: wanted.map(str::to_owned),
            bound: None,
            known: HashMap::new(),
            ids: HashMap::new(),
            decided: attached.links,
            settings,
            stats: Shared::new(stats),
            sink,
            taken_in: 0,
            taken_out: 0,
        };
        if wanted.is_none() {
            tap.ring.bind(0).map_err(failed)?;
        }
        tap.follow().map_err(failed)?;
        if wanted.is_some() && tap.bound.is_none() {
            return Err(missing(shown));
        }
        Ok(tap)
    }

    /// What is known of it.
    pub fn stats(&self) -> Shared {
        self.stats.clone()
    }

    /// Takes packets until it is stopped.
    pub fn run(mut self, stop: &Stop) {
        self.say_state();
        let ended = self.take_until(stop);
        let ended = ended.and(self.close());
        match ended {
            Ok(()) => self.stats.state(State::Stopped),
            Err(error) => {
                self.stats.error(error.to_string());
                self.stats.state(State::Failed);
            }
        }
    }

    fn take_until(&mut self, stop: &Stop) -> io::Result<()> {
        let mut asked = Instant::now();
        while !stop.is_asked() {
            let some = self.block();
            if asked.elapsed() >= PERIOD {
                self.count()?;
                self.follow()?;
                asked = Instant::now();
            }
            if !some {
                stop.wait(&[self.ring.as_fd(), self.links.as_fd()], false, PERIOD)?;
                self.follow()?;
                // An interface that goes down leaves an error, which would end every wait.
                self.ring.take_error()?;
            }
        }
        Ok(())
    }

    /// Lets nothing more in, and takes out what is in.
    fn close(&mut self) -> io::Result<()> {
        self.ring.close_door()?;
        let began = Instant::now();
        loop {
            while self.block() {}
            self.count()?;
            if self.taken_out >= self.taken_in || began.elapsed() > LAST {
                return Ok(());
            }
            // The kernel hands over a block that is not full when its time is over.
            rustix::event::poll(
                &mut [rustix::event::PollFd::new(&self.ring, rustix::event::PollFlags::IN)],
                Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 }),
            )?;
        }
    }

    /// Asks what the kernel lost.
    fn count(&mut self) -> io::Result<()> {
        let counted = self.ring.counted()?;
        self.taken_in += counted.packets.saturating_sub(counted.dropped);
        if counted.dropped == 0 {
            return Ok(());
        }
        self.stats.lock().dropped += counted.dropped;
        let (name, hatype) = match &self.wanted {
            Some(name) => (name.clone(), self.bound.and_then(|i| self.known.get(&i)).map_or(1, |l| l.hatype)),
            None => (ANY.to_owned(), 1),
        };
        if let Some(id) = self.sink.interface(&name, link_of(hatype), self.settings.snap_length) {
            self.sink.dropped(id, counted.dropped);
        }
        Ok(())
    }

    /// Hands on the next block of the ring; false if there is none.
    fn block(&mut self) -> bool {
        let Some(bytes) = self.ring.block() else {
            return false;
        };
        let mut found = Vec::new();
        self.taken_out += frames(bytes, self.settings.snap_length, &mut found);
        let selection = &self.settings.selection;
        let (mut filtered, mut refused) = (0, 0);
        if !selection.takes_all() {
            found.retain(|frame| {
                if !frame.changed && self.decided.contains(&frame.link) {
                    return true;
                }
                let data = &bytes[frame.from as usize..frame.to as usize];
                match selection.verdict_live(frame.link, data, frame.original) {
                    Verdict::Match => return true,
                    Verdict::NoMatch => filtered += 1,
                    Verdict::Refused => refused += 1,
                }
                false
            });
        }
        let mut names = Names {
            known: &mut self.known,
            ids: &mut self.ids,
            sink: &*self.sink,
            snap_length: self.settings.snap_length,
        };
        let ids = names.of(&found);
        for (frames, ids) in found.chunks(BATCH).zip(ids.chunks(BATCH)) {
            self.sink.batch(&mut frames.iter().zip(ids).filter_map(|(frame, id)| {
                Some(Packet {
                    interface: (*id)?,
                    time: frame.time,
                    original: frame.original,
                    data: &bytes[frame.from as usize..frame.to as usize],
                })
            }));
        }
        let mut counts: BTreeMap<(i32, u16), Count> = BTreeMap::new();
        for (frame, id) in found.iter().zip(&ids) {
            if id.is_none() {
                refused += 1;
                continue;
            }
            let count = counts.entry((frame.ifindex, frame.link)).or_default();
            count.packets += 1;
            count.bytes += u64::from(frame.to - frame.from);
        }
        let mut stats = self.stats.lock();
        for (key, count) in counts {
            stats.count(self.ids.get(&key).map_or("", |(_, name)| name), count);
        }
        stats.filtered += filtered;
        stats.refused += refused;
        drop(stats);
        self.ring.release();
        true
    }

    /// Looks at which interfaces have come, changed and gone.
    fn follow(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        self.links.events(&mut events)?;
        let any = !events.is_empty();
        for event in events {
            match event {
                Event::There(link) => self.there(link)?,
                Event::Gone(ifindex) => {
                    if self.bound == Some(ifindex) {
                        self.bound = None;
                    }
                }
                Event::Missed => self.links.ask()?,
            }
        }
        if any && self.stats.lock().state != State::Ready {
            self.say_state();
        }
        Ok(())
    }

    fn there(&mut self, link: Link) -> io::Result<()> {
        let new = self
            .known
            .get(&link.ifindex)
            .is_none_or(|old| old.name != link.name || old.hatype != link.hatype);
        if new {
            // Its packets have a new name from here on.
            self.ids.retain(|(ifindex, _), _| *ifindex != link.ifindex);
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
            self.ids.clear();
        }
        let mut join = self.settings.promiscuous && new && self.wanted.is_none();
        if self.bound.is_none() && self.wanted.as_ref() == Some(&link.name) {
            match self.ring.bind(link.ifindex) {
                Ok(()) => {
                    self.bound = Some(link.ifindex);
                    join = self.settings.promiscuous;
                }
                // Gone again already: the message about that is on its way.
                Err(error) if gone(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if join {
            match self.ring.promiscuous(link.ifindex) {
                Err(error) if !gone(&error) => {
                    self.stats.error(format!("interface {}: not promiscuous: {error}", link.name));
                }
                _ => {}
            }
        }
        self.known.insert(link.ifindex, link);
        Ok(())
    }

    fn say_state(&self) {
        let mut stats = self.stats.lock();
        if self.wanted.is_none() {
            stats.state = State::Running;
            return;
        }
        let link = self.bound.and_then(|ifindex| self.known.get(&ifindex));
        stats.state = if link.is_some_and(|l| l.up) { State::Running } else { State::Waiting };
        stats.error = match link {
            Some(link) if link.up => None,
            Some(_) => Some("the interface is down".into()),
            None => Some("the interface is gone; it is taken again when it comes back".into()),
        };
    }
}

/// Finds the interfaces of frames in the store.
struct Names<'t> {
    known: &'t mut HashMap<i32, Link>,
    ids: &'t mut HashMap<(i32, u16), (Option<InterfaceId>, String)>,
    sink: &'t dyn Packets,
    snap_length: u32,
}

impl Names<'_> {
    fn of(&mut self, frames: &[Frame]) -> Vec<Option<InterfaceId>> {
        let mut last: Option<((i32, u16), Option<InterfaceId>)> = None;
        frames
            .iter()
            .map(|frame| {
                let key = (frame.ifindex, frame.link);
                if let Some((_, id)) = last.filter(|(known, _)| *known == key) {
                    return id;
                }
                let id = match self.ids.get(&key) {
                    Some((id, _)) => *id,
                    None => self.find(key),
                };
                last = Some((key, id));
                id
            })
            .collect()
    }

    /// Packets may be faster than the message that their interface is there.
    fn find(&mut self, key: (i32, u16)) -> Option<InterfaceId> {
        if !self.known.contains_key(&key.0) {
            for link in netlink::all().unwrap_or_default() {
                self.known.entry(link.ifindex).or_insert(link);
            }
        }
        let name = match self.known.get(&key.0) {
            Some(link) => link.name.clone(),
            None => format!("interface {}", key.0),
        };
        let id = self.sink.interface(&name, key.1, self.snap_length);
        self.ids.insert(key, (id, name));
        id
    }
}

fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
}

fn refused(shown: &str, ring: usize, error: io::Error) -> Error {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "capturing needs the capability CAP_NET_RAW: run as root, or as a service with \
             AmbientCapabilities=CAP_NET_RAW"
        }
        Some(libc::ENOMEM | libc::ENOBUFS) => "the memory for the ring is not there: make it smaller",
        Some(libc::EINVAL) => "a ring of this size, or packets of this length, cannot be had",
        _ => "",
    };
    Error::System { what: format!("interface {shown} (ring of {ring} bytes)"), hint, error }
}

fn missing(shown: &str) -> Error {
    let mut names: Vec<String> = netlink::all().unwrap_or_default().into_iter().map(|l| l.name).collect();
    names.sort();
    Error::Usage(format!("there is no interface {shown}; there are: {}", names.join(", ")))
}
