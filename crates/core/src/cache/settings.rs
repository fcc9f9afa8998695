//! How much is kept, for how long.

use std::fmt;

use crate::flow::Rules;
use crate::packet::{Options, Seed};

/// Captured bytes of a packet that are kept at most: libpcap's largest snap length. What is longer is shortened, and
/// its true length is kept.
pub const MOST_CAPTURED: usize = 262_144;

/// Bytes of an interface's name that are kept at most.
pub(super) const MOST_NAME: usize = 256;

/// The least memory with which a store works.
pub const LEAST_MEMORY: u64 = 1 << 20;

/// How a store is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that everything takes together at most.
    pub memory: u64,
    /// How the allowance of a flow falls.
    pub curve: Curve,
    /// Where sessions end. The number of flows is bounded by the memory alone.
    pub rules: Rules,
    /// How headers are read.
    pub options: Options,
    /// The key of the hash; random, so that nobody can aim at one place of the table.
    pub seed: Seed,
}

/// How the allowance of a flow falls with the time since it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    steps: Vec<(i64, u64)>,
}

impl Curve {
    /// "All": no limit.
    pub const ALL: u64 = u64::MAX;
    /// Steps that a curve has at most.
    pub const MOST_STEPS: usize = 16;

    /// A curve of steps (age in nanoseconds, bytes): up to this age a flow keeps so many bytes. After the last one it is
    /// let go.
    ///
    /// # Errors
    /// When there is no step or there are more than [`Curve::MOST_STEPS`], when ages do not rise or bytes do not fall.
    pub fn new(steps: Vec<(i64, u64)>) -> Result<Self, BadSettings> {
        let bad = |why: String| Err(BadSettings(why));
        if steps.is_empty() || steps.len() > Self::MOST_STEPS {
            return bad(format!("a curve has 1 to {} steps, this one has {}", Self::MOST_STEPS, steps.len()));
        }
        for (n, &(age, bytes)) in steps.iter().enumerate() {
            if age <= 0 || bytes == 0 {
                return bad(format!(
                    "step {n} of the curve: age and bytes are more than 0, not {age} and {bytes}"
                ));
            }
            if n > 0 && (age <= steps[n - 1].0 || bytes >= steps[n - 1].1) {
                return bad(format!(
                    "step {n} of the curve: ages rise and bytes fall from step to step, but {age} ns and {bytes} bytes \
                     follow {} ns and {} bytes",
                    steps[n - 1].0,
                    steps[n - 1].1
                ));
            }
        }
        Ok(Self { steps })
    }

    /// The steps.
    pub fn steps(&self) -> &[(i64, u64)] {
        &self.steps
    }
}

/// Why a store cannot be made like that; in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSettings(pub String);

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSettings {}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Link type (number in the LINKTYPE registry).
    pub link: u16,
    /// Name; at most 256 bytes of it are kept.
    pub name: String,
    /// Limit to the captured length, 0: none.
    pub snap_length: u32,
}

/// Number of an interface in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u16);
