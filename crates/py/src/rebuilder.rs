//! `Rebuilder`: streams out of captures.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flowkeep_core::pipe::Rebuilding;
use flowkeep_core::stream::{Anomaly, Limits, Policy};
use flowkeep_io::dataset::{Drain, Error, Gaps, Pieces, PiecesPlan, Rebuilds, Spool, Streams};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::errors::{named, to_python};
use super::flows::FlowTable;
use super::index::Index;
use super::select::Given;
use super::summary::Summary;
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
    done: Mutex<Option<Rebuilds>>,
    /// What errors call the output.
    out: PathBuf,
}

#[pymethods]
impl Rebuilder {
    #[new]
    #[pyo3(signature = (
        flows, ids, out, *, shown=None, spool=false, as_seen=false, overlap="first", gaps="split", frames=false,
        versions=false, udp=false, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0,
        max_flows=16_777_216, filter=None, carry=None, index=None
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
        carry: Option<PyRef<'_, Summary>>,
        index: Option<PyRef<'_, Index>>,
    ) -> PyResult<Self> {
        let settings = settings(jobs, outer, key_vlan, idle_ns, tcp_idle_ns, max_flows, filter);
        let settings = Summary::settle(py, carry.as_ref(), settings)?;
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
            Drain::Pieces(Box::new(Pieces::new(
                out.clone(),
                PiecesPlan { gaps, frames, versions },
                settings.threads(),
            )))
        };
        let plan = Rebuilding { policy, limits: Limits::default(), udp };
        let chosen = flows.as_ref().map(|flows| (&flows.0, ids));
        let failed = |error| to_python(py, &out, error);
        let mut streams = Streams::new(settings, chosen, plan, drain).map_err(failed)?;
        if let Some(carry) = carry {
            streams.go_on_behind(&carry.0);
        }
        if let Some(index) = index {
            streams.use_index(index.0.clone()).map_err(failed)?;
        }
        Ok(Self { streams: Mutex::new(Some(streams)), done: Mutex::new(None), out: shown.unwrap_or(out) })
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

    #[pyo3(signature = (*, min_bytes=0))]
    fn finish(&mut self, py: Python<'_>, min_bytes: u64) -> PyResult<(FlowTable, u64, (usize, usize))> {
        let held = self.streams.get_mut().unwrap_or_else(PoisonError::into_inner);
        let streams = held.take().ok_or_else(|| over(py, &self.out))?;
        let done =
            py.detach(|| streams.finish(min_bytes)).map_err(|error| to_python(py, &self.out, error))?;
        let told = (FlowTable(done.flows.clone()), done.bytes, done.peak);
        *self.done.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(done);
        Ok(told)
    }

    fn next_rows<'py>(&mut self, py: Python<'py>, n: usize) -> Bound<'py, PyBytes> {
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        let rows = py.detach(|| done.as_mut().map(|done| done.rows(n)));
        PyBytes::new(py, rows.unwrap_or_default().as_bytes())
    }

    fn totals<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        let t = done.as_ref().map(|done| done.totals).unwrap_or_default();
        let dict = PyDict::new(py);
        for (name, n) in [
            ("flows", t.flows),
            ("files", t.files),
            ("bytes", t.bytes),
            ("gaps", t.seen[0]),
            ("overlaps", t.seen[1]),
            ("anomalies", t.seen[2]),
            ("missing", t.missing),
            ("bounds", t.bounds),
        ] {
            dict.set_item(name, n)?;
        }
        Ok(dict)
    }

    /// The direction that is the client in the next flow.
    fn next_client(&mut self) -> Option<usize> {
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        done.as_mut()?.rebuilt.next().map(|rebuilt| rebuilt.client)
    }
}

fn over(py: Python<'_>, out: &Path) -> PyErr {
    named(py, "UsageError", format!("{}: it is finished", out.display()))
}
