//! The one map from errors of the core to those of Python.

use std::io;
use std::path::Path;

use flowkeep_core::pipe::Stop;
use flowkeep_io::dataset::Error;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError};
use pyo3::prelude::*;

use super::remote;

/// The exception for an error met on this file.
pub fn to_python(py: Python<'_>, path: &Path, error: Error) -> PyErr {
    let name = safe(py, path);
    match error {
        Error::Cancelled => PyKeyboardInterrupt::new_err(()),
        Error::Input(Stop::NotACapture(why)) => named(py, "NotACaptureError", format!("{name}: {why}")),
        Error::Input(Stop::Read { offset, error }) => {
            let text = format!("reading at byte {offset} failed: {}", said(path, &error));
            os_error(py, &error, text, path)
        }
        Error::Input(stop) => named(py, "FlowkeepError", format!("{name}: {stop}")),
        Error::Open(error) => os_error(py, &error, said(path, &error), path),
        Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => written(py, path, &error),
        Error::Output(error) => {
            named(py, "OutputError", format!("{name}: the result cannot be written: {}", plain(&error)))
        }
        Error::Usage(text) => named(py, "UsageError", text),
        Error::Ledger(why) => named(py, "LedgerError", format!("{name}: {why}")),
        Error::Summary(why) => named(py, "SummaryError", format!("{name}: {why}")),
        Error::Stale(why) => named(py, "IndexMisfitError", format!("{name}: {why}")),
    }
}

/// An exception class of `flowkeep.errors`.
pub fn named(py: Python<'_>, class: &str, text: String) -> PyErr {
    let made = py
        .import("flowkeep.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((text,)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// The exception for a file that could not be written, for callers that name the file themselves.
pub fn written(py: Python<'_>, path: &Path, error: &io::Error) -> PyErr {
    os_error(py, error, plain(error), path)
}

/// The name made harmless for a terminal: messages hold no other.
#[allow(clippy::unnecessary_debug_formatting)] // it escapes, which is what is wanted
pub fn safe(py: Python<'_>, path: &Path) -> String {
    py.import("flowkeep.text")
        .and_then(|module| module.getattr("safe"))
        .and_then(|safe| match flowkeep_io::remote::url(path) {
            Some(url) => safe.call1((url,)),
            None => safe.call1((path,)),
        })
        .and_then(|name| name.extract())
        .unwrap_or_else(|_| format!("{path:?}"))
}

/// The builtin that matches the number (`FileNotFoundError`, `PermissionError` …).
fn os_error(py: Python<'_>, error: &io::Error, text: String, path: &Path) -> PyErr {
    match error.raw_os_error() {
        Some(remote::INTERRUPTED) if flowkeep_io::remote::url(path).is_some() => {
            PyKeyboardInterrupt::new_err(())
        }
        // A path of Python would make one slash of two.
        Some(number) => match flowkeep_io::remote::url(path) {
            Some(url) => PyOSError::new_err((number, text, url.to_owned())),
            None => PyOSError::new_err((number, text, path.to_path_buf())),
        },
        None => PyOSError::new_err(format!("{}: {text}", safe(py, path))),
    }
}

/// What is wrong, in the words of whoever fetches the file when it is elsewhere.
fn said(path: &Path, error: &io::Error) -> String {
    error.raw_os_error().and_then(|_| remote::why(path)).unwrap_or_else(|| plain(error))
}

/// The operating system's words without the number that Rust adds.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
