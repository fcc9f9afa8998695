//! `Trimmer`: cuts captures.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use flowkeep_core::cut::{Count, Policy, Rest};
use flowkeep_core::flow::community::LEN;
use flowkeep_core::pipe::Which;
use flowkeep_core::select::{FlowFilter, Program};
use flowkeep_io::codec::Compression;
use flowkeep_io::dataset::{Depth, Trim, TrimOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::{named, to_python};
use super::flows::FlowTable;
use super::select::Given;
use super::summary::Summary;
use super::{reports, settings, watch};

/// Which flows have a cutoff of their own, as the stub says it.
#[derive(FromPyObject)]
enum Flows {
    /// A filter on flows: a program for Ethernet, and whether it sees VLAN tags.
    Filter(Vec<u8>, bool),
    /// A place in the list of services.
    Service(u16),
    /// `community`, or `host`, and which.
    Named(String, Vec<String>),
}

impl Flows {
    fn into_core(self, py: Python<'_>) -> PyResult<Which> {
        let wrong = |text: String| named(py, "UsageError", text);
        Ok(match self {
            Self::Service(at) => Which::Service(at),
            Self::Filter(program, tags) => {
                let program = Program::decode(&program).map_err(|why| wrong(why.to_string()))?;
                Which::Filter(FlowFilter::new(program, tags))
            }
            Self::Named(kind, texts) if kind == "community" => {
                let ids = texts.iter().map(|text| <[u8; LEN]>::try_from(text.as_bytes()));
                let ids = ids.collect::<Result<_, _>>();
                Which::Communities(ids.map_err(|_| wrong("a Community ID has 30 characters".to_owned()))?)
            }
            Self::Named(_, texts) => {
                let mut hosts = HashSet::new();
                for text in texts {
                    let mut bytes = [0; 16];
                    match text.parse() {
                        Ok(IpAddr::V4(ip)) => {
                            bytes[..4].copy_from_slice(&ip.octets());
                            hosts.insert((4, bytes));
                        }
                        Ok(IpAddr::V6(ip)) => _ = hosts.insert((6, ip.octets())),
                        Err(_) => return Err(wrong(format!("{text:?} is no address"))),
                    }
                }
                Which::Hosts(hosts)
            }
        })
    }
}

/// Cuts captures one after another as one data set.
#[pyclass(module = "flowkeep._native")]
pub struct Trimmer(Trim);

#[pymethods]
impl Trimmer {
    #[new]
    #[pyo3(signature = (
        cutoff, *, count="frame", per_direction=false, control="keep", rest="cut", sample=0, tail=0,
        compat=None, ledger=false, jobs=0, outer=false, key_vlan=false, idle_ns=60_000_000_000,
        tcp_idle_ns=0, max_flows=16_777_216, filter=None, depths=None, services=None, identify=false,
        carry=None, totals=None
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
        depths: Option<Vec<(Flows, Option<u64>, String)>>,
        services: Option<Vec<String>>,
        identify: bool,
        carry: Option<PyRef<'_, Summary>>,
        totals: Option<PyRef<'_, Summary>>,
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
        let settings = Summary::settle(py, carry.as_ref(), settings)?;
        let unknown = [
            (compat.is_some(), "TrimPCAP's rules"),
            (identify, "cutoffs by service"),
            (policy.tail > 0 && totals.is_none(), "a tail without totals"),
        ];
        if let Some((_, what)) = unknown.iter().find(|(asked, _)| carry.is_some() && *asked) {
            let why = format!("a carry does not know what {what} would need");
            return Err(named(py, "UsageError", why));
        }
        let trim = match compat {
            None => {
                let trim = Trim::new(settings, policy, ledger);
                match depths {
                    None if !identify => trim,
                    depths => {
                        let mut made = Vec::new();
                        for (which, cutoff, name) in depths.unwrap_or_default() {
                            let which = which.into_core(py)?;
                            made.push(Depth { which, cutoff: cutoff.unwrap_or(u64::MAX), name });
                        }
                        trim.with_depths(made, services.unwrap_or_default(), identify)
                    }
                }
            }
            Some("trimpcap") => Trim::new(settings, policy, ledger).as_trimpcap(cutoff),
            Some(other) => return Err(wrong("compat", other)),
        };
        let trim = match carry {
            Some(carry) => trim.behind(&carry.0),
            None => trim,
        };
        Ok(Self(match totals {
            Some(whole) => trim.with_totals(&whole.0),
            None => trim,
        }))
    }

    #[pyo3(signature = (ledger, *, measuring=false))]
    fn carry(&mut self, py: Python<'_>, ledger: PathBuf, measuring: bool) -> PyResult<()> {
        let trim = &mut self.0;
        py.detach(|| trim.carry(&ledger, measuring)).map_err(|error| to_python(py, &ledger, error))
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
