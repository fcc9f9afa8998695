//! `Scanner`: lists flows.

use std::path::PathBuf;

use flowkeep_io::dataset::Scan;
use flowkeep_io::table::parts::Parts;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::flows::FlowTable;
use super::models::Models;
use super::parts::FlowParts;
use super::select::Given;
use super::{reports, settings, watch};

/// Reads captures one after another and keeps one flow table over all of them.
#[pyclass(module = "flowkeep._native")]
pub struct Scanner {
    scan: Scan,
    parts: Option<Parts>,
}

#[pymethods]
impl Scanner {
    #[new]
    #[pyo3(signature = (
        *, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0,
        max_flows=16_777_216, filter=None, flows=true, what_if=Vec::new(), details=false,
        identify=false, models=None, sampled=false, parts=false
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        jobs: usize,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
        max_flows: u32,
        filter: Option<Vec<(u16, Given)>>,
        flows: bool,
        what_if: Vec<u64>,
        details: bool,
        identify: bool,
        models: Option<PyRef<'_, Models>>,
        sampled: bool,
        parts: bool,
    ) -> Self {
        let settings = settings(jobs, outer, key_vlan, idle_ns, tcp_idle_ns, max_flows, filter);
        let scan = Scan::new(settings, flows, what_if);
        let scan = if details { scan.with_details() } else { scan };
        let scan = if parts { scan.with_parts() } else { scan };
        let scan = if identify {
            scan.with_services(models.map(|models| models.0.clone()).unwrap_or_default(), sampled)
        } else {
            scan
        };
        Self { scan, parts: None }
    }

    #[pyo3(signature = (path, *, ledger=None, progress=None))]
    fn file<'py>(
        &mut self,
        py: Python<'py>,
        path: PathBuf,
        ledger: Option<PathBuf>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let scan = &mut self.scan;
        let report =
            watch::run(py, &path, progress.as_ref(), |control| scan.file(&path, ledger.as_deref(), control))?;
        reports::file(py, &path, &report)
    }

    fn what_if<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for left in self.scan.what_if() {
            let dict = PyDict::new(py);
            dict.set_item("cutoff", left.cutoff)?;
            dict.set_item("kept_packets", left.packets)?;
            dict.set_item("kept_bytes", left.bytes)?;
            dict.set_item("flows_cut", left.flows_cut)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    fn histogram(&mut self) -> Vec<(u64, u64, u64)> {
        self.scan.histogram()
    }

    #[pyo3(signature = (*, community_seed=0))]
    fn flows(&mut self, py: Python<'_>, community_seed: u16) -> FlowTable {
        let scan = &mut self.scan;
        let (flows, parts) = py.detach(|| {
            let flows = scan.take_flows(community_seed);
            let parts = scan.take_parts().map(|parts| Parts::new(flows.clone(), parts));
            (flows, parts)
        });
        self.parts = parts;
        FlowTable(flows)
    }

    fn parts(&mut self) -> Option<FlowParts> {
        self.parts.take().map(FlowParts)
    }
}
