//! `Summary`: what a piece of a data set has come to.

use std::path::PathBuf;

use flowkeep_core::flow::Left;
use flowkeep_core::packet::Seed;
use flowkeep_io::dataset::{Error, Settings, Summary as Core};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::errors::{named, to_python, written};
use super::flows::FlowTable;
use super::select::Given;
use super::{random_seed, reports, settings, watch};

/// The flows of a consecutive piece of traffic, which merge with those of the piece behind it.
#[pyclass(module = "flowkeep._native")]
pub struct Summary(pub Core);

impl Summary {
    /// The key of its hash, with which a pass from it must read.
    pub fn seed(&self) -> Seed {
        self.0.table().seed()
    }

    /// Settings for a pass that goes on from a carry, which must have been made with the same.
    pub fn settle(py: Python<'_>, carry: Option<&PyRef<'_, Self>>, settings: Settings) -> PyResult<Settings> {
        let Some(carry) = carry else { return Ok(settings) };
        let wrong =
            |why: &str| Err(named(py, "UsageError", format!("from this summary no pass can go on: {why}")));
        if carry.0.table().left() != Left::Start {
            return wrong("it is of a piece; merge it to Summary.start() first");
        }
        if *carry.0.table().rules() != settings.rules {
            return wrong("it was made by other settings for idle times or the number of flows");
        }
        Ok(Settings { seed: carry.seed(), ..settings })
    }
}

#[pymethods]
impl Summary {
    #[staticmethod]
    #[pyo3(signature = (
        path, *, ledger=None, progress=None, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000,
        tcp_idle_ns=0, max_flows=16_777_216, filter=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn scan(
        py: Python<'_>,
        path: PathBuf,
        ledger: Option<PathBuf>,
        progress: Option<Py<PyAny>>,
        jobs: usize,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
        max_flows: u32,
        filter: Option<Vec<(u16, Given)>>,
    ) -> PyResult<(Self, Bound<'_, PyDict>)> {
        let settings = settings(jobs, outer, key_vlan, idle_ns, tcp_idle_ns, max_flows, filter);
        let (summary, report) = watch::run(py, &path, progress.as_ref(), |control| {
            Core::scan(&settings, &path, ledger.as_deref(), control)
        })?;
        Ok((Self(summary), reports::file(py, &path, &report)?))
    }

    #[staticmethod]
    #[pyo3(signature = (*, idle_ns=60_000_000_000, tcp_idle_ns=0, max_flows=16_777_216))]
    fn start(idle_ns: i64, tcp_idle_ns: i64, max_flows: u32) -> Self {
        Self(Core::start(&settings(1, false, false, idle_ns, tcp_idle_ns, max_flows, None)))
    }

    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let read = py.detach(|| Core::read(&path, random_seed()));
        read.map(Self).map_err(|error| to_python(py, &path, error))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let read = py.detach(|| Core::from_bytes(data, random_seed()));
        read.map(Self).map_err(|error| to_python(py, &PathBuf::from("bytes"), error))
    }

    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.0.write(&path)).map_err(|error| to_python(py, &path, Error::Output(error)))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.0.to_bytes());
        Ok(PyBytes::new(py, &bytes.map_err(|error| written(py, &PathBuf::from("bytes"), &error))?))
    }

    #[pyo3(signature = (following, *, cutting=false))]
    fn merge(&mut self, py: Python<'_>, following: PyRef<'_, Self>, cutting: bool) -> PyResult<()> {
        let (mine, following) = (&mut self.0, following.0.clone());
        let done = py.detach(|| mine.merge(following, cutting));
        done.map_err(|error| to_python(py, &PathBuf::from("summary"), error))
    }

    fn part(&self, py: Python<'_>, number: u32, parts: u32) -> Self {
        Self(py.detach(|| self.0.part(number, parts)))
    }

    fn join(&mut self, py: Python<'_>, part: PyRef<'_, Self>) -> PyResult<()> {
        let (mine, part) = (&mut self.0, &part.0);
        let done = py.detach(|| mine.join(part));
        done.map_err(|error| to_python(py, &PathBuf::from("summary"), error))
    }

    fn met_by(&self, py: Python<'_>, piece: PyRef<'_, Self>) -> Self {
        let piece = &piece.0;
        Self(py.detach(|| self.0.met_by(piece)))
    }

    fn end(&mut self, py: Python<'_>) {
        let mine = &mut self.0;
        py.detach(|| mine.end());
    }

    fn copy(&self, py: Python<'_>) -> Self {
        Self(py.detach(|| self.0.clone()))
    }

    #[pyo3(signature = (*, community_seed=0))]
    fn flows(&self, py: Python<'_>, community_seed: u16) -> FlowTable {
        FlowTable(py.detach(|| self.0.flows(community_seed)))
    }

    /// Little-endian.
    fn begins<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes: Vec<u8> = py.detach(|| self.0.begins().flat_map(u64::to_le_bytes).collect());
        PyBytes::new(py, &bytes)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[getter]
    fn crosses(&self) -> bool {
        self.0.crosses()
    }

    #[getter]
    fn packets(&self) -> u64 {
        self.0.tracker().packets()
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.0.tracker().bytes()
    }

    #[getter]
    fn untracked(&self) -> u64 {
        self.0.table().untracked()
    }

    #[getter]
    fn fragments_overflow(&self) -> u64 {
        self.0.tracker().fragments_overflow()
    }
}
