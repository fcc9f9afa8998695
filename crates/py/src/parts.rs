//! `FlowParts`: which captures hold packets of each flow.

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatchIterator, RecordBatchReader};
use flowkeep_io::table::parts::{Parts, SCHEMA};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

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
        let _ = requested_schema; // a wish that may be left unheard, says the interface
        let batches: Box<dyn RecordBatchReader + Send> =
            Box::new(RecordBatchIterator::new(self.0.batches(), SCHEMA.clone()));
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(batches), c"arrow_array_stream")
    }
}
