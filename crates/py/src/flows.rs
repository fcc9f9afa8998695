//! The flow table as a Python object.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use flowkeep_core::flow::client::client;
use flowkeep_core::identify::flows::COLUMNS;
use flowkeep_core::identify::Identified;
use flowkeep_core::packet::Key;
use flowkeep_core::select::{FlowFilter, Program};
use flowkeep_io::dataset::standard_output;
use flowkeep_io::remote::create_any;
use flowkeep_io::table::coded::Coded;
use flowkeep_io::table::details::{Value, NAMES};
use flowkeep_io::table::flows::{Flows, Held};
use flowkeep_io::table::services::Value as Told;
use flowkeep_io::table::text;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList};

use super::{errors, models};

/// Batches as an Arrow C stream. A schema may be wished for; the wish may be left unheard, says the interface.
pub fn arrow_stream<'py, B>(
    py: Python<'py>,
    batches: B,
    schema: SchemaRef,
    _wished: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyCapsule>>
where
    B: IntoIterator<Item = Result<RecordBatch, ArrowError>> + 'static,
    B::IntoIter: Send + 'static,
{
    let batches: Box<dyn RecordBatchReader + Send> = Box::new(RecordBatchIterator::new(batches, schema));
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(batches), c"arrow_array_stream")
}

/// The flows of a data set.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct FlowTable(pub Flows);

#[pymethods]
impl FlowTable {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        arrow_stream(py, self.0.batches(), self.0.schema().clone(), requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.0.schema().as_ref()).map_err(failed)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    #[getter]
    fn columns(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    #[pyo3(signature = (column, n, *, descending=true))]
    fn top(&self, py: Python<'_>, column: &str, n: usize, descending: bool) -> PyResult<Self> {
        let order = self.0.order(column).ok_or_else(|| {
            let names = self.columns().join(", ");
            PyValueError::new_err(format!(
                "there is no column {column:?}; there are {names}, and bytes, packets, payload_bytes"
            ))
        })?;
        Ok(Self(py.detach(|| self.0.top(order, n, descending))))
    }

    #[pyo3(signature = (plain=Vec::new()))]
    fn coded(&self, py: Python<'_>, plain: Vec<String>) -> PyResult<CodedFlows> {
        py.detach(|| self.0.coded(&plain)).map(CodedFlows).map_err(failed)
    }

    fn inside<'py>(&self, py: Python<'py>, networks: Vec<(Vec<u8>, u32)>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| self.0.inside(&networks)))
    }

    #[pyo3(signature = (program, *, tags))]
    fn matching<'py>(&self, py: Python<'py>, program: Vec<u8>, tags: bool) -> PyResult<Bound<'py, PyBytes>> {
        let program = Program::decode(&program).map_err(|why| PyValueError::new_err(why.to_string()))?;
        let filter = FlowFilter::new(program, tags);
        Ok(PyBytes::new(py, &py.detach(|| self.0.matching(&filter))))
    }

    fn take(&self, ids: Vec<u32>) -> PyResult<Self> {
        self.0.take(ids).map(Self).map_err(PyValueError::new_err)
    }

    fn slice(&self, offset: usize, n: usize) -> Self {
        Self(self.0.slice(offset, n))
    }

    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let mut buffer = String::new();
        for row in 0..self.0.len() {
            list.append(self.row(py, row, &mut buffer)?)?;
        }
        Ok(list)
    }

    fn names(&self) -> Vec<(String, Vec<String>)> {
        let Some(identified) = self.0.identified() else { return Vec::new() };
        identified
            .named()
            .map(|(address, names)| {
                let mut out = String::new();
                let key = Key { lo: address.bytes, version: address.version, ..Key::default() };
                text::address(&mut out, &key, false);
                (out, names.into_iter().map(str::to_owned).collect())
            })
            .collect()
    }

    fn learn<'py>(&self, py: Python<'py>, name: &str, ids: Vec<u32>) -> PyResult<Bound<'py, PyDict>> {
        let learnt = py.detach(|| {
            let numbers: HashSet<u32> = self.0.numbers(&ids)?.into_iter().map(|pair| pair.0).collect();
            let identified = self.0.identified().ok_or("the starts of flows were not kept")?;
            identified.learn(self.0.table(), name, |n| numbers.contains(&n))
        });
        let learnt = learnt.map_err(|why: String| errors::named(py, "UsageError", why))?;
        let dict = models::describe(py, &learnt.model)?;
        dict.set_item("silent", learnt.silent)?;
        dict.set_item("alike", learnt.alike)?;
        dict.set_item("left_out", learnt.left_out)?;
        Ok(dict)
    }

    fn left_out(&self) -> (u64, u64) {
        self.0.identified().map_or((0, 0), Identified::left_out)
    }

    fn write_arrow(&self, py: Python<'_>, path: PathBuf) -> PyResult<u64> {
        py.detach(|| {
            let standard = path.as_os_str() == "-";
            let out: Box<dyn Write + Send> =
                if standard { Box::new(standard_output()?) } else { create_any(&path)? };
            let counted = Counted { out: BufWriter::with_capacity(1 << 18, out), bytes: 0 };
            let mut counted = self.0.write_arrow(counted).map_err(unwrap)?;
            counted.out.flush()?;
            Ok(counted.bytes)
        })
        .map_err(|error: io::Error| errors::written(py, &path, &error))
    }
}

impl FlowTable {
    fn row<'py>(&self, py: Python<'py>, row: usize, text: &mut String) -> PyResult<Bound<'py, PyDict>> {
        let (id, flow) = self.0.row(row);
        let (c, guessed) = client(flow);
        let (client, server) = (&flow.side[c], &flow.side[1 - c]);
        let key = &flow.key;
        let port = |hi: bool| if hi { key.hi_port } else { key.lo_port };
        let dict = PyDict::new(py);
        let address = |text: &mut String, hi: bool| {
            text.clear();
            text::address(text, key, hi);
            text.clone()
        };
        dict.set_item("flow_id", id)?;
        dict.set_item("proto", text::protocol(key.proto))?;
        dict.set_item("client_ip", address(text, c == 1))?;
        dict.set_item("client_port", port(c == 1))?;
        dict.set_item("server_ip", address(text, c == 0))?;
        dict.set_item("server_port", port(c == 0))?;
        dict.set_item("first_ts", flow.first_ts)?;
        dict.set_item("last_ts", flow.last_ts)?;
        dict.set_item("duration", flow.last_ts.saturating_sub(flow.first_ts))?;
        dict.set_item("client_packets", client.packets)?;
        dict.set_item("server_packets", server.packets)?;
        dict.set_item("client_bytes", client.bytes)?;
        dict.set_item("server_bytes", server.bytes)?;
        dict.set_item("client_payload_bytes", client.payload)?;
        dict.set_item("server_payload_bytes", server.payload)?;
        dict.set_item("state", flowkeep_core::flow::state::name(flow))?;
        dict.set_item("client_guessed", guessed)?;
        text.clear();
        dict.set_item("vlan", text::vlan(text, flow.vlan).then_some(text.as_str()))?;
        text.clear();
        dict.set_item("tunnel", text::tunnels(text, flow.tunnels).then_some(text.as_str()))?;
        let community = self.0.community_id(flow);
        let community = community.as_ref().and_then(|id| std::str::from_utf8(id).ok());
        dict.set_item("community_id", community)?;
        if let Some(held) = self.0.held(row) {
            for (column, name) in Held::NAMES.iter().enumerate() {
                dict.set_item(name, held.value(column))?;
            }
        }
        if let Some(detail) = self.0.detail(row) {
            for (column, name) in NAMES.iter().enumerate() {
                text.clear();
                match detail.value(column) {
                    Value::Ns(ns) => dict.set_item(name, ns)?,
                    Value::Number(n) => dict.set_item(name, n)?,
                    value => dict.set_item(name, value.write(text).then_some(text.as_str()))?,
                }
            }
        }
        if let Some(service) = self.0.service(row) {
            for &(column, name) in &COLUMNS {
                match service.value(column) {
                    Told::Null => dict.set_item(name, py.None())?,
                    Told::Number(n) => dict.set_item(name, n)?,
                    Told::Flag(flag) => dict.set_item(name, flag)?,
                    Told::Text(text) => dict.set_item(name, &*text)?,
                }
            }
        }
        Ok(dict)
    }
}

/// The flow table with numbers for texts.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct CodedFlows(Coded);

#[pymethods]
impl CodedFlows {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        arrow_stream(py, [Ok(self.0.batch.clone())], self.0.batch.schema(), requested_schema)
    }

    fn texts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, texts) in &self.0.texts {
            dict.set_item(name, PyList::new(py, texts.iter().map(|text| &**text))?)?;
        }
        Ok(dict)
    }
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The operating system's error inside one of Arrow's, so that a full disk stays one.
fn unwrap(error: arrow_schema::ArrowError) -> io::Error {
    match error {
        arrow_schema::ArrowError::IoError(_, error) => error,
        error => io::Error::other(error),
    }
}

fn failed(error: arrow_schema::ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
