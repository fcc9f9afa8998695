//! The start of what TLS servers say, until the certificate is there.

use std::collections::HashMap;

use super::super::engine::Input;
use super::super::names::cert::{of_server, Holders};
use super::super::pending::Start;
use super::super::verdict::Stop;

/// Bytes of a server that are looked at.
const MOST: usize = 16_384;
/// Its packets that are looked at.
const PACKETS: u8 = 24;
/// Bytes held by all flows together; flows beyond get no certificate columns.
const ROOM: usize = 64 << 20;

/// Flows whose server's certificate is awaited.
#[derive(Debug, Default)]
pub struct Certs {
    flows: HashMap<u32, Awaited>,
    room: usize,
}

#[derive(Debug)]
struct Awaited {
    server: u8,
    packets: u8,
    start: Start,
}

/// What a segment brought.
pub struct More {
    /// Further segments are wanted.
    pub waits: bool,
    /// The certificate's names.
    pub found: Option<Holders>,
}

impl Certs {
    /// Waits for what this server says from `start` on; false when there is no room.
    pub fn begin(&mut self, n: u32, server: u8, start: Option<u32>) -> bool {
        if self.room >= ROOM {
            return false;
        }
        let awaited = Awaited { server, packets: 0, start: Start::at(start) };
        self.room += awaited.room();
        if let Some(old) = self.flows.insert(n, awaited) {
            self.room -= old.room();
        }
        true
    }

    /// Takes in a segment.
    pub fn segment(&mut self, n: u32, input: &Input<'_>) -> More {
        let Some(awaited) = self.flows.get_mut(&n) else { return More { waits: false, found: None } };
        if input.dir != awaited.server {
            return More { waits: true, found: None };
        }
        let before = awaited.room();
        awaited.start.segment(input.bytes, input.seq, MOST);
        awaited.packets += 1;
        self.room = self.room - before + awaited.room();
        let step = of_server(awaited.start.bytes());
        let over = awaited.packets >= PACKETS || awaited.start.bytes().len() >= MOST || self.room >= ROOM;
        if step == Err(Stop::More) && !over {
            return More { waits: true, found: None };
        }
        self.forget(n);
        More { waits: false, found: step.ok() }
    }

    fn forget(&mut self, n: u32) {
        if let Some(old) = self.flows.remove(&n) {
            self.room -= old.room();
        }
    }

    /// Nothing more comes.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Awaited {
    fn room(&self) -> usize {
        size_of::<Self>() + 64 + self.start.room()
    }
}
