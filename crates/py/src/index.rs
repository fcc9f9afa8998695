//! `Index`: where the packets of each flow lie.

use std::path::PathBuf;
use std::sync::Arc;

use flowkeep_core::flow::Rules;
use flowkeep_core::packet::Options;
use flowkeep_io::index::{self, Index as Opened};
use flowkeep_io::table::flows::Flows;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::named;
use super::flows::FlowTable;
use super::{reports, settings, watch};

/// An index that fits its capture and was made with the same settings.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct Index(pub Arc<Opened>);

#[pymethods]
impl Index {
    #[new]
    #[pyo3(signature = (
        path, capture, *, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0,
        max_flows=16_777_216
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        capture: PathBuf,
        jobs: usize,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
        max_flows: u32,
    ) -> PyResult<Self> {
        let _ = jobs; // whatever their number, the flows are the same
        let rules = Rules { idle_ns, tcp_idle_ns, max_flows };
        py.detach(|| {
            let index = Opened::open(&path, &capture)?;
            match index.head().other_settings(Options { outer, key_vlan }, rules) {
                Some(why) => Err(why),
                None => Ok(index),
            }
        })
        .map(|index| Self(Arc::new(index)))
        .map_err(|why| named(py, "IndexMisfitError", why))
    }

    fn __len__(&self) -> usize {
        self.0.len() as usize
    }

    #[getter]
    fn plain(&self) -> bool {
        self.0.head().plain
    }

    fn scan<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyDict>> {
        let dict = reports::file(py, &path, &self.0.head().report)?;
        dict.set_item("index", "used")?;
        Ok(dict)
    }

    #[pyo3(signature = (*, community_seed=0))]
    fn flows(&self, py: Python<'_>, community_seed: u16) -> PyResult<FlowTable> {
        let table = py.detach(|| self.0.table()).map_err(|why| named(py, "IndexMisfitError", why))?;
        Ok(FlowTable(py.detach(|| Flows::new(table, None, None, community_seed))))
    }

    fn with_community(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<Option<Vec<u32>>> {
        py.detach(|| self.0.with_community(&ids, 0)).map_err(|why| named(py, "IndexMisfitError", why))
    }

    fn can_pick(&self, py: Python<'_>, flows: Option<PyRef<'_, FlowTable>>, ids: Vec<u32>) -> PyResult<bool> {
        let wanted = self.wanted(py, flows.as_deref(), &ids)?;
        py.detach(|| self.0.can_pick(&wanted)).map_err(|why| named(py, "IndexMisfitError", why))
    }

    fn rehearse(
        &self,
        py: Python<'_>,
        path: PathBuf,
        flows: Option<PyRef<'_, FlowTable>>,
        ids: Vec<u32>,
    ) -> PyResult<()> {
        let wanted = self.wanted(py, flows.as_deref(), &ids)?;
        watch::run(py, &path, None, |control| self.0.rehearse(&wanted, control))
    }
}

impl Index {
    /// Numbers in the table, each with its tag: its place in `ids`.
    pub fn wanted(
        &self,
        py: Python<'_>,
        flows: Option<&FlowTable>,
        ids: &[u32],
    ) -> PyResult<Vec<(u32, u32)>> {
        let wanted = match flows {
            Some(flows) => flows.0.numbers(ids),
            None => Ok((0..).zip(ids).map(|(tag, &n)| (n, tag)).collect()),
        };
        match wanted {
            Ok(wanted) if wanted.iter().all(|w| w.0 < self.0.len()) => Ok(wanted),
            Ok(_) => Err(named(py, "UsageError", format!("there are {} flows", self.0.len()))),
            Err(text) => Err(named(py, "UsageError", text)),
        }
    }
}

/// Reads a capture and writes its index.
#[pyfunction]
#[pyo3(signature = (
    path, out, *, progress=None, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0,
    max_flows=16_777_216
))]
#[allow(clippy::too_many_arguments)]
pub fn build_index(
    py: Python<'_>,
    path: PathBuf,
    out: PathBuf,
    progress: Option<Py<PyAny>>,
    jobs: usize,
    outer: bool,
    key_vlan: bool,
    idle_ns: i64,
    tcp_idle_ns: i64,
    max_flows: u32,
) -> PyResult<(Bound<'_, PyDict>, u32, u64, bool)> {
    let settings = settings(jobs, outer, key_vlan, idle_ns, tcp_idle_ns, max_flows, None);
    let built =
        watch::run(py, &path, progress.as_ref(), |control| index::build(&settings, &path, &out, control))?;
    Ok((reports::file(py, &path, &built.report)?, built.flows, built.bytes, built.places))
}

/// Compares a whole capture with the digest in its index.
#[pyfunction]
#[pyo3(signature = (path, capture, *, out=None, progress=None))]
pub fn verify_index(
    py: Python<'_>,
    path: PathBuf,
    capture: PathBuf,
    out: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<bool> {
    watch::run(py, &capture, progress.as_ref(), |control| {
        index::verify(&path, &capture, out.as_deref(), control)
    })
}
