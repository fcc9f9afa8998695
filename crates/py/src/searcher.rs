//! `Searcher`: looks for bytes in flows.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flowkeep_core::flow::client::client;
use flowkeep_core::search::{Kind, Pattern};
use flowkeep_io::dataset::Search;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::errors::{named, to_python};
use super::flows::FlowTable;
use super::index::Index;
use super::select::Given;
use super::summary::Summary;
use super::{reports, settings, watch};

/// Goes over captures one after another and lists where a pattern stands in the payloads.
#[pyclass(module = "flowkeep._native")]
pub struct Searcher(Mutex<Option<Search>>);

#[pymethods]
impl Searcher {
    #[new]
    #[pyo3(signature = (
        pattern, *, regex=false, ignore_case=false, flows=None, ids=Vec::new(), most=10_000,
        jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0, max_flows=16_777_216,
        filter=None, carry=None, index=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        pattern: &[u8],
        regex: bool,
        ignore_case: bool,
        flows: Option<PyRef<'_, FlowTable>>,
        ids: Vec<u32>,
        most: usize,
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
        let kind = if regex { Kind::Regex } else { Kind::Bytes };
        let pattern = Pattern::new(pattern, kind, ignore_case).map_err(|why| named(py, "UsageError", why))?;
        let wanted = flows.as_ref().map(|flows| (&flows.0, &ids[..]));
        let search = match carry {
            Some(carry) => Search::behind(&carry.0, settings, pattern, wanted, most),
            None => Search::new(settings, pattern, wanted, most),
        };
        let mut search = search.map_err(|error| to_python(py, Path::new("-"), error))?;
        if let Some(index) = index {
            let wanted = index.wanted(py, flows.as_deref(), &ids)?;
            search.use_index(index.0.clone(), wanted);
        }
        Ok(Self(Mutex::new(Some(search))))
    }

    #[pyo3(signature = (path, *, ledger=None, progress=None))]
    fn file<'py>(
        &mut self,
        py: Python<'py>,
        path: PathBuf,
        ledger: Option<PathBuf>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyDict>, u64)> {
        let held = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let search = held.as_mut().ok_or_else(|| over(py))?;
        let (report, first) = watch::run(py, &path, progress.as_ref(), |control| {
            search.file(&path, ledger.as_deref(), control)
        })?;
        Ok((reports::file(py, &path, &report)?, first))
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let held = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let search = held.take().ok_or_else(|| over(py))?;
        let done = py.detach(|| search.finish()).map_err(|error| to_python(py, Path::new("-"), error))?;
        let hits = PyList::empty(py);
        for (id, hit) in &done.hits {
            let (end, _) = client(done.flows.table().flow(hit.flow));
            let from = if usize::from(hit.dir) == end { "client" } else { "server" };
            let [before, matched, behind] = &hit.excerpt;
            let excerpt = (PyBytes::new(py, before), PyBytes::new(py, matched), PyBytes::new(py, behind));
            hits.append((*id, from, hit.offset, hit.packet, hit.ts, hit.len, excerpt))?;
        }
        let dict = PyDict::new(py);
        dict.set_item("hits", hits)?;
        dict.set_item("found", done.found)?;
        let counts = done.counts;
        dict.set_item("matches", counts.hits)?;
        dict.set_item("bytes", counts.bytes)?;
        dict.set_item("unjoined", counts.unjoined)?;
        dict.set_item("unlisted", counts.unlisted)?;
        dict.set_item("aside", counts.aside)?;
        let begins: Vec<u8> = done.begins.iter().flat_map(|name| name.to_le_bytes()).collect();
        dict.set_item("begins", PyBytes::new(py, &begins))?;
        dict.set_item("flows", Py::new(py, FlowTable(done.flows))?)?;
        Ok(dict)
    }
}

fn over(py: Python<'_>) -> PyErr {
    named(py, "UsageError", "the search is finished".to_owned())
}
