//! What ledgers say, without the captures beside them.

use std::collections::HashMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use flowkeep_core::cut::ledger::{adopt, Row};
use flowkeep_core::flow::Rules;
use flowkeep_core::packet::Seed;
use flowkeep_core::pipe;
use flowkeep_io::table::flows::Flows;
use flowkeep_io::table::{ledger, sizes};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::{named, safe};
use super::flows::FlowTable;

/// The cutoffs of a curve.
#[pyfunction]
pub fn curve_cutoffs() -> Vec<u64> {
    sizes::cutoffs()
}

/// Per ledger: its metadata, or why it has none.
#[pyfunction]
#[allow(clippy::type_complexity)] // one of two, for each
pub fn ledger_metadata(
    py: Python<'_>,
    paths: Vec<PathBuf>,
) -> Vec<(Option<HashMap<String, String>>, Option<String>)> {
    let read = |path: &PathBuf| match sizes::metadata(path) {
        Ok(found) => (Some(found), None),
        Err(why) => (None, Some(why)),
    };
    py.detach(|| paths.iter().map(read).collect())
}

/// Packets, captured bytes, flows, time of the last packet, curve.
type Told = (u64, u64, u64, Option<i64>, Py<PyBytes>);

/// A curve taken apart.
#[pyfunction]
pub fn parse_curve(py: Python<'_>, text: &str) -> Option<Told> {
    let curve = sizes::Curve::parse(text)?;
    let [packets, held, flows] = curve.all;
    Some((packets, held, flows, curve.last_ts, PyBytes::new(py, &curve.points).unbind()))
}

fn read(py: Python<'_>, path: &Path) -> PyResult<(ledger::About, Vec<Row>)> {
    let read = py.detach(|| {
        let file =
            flowkeep_io::remote::open_any(path, None).map_err(|e| format!("it cannot be opened: {e}"))?;
        ledger::read(BufReader::new(file))
    });
    read.map_err(|why| named(py, "LedgerError", format!("{}: the ledger is broken: {why}", safe(py, path))))
}

/// The curve from the rows of a ledger that has none in its metadata.
#[pyfunction]
pub fn ledger_curve(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let (about, rows) = read(py, &path)?;
    Ok(py.detach(|| {
        sizes::curve(&about, &rows, |i| rows[i].before[0].bytes.saturating_add(rows[i].before[1].bytes))
    }))
}

/// The flows of a ledger's rows, without what other files hold of them.
#[pyfunction]
pub fn ledger_flows(py: Python<'_>, path: PathBuf) -> PyResult<FlowTable> {
    let (_, rows) = read(py, &path)?;
    Ok(FlowTable(py.detach(|| {
        let mut scan = pipe::Scan::new(Rules::default(), Seed::default(), Vec::new());
        adopt(&mut scan.tracker, &rows, Row::left);
        Flows::new(scan.tracker.into_table(), None, None, 0)
    })))
}
