//! Python bindings: conversion, the GIL, errors and signals; nothing is decided here.

// Keyword arguments of Python are flags.
#![allow(clippy::fn_params_excessive_bools)]
#![allow(clippy::needless_pass_by_value)] // what PyO3 takes out of Python objects is owned

mod cache;
mod carver;
mod errors;
mod extractor;
mod flows;
mod index;
mod ledgers;
mod live;
mod models;
mod parts;
mod rebuilder;
mod remote;
mod reports;
mod scanner;
mod searcher;
mod select;
mod summary;
mod trimmer;
mod watch;

use std::path::PathBuf;

use flowkeep_core::flow::Rules;
use flowkeep_core::identify::rule::{Protocol, IP, SCTP, TCP, UDP};
use flowkeep_core::packet::{Options, Seed};
use flowkeep_io::dataset::Settings;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

#[global_allocator]
static MEMORY: flowkeep_io::memory::LargePages = flowkeep_io::memory::LargePages;

/// The native core of flowkeep; see `_native.pyi`.
#[pymodule]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    flowkeep_io::remote::set_places(Box::new(remote::Outside));
    m.add_class::<scanner::Scanner>()?;
    m.add_class::<trimmer::Trimmer>()?;
    m.add_class::<extractor::Extractor>()?;
    m.add_class::<cache::Cache>()?;
    m.add_class::<cache::CacheReader>()?;
    m.add_class::<carver::Carver>()?;
    m.add_class::<searcher::Searcher>()?;
    m.add_class::<rebuilder::Rebuilder>()?;
    m.add_class::<live::Capture>()?;
    m.add_function(wrap_pyfunction!(live::drop_privileges, m)?)?;
    m.add_class::<flows::FlowTable>()?;
    m.add_class::<parts::FlowParts>()?;
    m.add_class::<summary::Summary>()?;
    m.add_class::<flows::CodedFlows>()?;
    m.add_function(wrap_pyfunction!(rebuilder::overlap_policies, m)?)?;
    m.add_function(wrap_pyfunction!(rebuilder::anomaly_names, m)?)?;
    m.add_function(wrap_pyfunction!(select::program_problem, m)?)?;
    m.add_class::<index::Index>()?;
    m.add_function(wrap_pyfunction!(index::build_index, m)?)?;
    m.add_function(wrap_pyfunction!(index::verify_index, m)?)?;
    m.add_function(wrap_pyfunction!(probe, m)?)?;
    m.add_function(wrap_pyfunction!(ledger_first_ts, m)?)?;
    m.add_function(wrap_pyfunction!(ledgers::curve_cutoffs, m)?)?;
    m.add_function(wrap_pyfunction!(ledgers::ledger_metadata, m)?)?;
    m.add_function(wrap_pyfunction!(ledgers::parse_curve, m)?)?;
    m.add_function(wrap_pyfunction!(ledgers::ledger_curve, m)?)?;
    m.add_function(wrap_pyfunction!(ledgers::ledger_flows, m)?)?;
    m.add_function(wrap_pyfunction!(exchange, m)?)?;
    m.add_function(wrap_pyfunction!(protocols, m)?)?;
    m.add_class::<models::Models>()?;
    m.add_function(wrap_pyfunction!(models::merge_models, m)?)?;
    m.add_function(wrap_pyfunction!(version, m)?)?;
    Ok(())
}

/// The version of the core.
#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The protocols that are recognised: family, label, title, what carries them, ports, specification.
#[pyfunction]
#[allow(clippy::type_complexity)] // it is a row
fn protocols() -> Vec<(&'static str, &'static str, &'static str, Vec<&'static str>, Vec<u16>, &'static str)> {
    flowkeep_core::identify::registry()
        .map(|(family, p)| (family, p.label, p.title, carriers(p), p.ports.to_vec(), p.spec))
        .collect()
}

/// Names of what carries a protocol.
fn carriers(protocol: &Protocol) -> Vec<&'static str> {
    let names = [(TCP, "tcp"), (UDP, "udp"), (SCTP, "sctp"), (IP, "ip")];
    names.iter().filter(|(bit, _)| protocol.on & bit != 0).map(|(_, name)| *name).collect()
}

/// Reads the first packet of a capture.
#[pyfunction]
fn probe(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let probe = py
        .detach(|| flowkeep_io::probe::probe(&path))
        .map_err(|error| errors::to_python(py, &path, error))?;
    let dict = PyDict::new(py);
    dict.set_item("format", probe.format)?;
    dict.set_item("compression", probe.compression.map(flowkeep_io::codec::Compression::name))?;
    dict.set_item("size", probe.size.map_or(-1, |s| s as i64))?;
    dict.set_item("first_ts", probe.first_ts)?;
    dict.set_item("head", PyBytes::new(py, &probe.head))?;
    dict.set_item("links", probe.links)?;
    dict.set_item("nanoseconds", probe.nanoseconds)?;
    Ok(dict)
}

/// Time of the first packet that a capture of so many bytes once had, as the ledger beside it says.
///
/// (False, None) when the ledger is for another file, (True, None) when there was no packet.
#[pyfunction]
fn ledger_first_ts(py: Python<'_>, ledger: PathBuf, size: u64) -> (bool, Option<i64>) {
    let found = py.detach(|| flowkeep_io::probe::ledger_first_ts(&ledger, size));
    (found.is_some(), found.flatten())
}

/// Lets two folders change places in one step.
#[pyfunction]
fn exchange(one: PathBuf, other: PathBuf) -> PyResult<()> {
    Ok(flowkeep_io::exchange::exchange(&one, &other)?)
}

/// How captures are read, from the arguments of both classes.
fn settings(
    jobs: usize,
    outer: bool,
    key_vlan: bool,
    idle_ns: i64,
    tcp_idle_ns: i64,
    max_flows: u32,
    filter: Option<Vec<(u16, select::Given)>>,
) -> Settings {
    Settings {
        options: Options { outer, key_vlan },
        filter: filter.map(select::filter),
        rules: Rules { idle_ns, tcp_idle_ns, max_flows },
        jobs,
        seed: random_seed(),
    }
}

/// A key for a hash that nobody can guess.
fn random_seed() -> Seed {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;
    let random = RandomState::new();
    Seed(random.hash_one(1), random.hash_one(2))
}
