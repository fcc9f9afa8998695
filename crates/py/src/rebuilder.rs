//! `Rebuilder`: streams out of captures.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flowkeep_core::pipe::{Rebuilding, FRAME_BITS};
use flowkeep_core::stream::{Anomaly, Counts, Limits, Origin, Policy};
use flowkeep_io::dataset::{
    Drain, Error, Gaps, Note, Noted, Piece, Pieces, PiecesPlan, Rebuilt, Spool, Stream, Streams,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::errors::{named, to_python};
use super::flows::FlowTable;
use super::select::Given;
use super::{reports, settings, watch};

/// Names of the overlap policies.
#[pyfunction]
pub fn overlap_policies() -> Vec<&'static str> {
    Policy::ALL.iter().map(|policy| policy.name()).collect()
}

/// Names of the anomalies, by their number in a spool.
#[pyfunction]
pub fn anomaly_names() -> Vec<&'static str> {
    Anomaly::ALL.iter().map(|name| name.name()).collect()
}

/// Rebuilds the streams of captures that are read one after another.
#[pyclass(module = "flowkeep._native")]
pub struct Rebuilder {
    /// The lock is never waited for: every call has the object to itself.
    streams: Mutex<Option<Streams>>,
    done: Mutex<std::vec::IntoIter<Rebuilt>>,
    /// What errors call the output.
    out: PathBuf,
}

#[pymethods]
impl Rebuilder {
    #[new]
    #[pyo3(signature = (
        flows, ids, out, *, shown=None, spool=false, as_seen=false, overlap="first", gaps="split", frames=false,
        versions=false, udp=false, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0,
        max_flows=16_777_216, filter=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        flows: Option<PyRef<'_, FlowTable>>,
        ids: Vec<u32>,
        out: PathBuf,
        shown: Option<PathBuf>,
        spool: bool,
        as_seen: bool,
        overlap: &str,
        gaps: &str,
        frames: bool,
        versions: bool,
        udp: bool,
        jobs: usize,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
        max_flows: u32,
        filter: Option<Vec<(u16, Given)>>,
    ) -> PyResult<Self> {
        let settings = settings(jobs, outer, key_vlan, idle_ns, tcp_idle_ns, max_flows, filter);
        let unknown = |what: &str, name: &str| {
            named(py, "UsageError", format!("{what} {name:?} is not one that is known"))
        };
        let policy = Policy::from_name(overlap).ok_or_else(|| unknown("overlap policy", overlap))?;
        let gaps = match gaps {
            "split" => Gaps::Split,
            "omit" => Gaps::Omit,
            "zero" => Gaps::Zero,
            "sparse" => Gaps::Sparse,
            other => return Err(unknown("way with gaps", other)),
        };
        let drain = if spool {
            let spool = Spool::new(&out, as_seen).map_err(|e| to_python(py, &out, Error::Output(e)))?;
            Drain::Spool(Box::new(spool))
        } else {
            Drain::Pieces(Box::new(Pieces::new(out.clone(), PiecesPlan { gaps, frames, versions })))
        };
        let plan = Rebuilding { policy, limits: Limits::default(), udp };
        let chosen = flows.as_ref().map(|flows| (&flows.0, ids));
        let streams =
            Streams::new(settings, chosen, plan, drain).map_err(|error| to_python(py, &out, error))?;
        let done = Mutex::new(Vec::new().into_iter());
        Ok(Self { streams: Mutex::new(Some(streams)), done, out: shown.unwrap_or(out) })
    }

    #[pyo3(signature = (path, number, *, ledger=None, last=true, progress=None))]
    fn file<'py>(
        &mut self,
        py: Python<'py>,
        path: PathBuf,
        number: u32,
        ledger: Option<PathBuf>,
        last: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let out = self.out.clone();
        let held = self.streams.get_mut().unwrap_or_else(PoisonError::into_inner);
        let streams = held.as_mut().ok_or_else(|| over(py, &out))?;
        let report = watch::run_to(py, &path, &out, progress.as_ref(), |control| {
            streams.file(&path, ledger.as_deref(), number, last, control)
        })?;
        reports::file(py, &path, &report)
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<(FlowTable, u64, (usize, usize))> {
        let held = self.streams.get_mut().unwrap_or_else(PoisonError::into_inner);
        let streams = held.take().ok_or_else(|| over(py, &self.out))?;
        let done = py.detach(|| streams.finish()).map_err(|error| to_python(py, &self.out, error))?;
        *self.done.get_mut().unwrap_or_else(PoisonError::into_inner) = done.rebuilt.into_iter();
        Ok((FlowTable(done.flows), done.bytes, done.peak))
    }

    fn next_flow<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let next = self.done.get_mut().unwrap_or_else(PoisonError::into_inner).next();
        next.map(|rebuilt| flow(py, &rebuilt)).transpose()
    }
}

fn over(py: Python<'_>, out: &Path) -> PyErr {
    named(py, "UsageError", format!("{}: it is finished", out.display()))
}

fn flow<'py>(py: Python<'py>, rebuilt: &Rebuilt) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("flow_id", rebuilt.id)?;
    dict.set_item("client_end", rebuilt.client)?;
    let lost = rebuilt.outcome.map(|o| o.lost).unwrap_or_default();
    dict.set_item("unreadable_packets", lost.unreadable)?;
    dict.set_item("fragments_incomplete", lost.incomplete)?;
    dict.set_item("fragments_incomplete_bytes", lost.incomplete_bytes)?;
    for (name, end) in [("client", rebuilt.client), ("server", 1 - rebuilt.client)] {
        let counts = rebuilt.outcome.map(|o| o.counts[end]);
        dict.set_item(name, stream(py, rebuilt.streams[end].as_deref(), counts)?)?;
    }
    Ok(dict)
}

fn stream<'py>(
    py: Python<'py>,
    stream: Option<&Stream>,
    counts: Option<Counts>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let pieces = PyList::empty(py);
    let notes = PyList::empty(py);
    let empty = Stream::default();
    let stream = stream.unwrap_or(&empty);
    for p in &stream.pieces {
        pieces.append(piece(py, p)?)?;
    }
    for noted in &stream.notes {
        notes.append(note(py, noted)?)?;
    }
    dict.set_item("pieces", pieces)?;
    dict.set_item("notes", notes)?;
    dict.set_item("gaps", stream.seen[0])?;
    dict.set_item("overlaps", stream.seen[1])?;
    dict.set_item("anomalies", stream.seen[2])?;
    dict.set_item("datagrams", stream.datagrams)?;
    let numbers = counts.map(|c| {
        let numbers = PyDict::new(py);
        for (name, n) in [
            ("captured", c.captured),
            ("delivered", c.delivered),
            ("duplicate", c.duplicate),
            ("conflicting", c.conflicting),
            ("unchecked", c.unchecked),
            ("refused", c.refused),
            ("padding", c.padding),
            ("missing", c.missing),
            ("bounds", c.bounds),
        ] {
            numbers.set_item(name, n)?;
        }
        Ok::<_, PyErr>(numbers)
    });
    dict.set_item("counts", numbers.transpose()?)?;
    Ok(dict)
}

fn piece<'py>(py: Python<'py>, p: &Piece) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &p.name)?;
    dict.set_item("connection", p.epoch)?;
    dict.set_item("offset", p.offset)?;
    dict.set_item("end", p.end)?;
    dict.set_item("bytes", p.bytes)?;
    dict.set_item("sha256", &p.sha256)?;
    dict.set_item("frames", p.frames)?;
    Ok(dict)
}

fn origin<'py>(py: Python<'py>, origin: &Origin) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("file", origin.frame >> FRAME_BITS)?;
    dict.set_item("frame", origin.frame & ((1 << FRAME_BITS) - 1))?;
    dict.set_item("time_ns", origin.ts)?;
    dict.set_item("ttl", origin.ttl)?;
    dict.set_item("ip_id", origin.ip_id)?;
    Ok(dict)
}

fn note<'py>(py: Python<'py>, noted: &Noted) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let kind = match &noted.note {
        Note::Gap { reason, length } => {
            dict.set_item("reason", reason)?;
            dict.set_item("length", length)?;
            "gap"
        }
        Note::Overlap { length, from, shown, name } => {
            dict.set_item("length", length)?;
            for (i, end) in ["kept", "other"].into_iter().enumerate() {
                let version = origin(py, &from[i])?;
                version.set_item("begins", PyBytes::new(py, &shown[i]))?;
                version.set_item("name", name.as_ref().map(|name| format!("{name}.{end}")))?;
                dict.set_item(end, version)?;
            }
            "overlap"
        }
        Note::Anomaly { name, length } => {
            dict.set_item("name", name)?;
            dict.set_item("length", length)?;
            "anomaly"
        }
        Note::Reset => "reset",
        Note::Fin => "fin",
    };
    dict.set_item("kind", kind)?;
    dict.set_item("offset", noted.offset)?;
    dict.set_item("connection", noted.epoch)?;
    dict.set_item("from", origin(py, &noted.origin)?)?;
    Ok(dict)
}
