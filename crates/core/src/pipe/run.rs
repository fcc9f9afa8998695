//! The workers.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::chunk::Chunk;
use super::line::{Line, Pool};
use super::load::{read_at_full, Input, Positions, Walk};
use super::stats::Stats;
use super::turn::Turn;
use super::{Control, Stop};
use crate::error::{Damage, NotACapture};
use crate::packet::{Options, Seed};
use crate::record::Walker;
use crate::select::Filter;

/// What is done with the packets of each chunk, in order: flows and cuts.
pub trait Decide: Send {
    /// Takes the next chunk; sets `first`, and `fates` and `late` where it cuts.
    fn decide(&mut self, chunk: &mut Chunk);
}

/// What is done with each chunk once it is decided about, in order: output.
pub trait Emit: Send {
    /// Takes the next chunk. May keep its memory and leave an empty one.
    fn emit(&mut self, chunk: &mut Chunk) -> io::Result<()>;
}

/// How a capture is read.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// How headers are read.
    pub options: Options,
    /// Which packets are looked at; `None`: all.
    pub filter: Option<&'a Filter>,
    /// The key of the hash; the one of the flow table.
    pub seed: Seed,
    /// Worker threads, at least 1.
    pub jobs: usize,
    /// Bytes in a chunk: small enough to stay in a core's cache on its way through the stages.
    pub chunk: usize,
}

impl Plan<'_> {
    /// The size of a chunk that measured best: with all that is known of its packets, however small
    /// they are, it fits into a cache of 1 MiB, and what a turn costs does not count yet.
    pub const CHUNK: usize = 1 << 18;
}

/// The stages that are run in order.
pub struct Passes<'a> {
    /// Flow table and cut.
    pub decide: &'a mut dyn Decide,
    /// Output, if there is any.
    pub emit: Option<&'a mut dyn Emit>,
}

/// What is known of a capture once it has been read.
#[derive(Debug)]
pub struct End {
    /// The walker at the end: format, interfaces, sections.
    pub walker: Walker,
    /// Counts over all packets.
    pub stats: Stats,
    /// Bytes of the (decompressed) capture that were used.
    pub bytes: u64,
    /// Where and why reading stopped before the end.
    pub damage: Option<Damage>,
}

/// Runs a capture through the stages.
pub fn run(input: Input<'_>, plan: &Plan<'_>, passes: Passes<'_>, control: &Control) -> Result<End, Stop> {
    let (walk, positions) = Walk::open(input, plan.chunk)?;
    let small = positions.file.is_some_and(|(_, size)| size <= plan.chunk as u64);
    let jobs = if small { 1 } else { plan.jobs.max(1) };
    let shop = Shop {
        plan,
        control,
        positions,
        emits: passes.emit.is_some(),
        next: AtomicU64::new(0),
        pool: Pool::new(2 * jobs + 1),
        walk: Turn::new(walk),
        decide: Line::new((passes.decide, Stats::default())),
        emit: Line::new(passes.emit),
        stop: Mutex::new(None),
    };
    if jobs == 1 {
        shop.work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| shop.work());
            }
        });
    }
    if let Some(stop) = shop.stop.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(stop);
    }
    let mut walk = shop.walk.into_inner();
    if walk.walker.sections() == 0 {
        // Nothing was whole, not even the first section header: what is left would be no capture.
        let broken = |damage| Err(Stop::NotACapture(NotACapture::Broken(damage)));
        return walk.damage.take().map_or(Err(Stop::NotACapture(NotACapture::Empty)), broken);
    }
    let (_, stats) = shop.decide.into_inner();
    Ok(End { bytes: walk.next, damage: walk.damage, walker: walk.walker, stats })
}

/// What the workers share.
struct Shop<'a, 'p, 'd> {
    plan: &'a Plan<'a>,
    control: &'a Control,
    positions: Positions<'p>,
    emits: bool,
    next: AtomicU64,
    pool: Pool,
    walk: Turn<Walk<'p>>,
    decide: Line<(&'d mut dyn Decide, Stats)>,
    emit: Line<Option<&'d mut dyn Emit>>,
    stop: Mutex<Option<Stop>>,
}

impl Shop<'_, '_, '_> {
    fn work(&self) {
        // Also when a stage panics, nobody may wait for a chunk that never comes.
        let _closing = Closing(self);
        while let Some(chunk) = self.pool.get() {
            match self.carry(chunk) {
                Ok(true) => {}
                Ok(false) => break,
                Err(stop) => {
                    self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stop);
                    self.close();
                    break;
                }
            }
        }
    }

    /// Carries a chunk as far as the stages are free; false at the end of the capture.
    fn carry(&self, mut chunk: Chunk) -> Result<bool, Stop> {
        if self.control.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        chunk.number = self.next.fetch_add(1, Ordering::Relaxed);
        self.read(&mut chunk)?;
        {
            let Some(mut walk) = self.walk.wait(chunk.number) else {
                return Ok(false);
            };
            if walk.ended {
                drop(walk);
                self.pool.put(chunk);
                return Ok(false);
            }
            walk.walk(&mut chunk, self.positions)?;
            self.control.add_done((chunk.to - chunk.from) as u64);
        }
        chunk.decode(self.plan.options, self.plan.seed, self.plan.filter);
        self.decide.hand_in(chunk);
        self.decide.work_off(|(decide, stats), mut chunk| {
            stats.merge(&chunk.stats);
            decide.decide(&mut chunk);
            if self.emits {
                self.emit.hand_in(chunk);
            } else {
                self.pool.put(chunk);
            }
            Ok::<_, Stop>(())
        })?;
        self.emit.work_off(|emit, mut chunk| {
            if let Some(emit) = emit {
                emit.emit(&mut chunk).map_err(Stop::Write)?;
            }
            self.pool.put(chunk);
            Ok(())
        })?;
        Ok(true)
    }

    /// Plain files: the chunk's bytes, without waiting for anybody.
    fn read(&self, chunk: &mut Chunk) -> Result<(), Stop> {
        let Some((file, size)) = self.positions.file else {
            return Ok(());
        };
        let room = self.positions.chunk as u64;
        chunk.base = chunk.number.saturating_mul(room);
        let len = size.saturating_sub(chunk.base).min(room) as usize;
        chunk.bytes.resize(len, 0);
        let got = read_at_full(file, &mut chunk.bytes, chunk.base)
            .map_err(|error| Stop::Read { offset: chunk.base, error })?;
        chunk.bytes.truncate(got);
        Ok(())
    }

    fn close(&self) {
        self.walk.end();
        self.pool.close();
    }
}

struct Closing<'s, 'a, 'p, 'd>(&'s Shop<'a, 'p, 'd>);

impl Drop for Closing<'_, '_, '_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}
