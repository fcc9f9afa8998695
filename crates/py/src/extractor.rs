//! `Extractor`: takes flows out of captures.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flowkeep_core::pipe::Form;
use flowkeep_io::codec::Compression;
use flowkeep_io::dataset::{Extract, Split};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::{named, to_python};
use super::flows::FlowTable;
use super::index::Index;
use super::select::Given;
use super::summary::Summary;
use super::{reports, settings, watch};

/// Goes over the captures from which flows were listed, and writes the packets of some of them.
#[pyclass(module = "flowkeep._native")]
pub struct Extractor {
    /// The lock is never waited for: every call has the object to itself.
    extract: Mutex<Option<Extract>>,
    out: PathBuf,
}

#[pymethods]
impl Extractor {
    #[new]
    #[pyo3(signature = (
        flows, ids, out, *, compression="none", names=None, routes=None, pcap=None, jobs=0, outer=false,
        key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0, max_flows=16_777_216, filter=None, index=None,
        carry=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        flows: Option<PyRef<'_, FlowTable>>,
        ids: Vec<u32>,
        out: PathBuf,
        compression: &str,
        names: Option<Vec<String>>,
        routes: Option<Vec<[u32; 2]>>,
        pcap: Option<bool>,
        jobs: usize,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
        max_flows: u32,
        filter: Option<Vec<(u16, Given)>>,
        index: Option<PyRef<'_, Index>>,
        carry: Option<PyRef<'_, Summary>>,
    ) -> PyResult<Self> {
        let settings = settings(jobs, outer, key_vlan, idle_ns, tcp_idle_ns, max_flows, filter);
        let settings = Summary::settle(py, carry.as_ref(), settings)?;
        let compression = match compression {
            "none" => None,
            name => Some(Compression::by_name(name).ok_or_else(|| {
                named(py, "UsageError", format!("compression {name:?} is not one that is known"))
            })?),
        };
        let picked = match &index {
            Some(index) => Some((index.0.clone(), index.wanted(py, flows.as_deref(), &ids)?)),
            None => None,
        };
        let chosen = flows.as_ref().map(|flows| (&flows.0, &ids[..]));
        let extract = match (chosen, names, routes) {
            (Some(chosen), Some(names), Some(routes)) => Split::new(out.clone(), names, routes, pcap)
                .map_err(flowkeep_io::dataset::Error::Usage)
                .and_then(|split| Extract::split(settings, chosen, split)),
            (chosen, ..) => Extract::new(settings, chosen, &out, compression),
        };
        let mut extract = extract.map_err(|error| to_python(py, &out, error))?;
        if let Some(carry) = carry {
            extract.go_on_behind(&carry.0);
        }
        if let Some((index, wanted)) = picked {
            extract.use_index(index, wanted);
        }
        Ok(Self { extract: Mutex::new(Some(extract)), out })
    }

    #[pyo3(signature = (path, *, form="copy", ledger=None, last=true, progress=None))]
    fn file<'py>(
        &mut self,
        py: Python<'py>,
        path: PathBuf,
        form: &str,
        ledger: Option<PathBuf>,
        last: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let form = match form {
            "copy" => Form::Copy,
            "append" => Form::Append,
            "pcap" => Form::Pcap { nanoseconds: false },
            "pcap-ns" => Form::Pcap { nanoseconds: true },
            "section" => Form::Section,
            other => return Err(named(py, "UsageError", format!("form {other:?} is not one that is known"))),
        };
        let out = self.out.clone();
        let held = self.extract.get_mut().unwrap_or_else(PoisonError::into_inner);
        let extract = held.as_mut().ok_or_else(|| over(py, &out))?;
        let report = watch::run(py, &path, progress.as_ref(), |control| {
            extract.file(&path, ledger.as_deref(), form, last, control)
        })?;
        reports::file(py, &path, &report)
    }

    #[pyo3(signature = (*, empty_link=None, nanoseconds=false))]
    fn finish(
        &mut self,
        py: Python<'_>,
        empty_link: Option<u16>,
        nanoseconds: bool,
    ) -> PyResult<(u64, u64, u64)> {
        let held = self.extract.get_mut().unwrap_or_else(PoisonError::into_inner);
        let extract = held.take().ok_or_else(|| over(py, &self.out))?;
        let done = py.detach(|| extract.finish(empty_link.map(|link| (link, nanoseconds))));
        let (count, out_bytes) = done.map_err(|error| to_python(py, &self.out, error))?;
        Ok((count.packets, count.bytes, out_bytes))
    }
}

fn over(py: Python<'_>, out: &Path) -> PyErr {
    named(py, "UsageError", format!("{}: it is finished", out.display()))
}
