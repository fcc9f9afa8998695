//! `Cache` and `CacheReader`: the packet store of the cache.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flowkeep_core::flow::{Rules, Table};
use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::select::Filter;
use flowkeep_io::cache::{
    self, BadSettings, Curve, Format, Interface, InterfaceId, Pattern, Progress, Query, Reader, ReaderStatus,
    Settings, Shared, Spill, SpillPlan, SpillStatus, Status, Stop, Wanted,
};
use flowkeep_io::table::flows::{Flows, Held};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::errors::{named, to_python, written};
use super::flows::FlowTable;
use super::select::{self, Given};
use super::watch;

/// Packets in a fixed amount of memory.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct Cache {
    /// The store, for other classes that fill it.
    pub shared: Shared,
    spill: Mutex<Option<Spill>>,
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
    Number(u64),
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
        Ok(Self { shared, spill: Mutex::new(None) })
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
            self.shared.add_batch([(InterfaceId(interface), time, original, &data[..])].into_iter());
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
            let held = flows.iter().map(|(flow, held)| Held { number: flow.first, held: *held }).collect();
            FlowTable(Flows::new(table, None, None, community_seed).with_held(held))
        })
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| cache::save(&self.shared, &path)).map_err(|error| written(py, &path, &error))
    }

    #[staticmethod]
    #[pyo3(signature = (
        path, memory, curve, *, outer=false, key_vlan=false, idle_ns=60_000_000_000, tcp_idle_ns=0
    ))]
    #[allow(clippy::too_many_arguments)]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        memory: u64,
        curve: Vec<(i64, i64)>,
        outer: bool,
        key_vlan: bool,
        idle_ns: i64,
        tcp_idle_ns: i64,
    ) -> PyResult<Self> {
        let settings =
            settings(memory, curve, outer, key_vlan, idle_ns, tcp_idle_ns).map_err(|why| refused(py, why))?;
        let loaded = py.detach(|| cache::load(&path, settings));
        let shared = loaded.map_err(|error| to_python(py, &path, error))?;
        Ok(Self { shared, spill: Mutex::new(None) })
    }

    #[pyo3(signature = (directory, *, disk=None, every_ns=3_600_000_000_000))]
    fn spill(&self, py: Python<'_>, directory: PathBuf, disk: Option<u64>, every_ns: i64) -> PyResult<()> {
        let plan = SpillPlan { folder: directory.clone(), disk, every: every_ns };
        let started = py.detach(|| {
            let mut held = self.spill.lock().unwrap_or_else(PoisonError::into_inner);
            if held.is_some() {
                return Ok(false);
            }
            *held = Some(Spill::start(&self.shared, plan)?);
            Ok(true)
        });
        match started {
            Ok(true) => Ok(()),
            Ok(false) => Err(named(py, "UsageError", "the cache spills already".to_owned())),
            Err(error) => Err(written(py, &directory, &error)),
        }
    }

    fn spill_status<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let status = py
            .detach(|| self.spill.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Spill::status));
        status.map(|status| spilled(py, &status)).transpose()
    }

    fn spill_close<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let status = py.detach(|| {
            let spill = self.spill.lock().unwrap_or_else(PoisonError::into_inner).take();
            spill.map(|mut spill| spill.close())
        });
        status.map(|status| spilled(py, &status)).transpose()
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
        let stop = reader.stopper();
        Ok(CacheReader { reader: Mutex::new(reader), stop })
    }
}

fn spilled<'py>(py: Python<'py>, s: &SpillStatus) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("files", s.files)?;
    dict.set_item("bytes", s.bytes)?;
    dict.set_item("packets", s.packets)?;
    dict.set_item("flows", s.flows)?;
    dict.set_item("deleted", s.deleted)?;
    dict.set_item("lost", s.lost)?;
    dict.set_item("error", &s.error)?;
    Ok(dict)
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
            Named::Number(number) => _ = wanted.numbers.insert(number),
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
    dict.set_item("bound", s.bound)?;
    let used = PyDict::new(py);
    used.set_item("packets", s.used.packets)?;
    used.set_item("flows", s.used.flows)?;
    used.set_item("indexes", s.used.indexes)?;
    used.set_item("readers", s.used.readers)?;
    used.set_item("spill", s.used.spill)?;
    used.set_item("total", s.used.total())?;
    dict.set_item("used", used)?;
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
        let entry = PyDict::new(py);
        entry.set_item("received", totals(i.received)?)?;
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
    stop: Stop,
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

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.stop.stop());
    }

    #[getter]
    fn ended(&self, py: Python<'_>) -> bool {
        self.fares(py).ended
    }

    #[getter]
    fn matched(&self, py: Python<'_>) -> u64 {
        self.fares(py).matched
    }

    #[getter]
    fn lost(&self, py: Python<'_>) -> u64 {
        self.fares(py).lost
    }
}

impl CacheReader {
    fn fares(&self, py: Python<'_>) -> ReaderStatus {
        // Another thread may have the reader and wait for packets.
        py.detach(|| self.reader.lock().unwrap_or_else(PoisonError::into_inner).status())
    }
}
