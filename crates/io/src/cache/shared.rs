//! One store for many threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flowkeep_core::cache::{
    BadSettings, Interface, InterfaceId, Query, ReaderStatus, Settings, Status, Step, Store, Totals,
};
use flowkeep_core::flow::Flow;

/// A store that threads share. A clone is the same store.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    store: Mutex<Store>,
    /// Writers that wait for the lock: readers let them go first.
    writers: AtomicUsize,
    /// Readers that wait for packets.
    waiting: AtomicUsize,
    news: Condvar,
    /// Flows wait for the disk.
    gone: Condvar,
}

/// What a read did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There was something, or there will be.
    More,
    /// The end was reached.
    End,
}

/// Chains of the flow table that are looked at under one lock.
pub(super) const CHAINS: usize = 1 << 12;

/// After this time a read gives what it has, if it has anything: few packets may match.
const SOON: Duration = Duration::from_millis(20);

/// How long a reader lets writers go before it.
const PATIENCE: Duration = Duration::from_millis(1);

/// Bytes that a read collects before it gives them back.
const BLOCK: usize = 1 << 15;

impl Shared {
    /// A new store.
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        Ok(Self::of(Store::new(settings)?))
    }

    /// Shares this store.
    pub fn of(store: Store) -> Self {
        Self(Arc::new(Inner {
            store: Mutex::new(store),
            writers: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            news: Condvar::new(),
            gone: Condvar::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store before all readers that wait for it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        self.0.writers.fetch_add(1, Ordering::Relaxed);
        let mut store = self.lock();
        self.0.writers.fetch_sub(1, Ordering::Relaxed);
        let done = change(&mut store);
        let gone = store.is_gone_waiting();
        drop(store);
        if gone {
            self.0.gone.notify_one();
        }
        if self.0.waiting.load(Ordering::Relaxed) > 0 {
            self.0.news.notify_all();
        }
        done
    }

    /// Waits until many flows wait for the disk, or somebody calls, but not longer than `wait`.
    pub(super) fn wait_for_gone(&self, wait: Duration) {
        let store = self.lock();
        if !store.is_gone_waiting() {
            drop(self.0.gone.wait_timeout(store, wait).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Calls whoever waits for such flows.
    pub(super) fn call_for_gone(&self) {
        drop(self.lock());
        self.0.gone.notify_all();
    }

    /// Looks at the store.
    pub fn look<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.lock())
    }

    /// Makes an interface known; the same name and link type again is the same interface.
    pub fn interface(&self, interface: Interface) -> InterfaceId {
        self.change(|store| store.interface(interface))
    }

    /// Takes packets (interface, time in ns, length on the wire, captured bytes) under one lock: keep batches to a few
    /// hundred packets, for readers wait meanwhile.
    pub fn add_batch<'a>(&self, packets: impl Iterator<Item = (InterfaceId, i64, u32, &'a [u8])>) {
        self.change(|store| {
            for (interface, time, original, data) in packets {
                store.add(interface, time, original, data);
            }
        });
    }

    /// Says that the kernel lost packets.
    pub fn dropped(&self, interface: InterfaceId, packets: u64) {
        self.change(|store| store.dropped(interface, packets));
    }

    /// What the store says of itself. Flows are counted in pieces, so it is not all of one moment.
    pub fn status(&self) -> Status {
        let (mut status, chains) = self.look(|store| (store.status(), store.chains()));
        for from in (0..chains).step_by(CHAINS) {
            self.look(|store| store.count(from..from + CHAINS, &mut status.bands));
            self.let_writers_go();
        }
        status
    }

    /// The flows of which something is held, in the order in which they began, with what is held of each. They are
    /// collected in pieces, so it is not all of one moment.
    pub fn flows(&self) -> Vec<(Flow, Totals)> {
        let chains = self.look(|store| store.chains());
        let mut flows = Vec::new();
        for from in (0..chains).step_by(CHAINS) {
            self.look(|store| store.flows_in(from..from + CHAINS, &mut flows));
            self.let_writers_go();
        }
        flows.sort_unstable_by_key(|f| f.0.first);
        flows
    }

    /// The link type of an interface.
    pub fn link(&self, interface: InterfaceId) -> Option<u16> {
        self.look(|store| store.link(interface))
    }

    /// Lets writers that wait go first, but not for ever: with many of them there always is one.
    pub(super) fn let_writers_go(&self) {
        let until = Instant::now() + PATIENCE;
        while self.0.writers.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            std::thread::yield_now();
        }
    }

    /// Begins to read what is held now.
    pub fn reader(&self, query: Query) -> Result<Reader, BadSettings> {
        let id = self.look(|store| store.reader(query))?;
        Ok(Reader { shared: self.clone(), id, status: ReaderStatus::default() })
    }
}

/// Reads a capture out of the store. It never holds the store up: it has the lock for half a millisecond at a time.
pub struct Reader {
    shared: Shared,
    id: u32,
    status: ReaderStatus,
}

/// Ends a reader that follows, from any thread.
#[derive(Clone)]
pub struct Stop(Shared, u32);

impl Stop {
    /// It comes to an end with what is held now, also if it waits.
    pub fn stop(&self) {
        self.0.look(|store| store.stop(self.1));
        self.0 .0.news.notify_all();
    }
}

impl Reader {
    /// Appends the next bytes of the capture file to `out`. Where it follows and there is nothing, it waits for
    /// packets, but not longer than `wait`; `out` may be as it was then.
    pub fn read(&mut self, out: &mut Vec<u8>, wait: Duration) -> Progress {
        let inner = &*self.shared.0;
        let (start, begun) = (out.len(), Instant::now());
        let until = begun + wait;
        let mut store = self.shared.lock();
        loop {
            let step = store.read(self.id, out);
            self.status = store.reader_status(self.id);
            match step {
                Step::End => return Progress::End,
                Step::More if out.len() - start >= BLOCK => return Progress::More,
                Step::More if out.len() > start && begun.elapsed() > SOON => return Progress::More,
                Step::More => {
                    drop(store);
                    self.shared.let_writers_go();
                    store = self.shared.lock();
                }
                Step::Wait => {
                    let left = until.saturating_duration_since(Instant::now());
                    if out.len() > start || left.is_zero() {
                        return Progress::More;
                    }
                    inner.waiting.fetch_add(1, Ordering::Relaxed);
                    store = inner.news.wait_timeout(store, left).unwrap_or_else(PoisonError::into_inner).0;
                    inner.waiting.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// What ends it, if it follows.
    pub fn stopper(&self) -> Stop {
        Stop(self.shared.clone(), self.id)
    }

    /// How it fared up to the last read.
    pub fn status(&self) -> ReaderStatus {
        self.status
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.look(|store| store.close(self.id));
    }
}
