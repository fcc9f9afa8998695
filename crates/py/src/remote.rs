//! Files elsewhere: Python fetches and takes them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flowkeep_io::remote::{url, Block, Places, Remote};
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// How long Python waits for a block before it is asked again, in seconds: so long a cancelled run goes on.
const PATIENCE: f64 = 0.1;
/// The number of an interrupt that came while Python waited (`ECANCELED`).
pub const INTERRUPTED: i32 = 125;
/// The number of an error that has none (`EIO`).
const BROKEN: i32 = 5;

/// What was said of the first error of each file since it was opened: numbers pass through decompressors, words do not.
static WHY: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);

/// Why reading a file elsewhere failed.
pub fn why(path: &Path) -> Option<String> {
    let name = url(path)?;
    WHY.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.remove(name)
}

fn failed(py: Python<'_>, name: &str, error: &PyErr) -> io::Error {
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return io::Error::from_raw_os_error(INTERRUPTED);
    }
    let value = error.value(py);
    let known = |what: &str| value.getattr(what).ok();
    let number = known("errno").and_then(|n| n.extract::<i32>().ok()).filter(|n| *n > 0 && *n != INTERRUPTED);
    let text = error.is_instance_of::<PyOSError>(py).then(|| known("strerror")?.extract::<String>().ok());
    let text = text.flatten().unwrap_or_else(|| error.to_string());
    let mut all = WHY.lock().unwrap_or_else(PoisonError::into_inner);
    // What came first is the cause.
    all.get_or_insert_default().entry(name.to_owned()).or_insert(text);
    io::Error::from_raw_os_error(number.unwrap_or(BROKEN))
}

/// `flowkeep.places.native`.
pub struct Outside;

impl Outside {
    fn call(name: &str, function: &str) -> io::Result<Py<PyAny>> {
        Python::attach(|py| {
            let module = py.import("flowkeep.places.native");
            let made = module.and_then(|module| module.getattr(function)?.call1((name,)));
            made.map(Bound::unbind).map_err(|error| failed(py, name, &error))
        })
    }
}

impl Places for Outside {
    fn open(&self, name: &str) -> io::Result<Box<dyn Remote>> {
        why(Path::new(name)); // of an earlier try
        Ok(Box::new(Fetched { reader: Self::call(name, "open")?, name: name.to_owned() }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(Taken { out: Self::call(name, "create")?, name: name.to_owned() }))
    }
}

/// A `flowkeep.places.reading.Reader`.
struct Fetched {
    reader: Py<PyAny>,
    name: String,
}

impl Remote for Fetched {
    fn ready(&self) -> io::Result<Option<(Option<u64>, bool)>> {
        Python::attach(|py| {
            let asked = self.reader.bind(py).call_method1("ready", (PATIENCE,));
            asked.and_then(|found| found.extract()).map_err(|error| failed(py, &self.name, &error))
        })
    }

    fn block(&self, offset: u64) -> io::Result<Option<Block>> {
        Python::attach(|py| {
            let asked = self.reader.bind(py).call_method1("block", (offset, PATIENCE));
            let found: PyResult<Option<(u64, PyBackedBytes)>> = asked.and_then(|found| found.extract());
            let found = found.map_err(|error| failed(py, &self.name, &error))?;
            Ok(found.map(|(start, bytes)| Block { start, bytes: Arc::new(bytes) }))
        })
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        Python::attach(|py| _ = self.reader.bind(py).call_method0("close"));
    }
}

/// A file that is being written.
struct Taken {
    out: Py<PyAny>,
    name: String,
}

impl Write for Taken {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let written = self.out.bind(py).call_method1("write", (PyBytes::new(py, buf),));
            written.map(|_| buf.len()).map_err(|error| failed(py, &self.name, &error))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
