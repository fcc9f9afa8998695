//! Filters: programs that Python has had compiled.

use flowkeep_core::select::{BadProgram, Filter, Program, Rule};
use pyo3::prelude::*;

/// What a filter does with packets of one link type, as the stub says it.
#[derive(FromPyObject)]
pub enum Given {
    Refused(String),
    Program(Vec<u8>),
    Family(Vec<u8>, Vec<u8>),
}

/// The filter of an argument; a program that cannot be run is a refusal.
pub fn filter(given: Vec<(u16, Given)>) -> Filter {
    Filter::new(given.into_iter().map(|(link, rule)| (link, rule_of(rule).unwrap_or_else(refused))))
}

fn rule_of(given: Given) -> Result<Rule, BadProgram> {
    Ok(match given {
        Given::Refused(why) => Rule::Refused(why),
        Given::Program(bytes) => Rule::Program(Program::decode(&bytes)?),
        Given::Family(little, big) => {
            Rule::Family { little: Program::decode(&little)?, big: Program::decode(&big)? }
        }
    })
}

fn refused(why: BadProgram) -> Rule {
    Rule::Refused(why.to_string())
}

/// Why a program cannot be run, `None` if it can.
#[pyfunction]
pub fn program_problem(program: Vec<u8>) -> Option<String> {
    Program::decode(&program).err().map(|why| why.to_string())
}
