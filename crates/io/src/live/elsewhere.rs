//! In the place of what only Linux has.

use std::sync::Arc;

use super::input::{Packets, Shared, Stop};
use super::{Error, Settings};

/// There is none here.
pub enum Tap {}

impl Tap {
    /// Always an error.
    pub fn open(_: Option<&str>, _: Settings, _: Arc<dyn Packets>) -> Result<Self, Error> {
        Err(Error::Usage(
            "interfaces are captured on Linux only; elsewhere pipe them in: tcpdump -w - | flowkeep cache run --read -"
                .to_owned(),
        ))
    }

    /// Never called.
    pub fn stats(&self) -> Shared {
        match *self {}
    }

    /// Never called.
    pub fn run(self, _: &Stop) {
        match self {}
    }
}

/// Giving up privileges.
pub mod privileges {
    use std::io;

    /// A user and a group.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Account {
        /// User id.
        pub uid: u32,
        /// Group id.
        pub gid: u32,
    }

    /// Always an error.
    pub fn drop_all(_: Option<Account>) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "privileges are given up on Linux only"))
    }
}
