//! Names of addresses, learnt from DNS answers, hellos and requests.

use std::collections::HashMap;

use crate::packet::Key;

/// Addresses that get names; further ones get none.
pub const MAX_ADDRESSES: usize = 1 << 18;
/// Names of one address; the first ones stay.
pub const MAX_NAMES: usize = 8;

/// An IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// 4 or 6.
    pub version: u8,
    /// As in [`Key`].
    pub bytes: [u8; 16],
}

impl Address {
    /// An end of a flow.
    pub fn of(key: &Key, hi: bool) -> Self {
        Self { version: key.version & !Key::ORPHAN, bytes: if hi { key.hi } else { key.lo } }
    }

    /// The data of an A or AAAA record.
    pub fn read(data: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..data.len())?.copy_from_slice(data);
        match data.len() {
            4 => Some(Self { version: 4, bytes }),
            16 => Some(Self { version: 6, bytes }),
            _ => None,
        }
    }
}

/// Numbers of names by address.
#[derive(Debug, Default)]
pub struct Addresses {
    names: HashMap<Address, Given>,
}

#[derive(Debug, Default)]
struct Given {
    /// What DNS said last.
    latest: u32,
    /// All names, in the order they came up.
    all: Vec<u32>,
}

impl Addresses {
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// An address was named; `by_dns`: by an answer.
    pub fn learn(&mut self, address: Address, name: u32, by_dns: bool) {
        if name == 0 || (self.names.len() >= MAX_ADDRESSES && !self.names.contains_key(&address)) {
            return;
        }
        let given = self.names.entry(address).or_default();
        if by_dns {
            given.latest = name;
        }
        if given.all.len() < MAX_NAMES && !given.all.contains(&name) {
            given.all.push(name);
        }
    }

    /// What DNS called it last; 0 for nothing.
    pub fn first(&self, address: &Address) -> u32 {
        self.names.get(address).map_or(0, |given| given.latest)
    }

    /// All addresses in their order, with the numbers of their names.
    pub fn sorted(&self) -> Vec<(Address, &[u32])> {
        let mut all: Vec<_> = self.names.iter().map(|(address, given)| (*address, &given.all[..])).collect();
        all.sort_unstable();
        all
    }
}
