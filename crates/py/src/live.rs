//! `Capture`: fills a cache from interfaces, by TCP and from files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowkeep_io::live::privileges::{self, Account};
use flowkeep_io::live::{Error, Live, Packets, Selection, Stats, MAX_PORTS, RING, SNAP_LENGTH};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::cache::Cache;
use super::errors::named;
use super::select::{self, Given};

// The signature below has them as numbers, which is what Python shows.
const _: () = assert!(RING == 67_108_864 && SNAP_LENGTH == 262_144);

/// Takes packets as they come into a cache.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct Capture {
    live: Mutex<Live>,
}

impl Capture {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_python(py: Python<'_>, error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Usage(_) => named(py, "UsageError", text),
        Error::System { error, .. } => match error.raw_os_error() {
            Some(number) => PyOSError::new_err((number, text)),
            None => PyOSError::new_err(text),
        },
    }
}

/// The filter, and the bytes of the programs that the kernel can run.
fn selection(program: Option<Vec<(u16, Given)>>, ports: Vec<u16>) -> Selection {
    let mut programs = Vec::new();
    for (link, given) in program.iter().flatten() {
        if let Given::Program(bytes) = given {
            programs.push((*link, bytes.clone()));
        }
    }
    Selection::new(program.map(select::filter), programs, ports)
}

#[pymethods]
impl Capture {
    #[new]
    #[pyo3(signature = (
        cache, *, interfaces=None, promiscuous=false, ring=67_108_864, snap_length=262_144,
        program=None,
        exclude_ports=vec![]
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        cache: PyRef<'_, Cache>,
        interfaces: Option<Vec<String>>,
        promiscuous: bool,
        ring: usize,
        snap_length: u32,
        program: Option<Vec<(u16, Given)>>,
        exclude_ports: Vec<u16>,
    ) -> PyResult<Self> {
        let usage = |text: String| Err(named(py, "UsageError", text));
        if exclude_ports.len() > MAX_PORTS {
            return usage(format!(
                "{} ports are to be left out, at most {MAX_PORTS} are",
                exclude_ports.len()
            ));
        }
        if !(1..=SNAP_LENGTH).contains(&snap_length) {
            return usage(format!("a snap length of {snap_length}: it is 1 to {SNAP_LENGTH} bytes"));
        }
        let sink: Arc<dyn Packets> = Arc::new(cache.shared.clone());
        let selection = Arc::new(selection(program, exclude_ports));
        let live = py.detach(|| {
            let failed = |error| Error::System { what: "a capture".to_owned(), hint: "", error };
            let mut live = Live::new(sink, selection).map_err(failed)?;
            match interfaces {
                None => live.interface(None, ring, snap_length, promiscuous)?,
                Some(names) => {
                    for name in names {
                        live.interface(Some(&name), ring, snap_length, promiscuous)?;
                    }
                }
            }
            Ok(live)
        });
        Ok(Self { live: Mutex::new(live.map_err(|error| to_python(py, error))?) })
    }

    fn listen(&self, py: Python<'_>, host: &str, port: u16) -> PyResult<u16> {
        py.detach(|| self.live().listen(host, port)).map_err(|error| to_python(py, error))
    }

    fn connect(&self, py: Python<'_>, host: &str, port: u16) -> PyResult<()> {
        py.detach(|| self.live().connect(host, port)).map_err(|error| to_python(py, error))
    }

    fn read(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.live().read(path)).map_err(|error| to_python(py, error))
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.live().start()).map_err(|error| to_python(py, error))
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.live().stop());
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let stats = py.detach(|| self.live().stats());
        let list = PyList::empty(py);
        for input in stats {
            list.append(to_dict(py, input)?)?;
        }
        Ok(list)
    }
}

fn to_dict(py: Python<'_>, stats: Stats) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", stats.name)?;
    dict.set_item("kind", stats.kind)?;
    dict.set_item("state", stats.state.name())?;
    dict.set_item("packets", stats.packets)?;
    dict.set_item("bytes", stats.bytes)?;
    dict.set_item("drops", stats.dropped)?;
    dict.set_item("filtered", stats.filtered)?;
    dict.set_item("refused", stats.refused)?;
    let interfaces = PyDict::new(py);
    for (name, count) in stats.interfaces {
        let entry = PyDict::new(py);
        entry.set_item("packets", count.packets)?;
        entry.set_item("bytes", count.bytes)?;
        interfaces.set_item(name, entry)?;
    }
    dict.set_item("interfaces", interfaces)?;
    dict.set_item("connections", stats.connections)?;
    dict.set_item("ring", stats.ring)?;
    dict.set_item("error", stats.error)?;
    Ok(dict)
}

/// Gives up all privileges; see the stub.
#[pyfunction]
#[pyo3(signature = (user=None))]
pub fn drop_privileges(py: Python<'_>, user: Option<&str>) -> PyResult<()> {
    let account = user.map(|user| account(py, user)).transpose()?;
    privileges::drop_all(account)
        .map_err(|error| PyOSError::new_err(format!("privileges cannot be given up: {error}")))
}

/// The user's numbers, from the same place as everything in Python.
fn account(py: Python<'_>, user: &str) -> PyResult<Account> {
    let found = py
        .import("pwd")?
        .call_method1("getpwnam", (user,))
        .map_err(|_| named(py, "UsageError", format!("there is no user {user:?} on this machine")))?;
    Ok(Account { uid: found.getattr("pw_uid")?.extract()?, gid: found.getattr("pw_gid")?.extract()? })
}
