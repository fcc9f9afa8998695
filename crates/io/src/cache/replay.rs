//! A capture file into the store, as fast as it goes. The packets' times are the clock.

use std::path::Path;

use flowkeep_core::cache::{Interface, InterfaceId};
use flowkeep_core::error::Damage;
use flowkeep_core::pipe::{self, Chunk, Control, Decide, Passes, Plan};

use super::Shared;
use crate::dataset::Error;
use crate::source::Source;

/// What was found in a capture.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// Packets.
    pub packets: u64,
    /// Captured bytes.
    pub bytes: u64,
    /// Where and why reading stopped before the end.
    pub damage: Option<Damage>,
}

/// Packets under one lock.
const BATCH: usize = 512;

/// Reads a capture (`-`: standard input) into the store, on so many threads.
pub fn replay(shared: &Shared, path: &Path, jobs: usize, control: &Control) -> Result<Replayed, Error> {
    let mut source = Source::open(path, control).map_err(Error::Open)?;
    let (options, seed) = shared.look(|store| (store.settings().options, store.settings().seed));
    let mut feed = Feed { shared, ids: Vec::new(), done: Replayed::default() };
    // Headers are read here, with what the store would read them with.
    let plan = Plan { options, filter: None, seed, jobs, chunk: Plan::CHUNK };
    let end = pipe::run(source.input(), &plan, Passes { decide: &mut feed, emit: None }, control)?;
    Ok(Replayed { damage: end.damage, ..feed.done })
}

struct Feed<'s> {
    shared: &'s Shared,
    ids: Vec<InterfaceId>,
    done: Replayed,
}

impl Decide for Feed<'_> {
    fn decide(&mut self, chunk: &mut Chunk) {
        for (n, interface) in chunk.interfaces.iter().enumerate().skip(self.ids.len()) {
            let name = interface.name.clone().unwrap_or_else(|| format!("capture-{n}"));
            let snap_length = interface.snaplen;
            self.ids.push(self.shared.interface(Interface { link: interface.link, name, snap_length }));
        }
        let mut frags = chunk.frags.iter().peekable();
        for from in (0..chunk.records.len()).step_by(BATCH) {
            self.shared.change(|store| {
                for (n, r) in chunk.records.iter().enumerate().skip(from).take(BATCH) {
                    let data = &chunk.bytes[r.data as usize..(r.data + r.caplen) as usize];
                    let frag = frags.next_if(|f| f.0 as usize == n).map(|f| &f.1);
                    let interface = self.ids[usize::from(r.iface)];
                    let (facts, hash) = (&chunk.facts[n], chunk.hashes[n]);
                    store.add_read(interface, r.ts, r.wirelen, data, facts, hash, frag);
                }
            });
        }
        self.done.packets += chunk.records.len() as u64;
        self.done.bytes += chunk.records.iter().map(|r| u64::from(r.caplen)).sum::<u64>();
    }
}
