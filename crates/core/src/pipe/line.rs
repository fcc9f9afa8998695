//! Stages that take chunks in the order of their numbers, on whichever worker is there.
//!
//! A worker hands its chunk in, and works off what is ready unless somebody is at it already. So a
//! stage stays on one core as long as there is work for it, and what it uses again and again,
//! the flow table, stays in that core's cache.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::chunk::Chunk;

/// One such stage.
pub struct Line<T> {
    queue: Mutex<Queue>,
    stage: Mutex<T>,
}

struct Queue {
    next: u64,
    ready: BTreeMap<u64, Chunk>,
    busy: bool,
}

impl<T> Line<T> {
    pub fn new(stage: T) -> Self {
        let queue = Queue { next: 0, ready: BTreeMap::new(), busy: false };
        Self { queue: Mutex::new(queue), stage: Mutex::new(stage) }
    }

    /// Gives a chunk to the stage.
    pub fn hand_in(&self, chunk: Chunk) {
        lock(&self.queue).ready.insert(chunk.number, chunk);
    }

    /// Works off the chunks whose turn it is, if nobody else does.
    pub fn work_off<E>(&self, mut work: impl FnMut(&mut T, Chunk) -> Result<(), E>) -> Result<(), E> {
        let mut queue = lock(&self.queue);
        if queue.busy {
            return Ok(());
        }
        while let Some(chunk) = take_next(&mut queue) {
            drop(queue);
            // After an error or a panic the stage stays busy: nothing may follow.
            work(&mut lock(&self.stage), chunk)?;
            queue = lock(&self.queue);
            queue.next += 1;
            queue.busy = false;
        }
        Ok(())
    }

    pub fn into_inner(self) -> T {
        self.stage.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_next(queue: &mut Queue) -> Option<Chunk> {
    let chunk = queue.ready.remove(&queue.next)?;
    queue.busy = true;
    Some(chunk)
}

/// The chunks of a run: as many as there may be at a time.
pub struct Pool {
    state: Mutex<Chunks>,
    freed: Condvar,
}

struct Chunks {
    spare: Vec<Chunk>,
    /// Chunks that may still be made.
    left: usize,
    closed: bool,
}

impl Pool {
    pub fn new(limit: usize) -> Self {
        let chunks = Chunks { spare: Vec::new(), left: limit, closed: false };
        Self { state: Mutex::new(chunks), freed: Condvar::new() }
    }

    /// An empty chunk, as soon as there is one; `None` when the run is over.
    pub fn get(&self) -> Option<Chunk> {
        let mut chunks = lock(&self.state);
        loop {
            if chunks.closed {
                return None;
            }
            if let Some(chunk) = chunks.spare.pop() {
                return Some(chunk);
            }
            if chunks.left > 0 {
                chunks.left -= 1;
                return Some(Chunk::default());
            }
            chunks = self.freed.wait(chunks).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes back a chunk; its memory is used again.
    pub fn put(&self, mut chunk: Chunk) {
        chunk.clear();
        lock(&self.state).spare.push(chunk);
        self.freed.notify_one();
    }

    /// The run is over: nobody gets a chunk any more.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.freed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
