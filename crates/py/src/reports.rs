//! Reports as dictionaries.

use std::path::Path;

use flowkeep_core::packet::{anomaly, NoFlow};
use flowkeep_core::record::linktype;
use flowkeep_io::codec::Compression;
use flowkeep_io::dataset::{FileReport, LedgerUse, TrimReport};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// What was found in one capture: `FileScan` of the stub.
pub fn file<'py>(py: Python<'py>, path: &Path, report: &FileReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let stats = &report.stats;
    dict.set_item("path", path.to_string_lossy())?;
    dict.set_item("format", report.format)?;
    dict.set_item("compression", report.compression.map(Compression::name))?;
    dict.set_item("size", report.size)?;
    dict.set_item("file_bytes", report.bytes)?;
    dict.set_item("packets", stats.packets)?;
    dict.set_item("bytes", stats.bytes)?;
    dict.set_item("wire_bytes", stats.wire)?;
    dict.set_item("first_ts", stats.span.map(|s| s.0))?;
    dict.set_item("last_ts", stats.span.map(|s| s.1))?;
    dict.set_item("out_of_order", stats.backwards)?;
    dict.set_item("sections", report.sections)?;
    let interfaces = PyList::empty(py);
    for interface in &report.interfaces {
        let entry = PyDict::new(py);
        entry.set_item("link_type", interface.link)?;
        entry.set_item("name", interface.name.as_deref())?;
        entry.set_item("snaplen", interface.snaplen)?;
        interfaces.append(entry)?;
    }
    dict.set_item("interfaces", interfaces)?;
    let links = PyDict::new(py);
    let unknown = PyList::empty(py);
    for &(link, packets) in &stats.links {
        let name = linktype::name(link);
        links.set_item(&*name, packets)?;
        if !flowkeep_core::packet::is_known_link(link) {
            unknown.append(&*name)?;
        }
    }
    dict.set_item("link_types", links)?;
    dict.set_item("unknown_link_types", unknown)?;
    let reasons = NoFlow::ALL.iter().zip(stats.no_flow).map(|(reason, n)| (reason.name(), n));
    dict.set_item("no_flow", counts(py, reasons)?)?;
    let anomalies = anomaly::NAMES.iter().zip(stats.anomalies).map(|((_, name), n)| (*name, n));
    dict.set_item("anomalies", counts(py, anomalies)?)?;
    dict.set_item("packets_filtered", stats.filtered)?;
    dict.set_item("bytes_filtered", stats.filtered_bytes)?;
    let refusals = PyDict::new(py);
    for refusal in &report.refusals {
        let entry = PyDict::new(py);
        entry.set_item("packets", refusal.packets)?;
        entry.set_item("reason", &refusal.why)?;
        refusals.set_item(&*linktype::name(refusal.link), entry)?;
    }
    dict.set_item("filter_refused", refusals)?;
    dict.set_item("untracked", report.untracked)?;
    dict.set_item("fragments_overflow", report.fragments_overflow)?;
    let damage = match &report.damage {
        None => None,
        Some(damage) => {
            let entry = PyDict::new(py);
            entry.set_item("offset", damage.offset)?;
            entry.set_item("kind", damage.kind.name())?;
            entry.set_item("detail", &damage.detail)?;
            Some(entry)
        }
    };
    dict.set_item("damage", damage)?;
    let (ledger, note, totals) = match &report.ledger {
        LedgerUse::None => ("none", None, None),
        LedgerUse::Used { packets, bytes } => ("used", None, Some((*packets, *bytes))),
        LedgerUse::Misfit(why) => ("misfit", Some(why.as_str()), None),
    };
    dict.set_item("ledger", ledger)?;
    dict.set_item("ledger_note", note)?;
    dict.set_item("original_packets", totals.map(|t| t.0))?;
    dict.set_item("original_bytes", totals.map(|t| t.1))?;
    dict.set_item("index", "none")?;
    dict.set_item("index_note", None::<&str>)?;
    Ok(dict)
}

/// What was done to one capture: `FileTrim` of the stub.
pub fn trim<'py>(py: Python<'py>, path: &Path, report: &TrimReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = file(py, path, &report.file)?;
    let t = &report.tally;
    let stats = &report.file.stats;
    dict.set_item("packets", stats.packets + stats.filtered)?;
    dict.set_item("bytes", stats.bytes + stats.filtered_bytes)?;
    dict.set_item("packets_kept", t.packets_kept)?;
    dict.set_item("packets_cut", t.packets_cut)?;
    dict.set_item("packets_dropped", stats.filtered)?;
    dict.set_item("packets_shortened", t.packets_shortened)?;
    dict.set_item("bytes_kept", t.bytes_kept)?;
    dict.set_item("bytes_cut", t.bytes_cut)?;
    dict.set_item("bytes_dropped", stats.filtered_bytes)?;
    dict.set_item("dropped", counts(py, [("filter", stats.filtered)].into_iter())?)?;
    dict.set_item("flows", t.flows)?;
    dict.set_item("flows_cut", t.flows_cut)?;
    dict.set_item("out_bytes", report.out_bytes)?;
    dict.set_item("digest_in", report.digest_in.as_deref())?;
    dict.set_item("digest_out", report.digest_out.as_deref())?;
    Ok(dict)
}

/// Names and how often; those that do not occur are left out.
fn counts(py: Python<'_>, all: impl Iterator<Item = (&'static str, u64)>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (name, n) in all.filter(|(_, n)| *n > 0) {
        dict.set_item(name, n)?;
    }
    Ok(dict)
}
