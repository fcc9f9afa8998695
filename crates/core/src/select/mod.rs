//! Which flows and packets are wanted.

mod chosen;

#[cfg(test)]
mod chosen_tests;

pub use chosen::{Chosen, Sessions, UNCHOSEN};
