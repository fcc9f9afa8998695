//! Runs native work beside the calling thread, which looks at signals and reports progress.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use flowkeep_core::pipe::Control;
use flowkeep_io::dataset::Error;
use pyo3::prelude::*;

use super::errors::to_python;

/// How often signals are looked at.
const PERIOD: Duration = Duration::from_millis(80);

/// As [`run`]; errors in writing name `out`.
pub fn run_to<T: Send>(
    py: Python<'_>,
    path: &Path,
    out: &Path,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Control) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let done = run(py, path, progress, |control| match work(control) {
        Err(Error::Output(error)) => Ok(Err(error)),
        other => other.map(Ok),
    })?;
    done.map_err(|error| to_python(py, out, Error::Output(error)))
}

/// Runs `work` without the GIL. `size` is the capture's size for the progress, -1 if it is not known.
pub fn run<T: Send>(
    py: Python<'_>,
    path: &Path,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Control) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let control = Control::default();
    let size = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map_or(-1, |m| m.len() as i64);
    let mut raised = None;
    let result = py.detach(|| {
        std::thread::scope(|scope| {
            let (send, done) = mpsc::channel();
            let control = &control;
            scope.spawn(move || {
                let _ = send.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(control))));
            });
            loop {
                match done.recv_timeout(PERIOD) {
                    Ok(result) => return Some(result),
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) if raised.is_none() => {
                        if let Err(error) = Python::attach(|py| tick(py, progress, control, size)) {
                            raised = Some(error);
                            control.cancel();
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        })
    });
    if let Some(error) = raised {
        return Err(error);
    }
    match result {
        Some(Ok(Ok(value))) => Ok(value),
        Some(Ok(Err(error))) => Err(to_python(py, path, error)),
        Some(Err(panic)) => std::panic::resume_unwind(panic),
        None => Err(pyo3::exceptions::PyRuntimeError::new_err("the native work vanished")),
    }
}

fn tick(py: Python<'_>, progress: Option<&Py<PyAny>>, control: &Control, size: i64) -> PyResult<()> {
    py.check_signals()?;
    if let Some(progress) = progress {
        progress.call1(py, (control.done(), size))?;
    }
    Ok(())
}
