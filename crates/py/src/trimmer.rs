//! `Trimmer`: cuts captures.

use std::path::PathBuf;

use flowkeep_core::cut::{Count, Policy, Rest};
use flowkeep_io::codec::Compression;
use flowkeep_io::dataset::{Trim, TrimOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::named;
use super::flows::FlowTable;
use super::select::Given;
use super::{reports, settings, watch};

/// Cuts captures one after another as one data set.
#[pyclass(module = "flowkeep._native")]
pub struct Trimmer(Trim);

#[pymethods]
impl Trimmer {
    #[new]
    #[pyo3(signature = (
        cutoff, *, count="frame", per_direction=false, control="keep", rest="cut", sample=0, tail=0,
        compat=None, ledger=false, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000,
        tcp_idle_ns=0, max_flows=16_777_216, filter=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        cutoff: u64,
        count: &str,
        per_direction: bool,
        control: &str,
        rest: &str,
        sample: u64,
        tail: u64,
        compat: Option<&str>,
        ledger: bool,
        jobs: usize,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
        max_flows: u32,
        filter: Option<Vec<(u16, Given)>>,
    ) -> PyResult<Self> {
        let wrong = |what: &str, value: &str| {
            named(py, "UsageError", format!("{what} {value:?} is not one that is known"))
        };
        let policy = Policy {
            cutoff,
            count: match count {
                "frame" => Count::Frame,
                "wire" => Count::Wire,
                "payload" => Count::Payload,
                other => return Err(wrong("count", other)),
            },
            per_direction,
            keep_control: match control {
                "keep" => true,
                "drop" => false,
                other => return Err(wrong("control", other)),
            },
            rest: match rest {
                "cut" => Rest::Cut,
                "headers" => Rest::Headers,
                "sample" => Rest::Sample(sample),
                other => return Err(wrong("rest", other)),
            },
            tail,
        };
        let settings = settings(jobs, outer, key_vlan, idle_ns, tcp_idle_ns, max_flows, filter);
        Ok(Self(match compat {
            None => Trim::new(settings, policy, ledger),
            Some("trimpcap") => Trim::new(settings, policy, ledger).as_trimpcap(cutoff),
            Some(other) => return Err(wrong("compat", other)),
        }))
    }

    #[pyo3(signature = (path, *, ledger_in=None, progress=None))]
    fn measure(
        &mut self,
        py: Python<'_>,
        path: PathBuf,
        ledger_in: Option<PathBuf>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let trim = &mut self.0;
        watch::run(py, &path, progress.as_ref(), |control| trim.measure(&path, ledger_in.as_deref(), control))
    }

    #[pyo3(signature = (
        path, out, *, ledger_in=None, ledger_out=None, compression="same", digest=false, last=true,
        policy="", progress=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn file<'py>(
        &mut self,
        py: Python<'py>,
        path: PathBuf,
        out: Option<PathBuf>,
        ledger_in: Option<PathBuf>,
        ledger_out: Option<PathBuf>,
        compression: &str,
        digest: bool,
        last: bool,
        policy: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let compression = match compression {
            "same" => None,
            "none" => Some(None),
            name => Some(Some(Compression::by_name(name).ok_or_else(|| {
                named(py, "UsageError", format!("compression {name:?} is not one that is known"))
            })?)),
        };
        let wanted = TrimOptions {
            out: out.as_deref(),
            ledger_in: ledger_in.as_deref(),
            ledger_out: ledger_out.as_deref(),
            compression,
            digest,
            last,
            policy,
        };
        let trim = &mut self.0;
        let report = watch::run(py, &path, progress.as_ref(), |control| trim.file(&path, &wanted, control))?;
        reports::trim(py, &path, &report)
    }

    #[pyo3(signature = (*, community_seed=0))]
    fn flows(&mut self, py: Python<'_>, community_seed: u16) -> FlowTable {
        let trim = &mut self.0;
        FlowTable(py.detach(|| trim.take_flows(community_seed)))
    }
}
