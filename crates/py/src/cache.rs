//! `Cache` and `CacheReader`: the packet store of the cache.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flowkeep_core::flow::{Rules, Table};
use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::select::Filter;
use flowkeep_io::cache::{
    self, BadSettings, Curve, Format, Interface, InterfaceId, Pattern, Progress, Query, Reader, Settings,
    Shared, Status, Wanted,
};
use flowkeep_io::table::flows::Flows;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::errors::named;
use super::flows::FlowTable;
use super::select::{self, Given};
use super::watch;

/// Packets in a fixed amount of memory.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct Cache {
    /// The store, for other classes that fill it.
    pub shared: Shared,
}

fn refused(py: Python<'_>, why: BadSettings) -> PyErr {
    named(py, "UsageError", why.0)
}

fn settings(
    memory: u64,
    curve: Vec<(i64, i64)>,
    outer: bool,
    key_vlan: bool,
    idle_ns: i64,
    tcp_idle_ns: i64,
) -> Result<Settings, BadSettings> {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;
    let random = RandomState::new();
    let steps = curve.into_iter().map(|(age, bytes)| (age, u64::try_from(bytes).unwrap_or(Curve::ALL)));
    Ok(Settings {
        memory,
        curve: Curve::new(steps.collect())?,
        rules: Rules { idle_ns, tcp_idle_ns, max_flows: u32::MAX },
        options: Options { outer, key_vlan },
        seed: Seed(random.hash_one(1), random.hash_one(2)),
    })
}

/// An end of a flow: address, and port where it is said.
type End = (Vec<u8>, Option<u16>);

/// How a flow is named: by its Community ID, or by protocol and ends.
#[derive(FromPyObject)]
pub enum Named {
    Community(String),
    Ends(Option<u8>, End, End),
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (
        memory, curve, *, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0
    ))]
    fn new(
        py: Python<'_>,
        memory: u64,
        curve: Vec<(i64, i64)>,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
    ) -> PyResult<Self> {
        let shared = settings(memory, curve, outer, key_vlan, idle_ns, tcp_idle_ns)
            .and_then(Shared::new)
            .map_err(|why| refused(py, why))?;
        Ok(Self { shared })
    }

    #[pyo3(signature = (name, link, snap_length=0))]
    fn interface(&self, py: Python<'_>, name: String, link: u16, snap_length: u32) -> u16 {
        py.detach(|| self.shared.interface(Interface { link, name, snap_length }).0)
    }

    #[pyo3(signature = (interface, time, data, original=None))]
    fn add(
        &self,
        py: Python<'_>,
        interface: u16,
        time: i64,
        data: PyBuffer<u8>,
        original: Option<u32>,
    ) -> PyResult<()> {
        self.check(py, interface)?;
        let data = data.to_vec(py)?;
        let original = original.unwrap_or(data.len() as u32);
        py.detach(|| {
            self.shared.add_batch([(InterfaceId(interface), time, original, &data[..])].into_iter())
        });
        Ok(())
    }

    fn dropped(&self, py: Python<'_>, interface: u16, packets: u64) -> PyResult<()> {
        self.check(py, interface)?;
        py.detach(|| self.shared.dropped(InterfaceId(interface), packets));
        Ok(())
    }

    #[pyo3(signature = (path, *, jobs=1, progress=None))]
    fn replay<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        jobs: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let done = watch::run(py, &path, progress.as_ref(), |control| {
            cache::replay(&self.shared, &path, jobs, control)
        })?;
        let dict = PyDict::new(py);
        dict.set_item("packets", done.packets)?;
        dict.set_item("bytes", done.bytes)?;
        dict.set_item("damage", done.damage.map(|damage| damage.to_string()))?;
        Ok(dict)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = py.detach(|| self.shared.status());
        to_dict(py, &status)
    }

    #[pyo3(signature = (*, community_seed=0))]
    fn flows(&self, py: Python<'_>, community_seed: u16) -> FlowTable {
        py.detach(|| {
            let flows = self.shared.flows();
            let table = Table::listed(Rules::default(), flows.iter().map(|f| f.0));
            FlowTable(Flows::new(table, None, None, community_seed))
        })
    }

    #[pyo3(signature = (*, program=None, since=None, until=None, flows=None, follow=false, format="pcapng"))]
    #[allow(clippy::too_many_arguments)]
    fn reader(
        &self,
        py: Python<'_>,
        program: Option<Vec<(u16, Given)>>,
        since: Option<i64>,
        until: Option<i64>,
        flows: Option<Vec<Named>>,
        follow: bool,
        format: &str,
    ) -> PyResult<CacheReader> {
        let format = match format {
            "pcapng" => Format::Pcapng,
            "pcap" => Format::Pcap,
            other => {
                return Err(named(
                    py,
                    "UsageError",
                    format!("format {other:?} is not one that is known: pcapng, pcap"),
                ))
            }
        };
        let flows = flows.map(|named| wanted(py, named)).transpose()?;
        let filter: Option<Filter> = program.map(select::filter);
        let query = Query { filter, since, until, flows, follow, format };
        let reader = py.detach(|| self.shared.reader(query)).map_err(|why| refused(py, why))?;
        Ok(CacheReader { reader: Mutex::new(reader) })
    }
}

impl Cache {
    fn check(&self, py: Python<'_>, interface: u16) -> PyResult<()> {
        match self.shared.link(InterfaceId(interface)) {
            Some(_) => Ok(()),
            None => Err(named(
                py,
                "UsageError",
                format!("there is no interface {interface}: make it known first"),
            )),
        }
    }
}

fn wanted(py: Python<'_>, flows: Vec<Named>) -> PyResult<Wanted> {
    let mut wanted = Wanted::default();
    for flow in flows {
        match flow {
            Named::Community(text) => match text.as_bytes().try_into() {
                Ok(id) => _ = wanted.communities.insert(id),
                Err(_) => {
                    return Err(named(
                        py,
                        "UsageError",
                        format!("{text:?} is no Community ID: 1: and 28 characters"),
                    ))
                }
            },
            Named::Ends(proto, a, b) => match (pattern_end(&a), pattern_end(&b)) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    wanted.patterns.push(Pattern { proto, version: a.0, ends: [(a.1, a.2), (b.1, b.2)] });
                }
                _ => {
                    let text = "both addresses of a flow have 4 bytes, or 16".to_owned();
                    return Err(named(py, "UsageError", text));
                }
            },
        }
    }
    Ok(wanted)
}

/// Version, address, port.
fn pattern_end(end: &End) -> Option<(u8, [u8; 16], Option<u16>)> {
    let mut address = [0; 16];
    let version = match end.0.len() {
        4 => 4,
        16 => 6,
        _ => return None,
    };
    address[..end.0.len()].copy_from_slice(&end.0);
    Some((version, address, end.1))
}

fn to_dict<'py>(py: Python<'py>, s: &Status) -> PyResult<Bound<'py, PyDict>> {
    use flowkeep_core::cache::{Reason, Totals};
    let totals = |t: Totals| -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("packets", t.packets)?;
        dict.set_item("bytes", t.bytes)?;
        Ok(dict)
    };
    let dict = PyDict::new(py);
    let memory = PyDict::new(py);
    memory.set_item("bound", s.bound)?;
    memory.set_item("used", s.used.total())?;
    memory.set_item("packets", s.used.packets)?;
    memory.set_item("flows", s.used.flows)?;
    memory.set_item("indexes", s.used.indexes)?;
    memory.set_item("readers", s.used.readers)?;
    dict.set_item("memory", memory)?;
    dict.set_item("received", totals(s.received)?)?;
    dict.set_item("held", totals(s.held)?)?;
    let gone = PyDict::new(py);
    for reason in Reason::ALL {
        gone.set_item(reason.name(), totals(s.let_go.0[reason as usize])?)?;
    }
    dict.set_item("let_go", gone)?;
    dict.set_item("flows", s.flows)?;
    dict.set_item("flows_unanswered", s.flows_aside[0])?;
    dict.set_item("flows_icmp", s.flows_aside[1])?;
    let limited = |bytes: u64| (bytes != Curve::ALL).then_some(bytes);
    let bands = PyList::empty(py);
    for band in &s.bands {
        let entry = PyDict::new(py);
        entry.set_item("from", band.from)?;
        entry.set_item("to", (band.to != i64::MAX).then_some(band.to))?;
        entry.set_item("allowance", limited(band.allowance))?;
        entry.set_item("flows", band.flows)?;
        entry.set_item("packets", band.held.packets)?;
        entry.set_item("bytes", band.held.bytes)?;
        bands.append(entry)?;
    }
    dict.set_item("bands", bands)?;
    dict.set_item("stretch", (s.stretch > 0.0).then_some(s.stretch))?;
    dict.set_item("oldest", s.oldest)?;
    dict.set_item("newest", s.newest)?;
    dict.set_item("look_back", s.oldest.zip(s.newest).map(|(a, b)| b.saturating_sub(a)))?;
    let interfaces = PyList::empty(py);
    for i in &s.interfaces {
        let entry = totals(i.received)?;
        entry.set_item("name", &i.name)?;
        entry.set_item("link", i.link)?;
        entry.set_item("dropped", i.dropped)?;
        interfaces.append(entry)?;
    }
    dict.set_item("interfaces", interfaces)?;
    dict.set_item("readers", s.readers)?;
    dict.set_item("shortened", s.shortened)?;
    Ok(dict)
}

/// Reads a capture out of a cache.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct CacheReader {
    reader: Mutex<Reader>,
}

#[pymethods]
impl CacheReader {
    #[pyo3(signature = (wait=0.0))]
    fn read<'py>(&self, py: Python<'py>, wait: f64) -> Bound<'py, PyBytes> {
        let wait = Duration::try_from_secs_f64(wait.clamp(0.0, 86_400.0)).unwrap_or_default();
        let out = py.detach(|| {
            let mut out = Vec::new();
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let _: Progress = reader.read(&mut out, wait);
            out
        });
        PyBytes::new(py, &out)
    }

    #[getter]
    fn ended(&self) -> bool {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).status().ended
    }

    #[getter]
    fn matched(&self) -> u64 {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).status().matched
    }

    #[getter]
    fn lost(&self) -> u64 {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).status().lost
    }
}
