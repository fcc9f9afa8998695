//! `FlowParts`: which captures hold packets of each flow.

use flowkeep_io::table::parts::{Parts, SCHEMA};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::flows::arrow_stream;

/// What each capture holds of each flow.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct FlowParts(pub Parts);

#[pymethods]
impl FlowParts {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn of(&self, first: u32, end: u32) -> Self {
        Self(self.0.of(first, end))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        arrow_stream(py, self.0.batches(), SCHEMA.clone(), requested_schema)
    }
}
