//! `Carver`: finds packets in files that are no captures.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flowkeep_core::carve::{Class, Level};
use flowkeep_io::carve::Carve;
use flowkeep_io::codec::Compression;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::{named, to_python};
use super::watch;

/// Looks for packets in one file after another and writes them into one pcapng capture.
#[pyclass(module = "flowkeep._native")]
pub struct Carver {
    carve: Mutex<Option<Carve>>,
    out: PathBuf,
}

#[pymethods]
impl Carver {
    #[new]
    #[pyo3(signature = (out, *, level="normal", jobs=0, block=None))]
    fn new(py: Python<'_>, out: PathBuf, level: &str, jobs: usize, block: Option<usize>) -> PyResult<Self> {
        let level = Level::by_name(level)
            .ok_or_else(|| named(py, "UsageError", format!("level {level:?} is not one that is known")))?;
        let mut carve = Carve::new(&out, level, jobs).map_err(|error| to_python(py, &out, error))?;
        if let Some(block) = block {
            carve.set_block(block);
        }
        Ok(Self { carve: Mutex::new(Some(carve)), out })
    }

    #[pyo3(signature = (path, *, label, progress=None))]
    fn file<'py>(
        &mut self,
        py: Python<'py>,
        path: PathBuf,
        label: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let out = self.out.clone();
        let held = self.carve.get_mut().unwrap_or_else(PoisonError::into_inner);
        let carve = held.as_mut().ok_or_else(|| over(py, &out))?;
        let report = watch::run(py, &path, progress.as_ref(), |control| carve.file(&path, label, control))?;
        let dict = PyDict::new(py);
        dict.set_item("path", path.to_string_lossy())?;
        dict.set_item("compression", report.compression.map(Compression::name))?;
        dict.set_item("scanned", report.scanned)?;
        let classes = PyDict::new(py);
        for (class, packets) in Class::ALL.iter().zip(report.classes) {
            classes.set_item(class.name(), packets)?;
        }
        dict.set_item("classes", classes)?;
        dict.set_item("packets", report.classes.iter().sum::<u64>())?;
        dict.set_item("bytes", report.bytes)?;
        dict.set_item("ethernet", report.ethernet)?;
        dict.set_item("timed", report.timed)?;
        dict.set_item("overlapped", report.overlapped)?;
        dict.set_item("damage", report.damage)?;
        Ok(dict)
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<u64> {
        let held = self.carve.get_mut().unwrap_or_else(PoisonError::into_inner);
        let carve = held.take().ok_or_else(|| over(py, &self.out))?;
        py.detach(|| carve.finish()).map_err(|error| to_python(py, &self.out, error))
    }
}

fn over(py: Python<'_>, out: &Path) -> PyErr {
    named(py, "UsageError", format!("{}: it is finished", out.display()))
}
