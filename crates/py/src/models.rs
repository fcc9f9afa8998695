//! `Models`: learnt protocols, and what a model file says.

use std::sync::Arc;

use flowkeep_core::identify::models::chance::Chance;
use flowkeep_core::identify::models::counts::NO_SCORE;
use flowkeep_core::identify::models::score::{cap, Scorer};
use flowkeep_core::identify::models::{merge, Model};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::carriers;
use super::errors::named;

/// Models, ready to be asked.
#[pyclass(frozen, module = "flowkeep._native")]
pub struct Models(pub Arc<flowkeep_core::identify::Models>);

#[pymethods]
impl Models {
    #[new]
    fn new(py: Python<'_>, files: Vec<(String, Vec<u8>)>) -> PyResult<Self> {
        let models = parse(py, &files)?;
        let models = py.detach(|| flowkeep_core::identify::Models::new(&models));
        models.map(|models| Self(Arc::new(models))).map_err(|why| named(py, "ModelError", why))
    }

    fn protocols(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        self.0.protocols().iter().map(|protocol| (protocol.label, carriers(protocol))).collect()
    }
}

/// Makes one model of several of one name.
#[pyfunction]
pub fn merge_models(py: Python<'_>, files: Vec<(String, Vec<u8>)>) -> PyResult<Bound<'_, PyDict>> {
    let models = parse(py, &files)?;
    let merged = py.detach(|| merge(&models)).map_err(|why| named(py, "UsageError", why))?;
    describe(py, &merged)
}

fn parse(py: Python<'_>, files: &[(String, Vec<u8>)]) -> PyResult<Vec<Model>> {
    let read = |(name, data): &(String, Vec<u8>)| {
        Model::parse(data).map_err(|misfit| named(py, "ModelError", format!("{name}: {misfit}")))
    };
    files.iter().map(read).collect()
}

/// A model as text, and what it rests on.
pub fn describe<'py>(py: Python<'py>, model: &Model) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &model.name)?;
    dict.set_item("text", model.to_string())?;
    let parts = PyList::empty(py);
    let chance = Chance::default();
    let bits = |milli: i32| f64::from(milli) / 1000.0;
    for (carrier, part) in &model.parts {
        let scorer = Scorer::new(part, &chance);
        let about = PyDict::new(py);
        about.set_item("carrier", carrier.to_string())?;
        about.set_item("flows", part.flows)?;
        about.set_item("examples", part.examples.len())?;
        about.set_item("others", part.others)?;
        about.set_item("highest", (part.highest != NO_SCORE).then(|| bits(part.highest)))?;
        about.set_item("threshold", bits(part.derived.threshold))?;
        about.set_item("held", part.derived.held)?;
        about.set_item("held_of", part.derived.of)?;
        about.set_item("confidence", cap(&part.derived))?;
        about.set_item("client", scorer.weights(0).map(bits).collect::<Vec<f64>>())?;
        about.set_item("server", scorer.weights(1).map(bits).collect::<Vec<f64>>())?;
        let lengths = scorer.lengths().map(|(token, milli)| (token.to_string(), bits(milli)));
        about.set_item("lengths", lengths.collect::<Vec<_>>())?;
        parts.append(about)?;
    }
    dict.set_item("parts", parts)?;
    Ok(dict)
}
