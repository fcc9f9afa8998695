//! What is fuzzed: each target is a function that panics when something is wrong.

mod bpf;
mod cache;
mod carve;
mod codec;
mod defrag;
mod identify;
mod index;
mod model;
mod packet;
mod pipe;
mod record;
mod stream;
mod summary;

use crate::mutate::hash;
use crate::seeds;

/// One target.
pub struct Target {
    /// Name in options and in the names of kept inputs.
    pub name: &'static str,
    /// Runs one input and notes what was seen: an input that shows something new is changed further.
    pub run: fn(&[u8], &mut Vec<u64>),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 14] = [
    Target { name: "record", run: record::record, seeds: seeds::captures },
    Target { name: "packet", run: packet::packet, seeds: seeds::frames },
    Target { name: "shorten", run: record::shortened, seeds: seeds::captures },
    Target { name: "carve", run: carve::carve, seeds: seeds::captures },
    Target { name: "pipe", run: pipe::pipe, seeds: seeds::captures },
    Target { name: "index", run: index::index, seeds: index::seeds },
    Target { name: "codec", run: codec::codec, seeds: seeds::compressed },
    Target { name: "bpf", run: bpf::bpf, seeds: bpf::seeds },
    Target { name: "identify", run: identify::identify, seeds: identify::seeds },
    Target { name: "model", run: model::model, seeds: model::seeds },
    Target { name: "stream", run: stream::stream, seeds: stream::seeds },
    Target { name: "cache", run: cache::cache, seeds: cache::seeds },
    Target { name: "summary", run: summary::summary, seeds: summary::seeds },
    Target { name: "defrag", run: defrag::defrag, seeds: defrag::seeds },
];

/// A number for something that was seen.
fn note(what: &impl std::fmt::Debug) -> u64 {
    hash(format!("{what:?}").as_bytes())
}
