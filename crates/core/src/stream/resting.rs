//! A connection of which nothing waits, in a seventh of the memory. Waking it gives it back as it was.
//!
//! Most connections of a capture are over, or silent for long, and any of them may still get a segment: one that was
//! sent again, or data behind the FIN. So none can be forgotten, and all but those that are busy rest.

use super::budget::{Budget, Limits};
use super::conn::Connection;
use super::event::Counts;
use super::half::Half;
use super::history::History;
use super::policy::Policy;
use super::segment::Origin;

/// A connection at rest.
#[derive(Debug)]
pub struct Resting {
    state: Box<[u8]>,
    /// What was handed on lately, to compare what comes again.
    histories: Option<Box<[History; 2]>>,
}

impl Connection {
    /// Puts it to rest; if something of it waits, it is given back.
    ///
    /// # Errors
    /// The connection, as it is.
    pub fn rest(mut self) -> Result<Resting, Box<Self>> {
        if !self.half.iter().all(Half::waits_for_nothing) {
            return Err(Box::new(self));
        }
        let mut out = Packer::default();
        out.number(u64::from(self.epoch));
        for n in 0..2 {
            out.maybe(self.scale[n].map(u64::from));
            out.maybe(self.unsure[n].map(u64::from));
            out.counts(&self.before[n]);
            self.half[n].pack(&mut out);
        }
        let histories = self.half.each_mut().map(|half| std::mem::take(&mut half.history));
        let histories = histories.map(History::at_rest);
        let known = histories.iter().any(|history| !history.is_empty());
        Ok(Resting { state: out.0.into_boxed_slice(), histories: known.then(|| Box::new(histories)) })
    }

    /// Whether both ends have sent their last, as far as anybody knows.
    pub fn is_over(&self) -> bool {
        self.half.iter().all(|half| half.reset) || self.half.iter().all(|half| half.fin_said)
    }
}

impl Resting {
    /// The connection as it was; what it was made with must be given again.
    pub fn wake(self, policy: Policy, limits: Limits, budget: &Budget) -> Connection {
        let mut connection = Connection::new(policy, limits, budget.clone());
        let mut input = Unpacker(&self.state);
        connection.epoch = input.number() as u32;
        for n in 0..2 {
            connection.scale[n] = input.maybe().map(|n| n as u8);
            connection.unsure[n] = input.maybe().map(|n| n as u32);
            connection.before[n] = input.counts();
            connection.half[n].unpack(&mut input);
        }
        if let Some(histories) = self.histories {
            for (half, history) in connection.half.iter_mut().zip(*histories) {
                half.history = history;
            }
        }
        connection
    }

    /// Forgets what was handed on: what comes again cannot be compared any more.
    pub fn forget(&mut self, budget: &Budget) {
        for mut history in self.histories.take().map(|both| *both).into_iter().flatten() {
            history.clear(budget);
        }
    }
}

impl Half {
    fn waits_for_nothing(&self) -> bool {
        self.store.is_empty() && self.aside.is_empty() && self.snapped.cost() == 0 && self.charged == 0
    }

    fn pack(&self, out: &mut Packer) {
        out.number(u64::from(self.epoch));
        let flags = [
            self.isn_bad,
            self.started,
            self.no_window,
            self.fin_said,
            self.reset,
            self.cut,
            self.modulo_said,
            self.good_data,
            self.good_any,
            self.offload,
        ];
        out.number(flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u64::from(flag)));
        for n in [self.base, self.isn, self.other_isn, self.hint] {
            out.maybe(n.map(u64::from));
        }
        for n in [self.start, self.next, self.high, self.max_window, self.cut_at] {
            out.signed(n);
        }
        for n in [self.low, self.acked, self.edge, self.fin] {
            out.maybe(n.map(zigzag));
        }
        out.maybe(self.early_ack.map(|(ack, _)| u64::from(ack)));
        out.signed(self.early_ack.map_or(0, |(_, window)| window));
        out.maybe(self.cut_payload);
        out.number(self.last.frame);
        out.signed(self.last.ts);
        out.number(u64::from(self.last.ttl) << 16 | u64::from(self.last.ip_id));
        out.counts(&self.counts);
    }

    fn unpack(&mut self, input: &mut Unpacker<'_>) {
        self.epoch = input.number() as u32;
        let mut bits = input.number();
        for flag in [
            &mut self.isn_bad,
            &mut self.started,
            &mut self.no_window,
            &mut self.fin_said,
            &mut self.reset,
            &mut self.cut,
            &mut self.modulo_said,
            &mut self.good_data,
            &mut self.good_any,
            &mut self.offload,
        ] {
            *flag = bits & 1 != 0;
            bits >>= 1;
        }
        for n in [&mut self.base, &mut self.isn, &mut self.other_isn, &mut self.hint] {
            *n = input.maybe().map(|n| n as u32);
        }
        for n in [&mut self.start, &mut self.next, &mut self.high, &mut self.max_window, &mut self.cut_at] {
            *n = input.signed();
        }
        for n in [&mut self.low, &mut self.acked, &mut self.edge, &mut self.fin] {
            *n = input.maybe().map(unzigzag);
        }
        let (ack, window) = (input.maybe(), input.signed());
        self.early_ack = ack.map(|ack| (ack as u32, window));
        self.cut_payload = input.maybe();
        let (frame, ts, rest) = (input.number(), input.signed(), input.number());
        self.last = Origin { frame, ts, ttl: (rest >> 16) as u8, ip_id: rest as u16 };
        self.counts = input.counts();
    }
}

fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Numbers, seven bits a byte, the lowest first.
#[derive(Default)]
struct Packer(Vec<u8>);

impl Packer {
    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn signed(&mut self, n: i64) {
        self.number(zigzag(n));
    }

    /// A number that may be there. What is as large as 64 bits can hold takes a byte more.
    fn maybe(&mut self, n: Option<u64>) {
        match n {
            None => self.0.push(0),
            Some(u64::MAX) => {
                self.number(1);
                self.number(1);
            }
            Some(0) => {
                self.number(1);
                self.number(0);
            }
            Some(n) => self.number(n + 1),
        }
    }

    fn counts(&mut self, c: &Counts) {
        for n in [
            c.captured,
            c.delivered,
            c.duplicate,
            c.conflicting,
            c.unchecked,
            c.refused,
            c.padding,
            c.missing,
            c.bounds,
        ] {
            self.number(n);
        }
    }
}

struct Unpacker<'a>(&'a [u8]);

impl Unpacker<'_> {
    fn number(&mut self) -> u64 {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let Some((&byte, rest)) = self.0.split_first() else { return n };
            self.0 = rest;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        n
    }

    fn signed(&mut self) -> i64 {
        unzigzag(self.number())
    }

    fn maybe(&mut self) -> Option<u64> {
        match self.number() {
            0 => None,
            1 => Some(if self.number() == 0 { 0 } else { u64::MAX }),
            n => Some(n - 1),
        }
    }

    fn counts(&mut self) -> Counts {
        Counts {
            captured: self.number(),
            delivered: self.number(),
            duplicate: self.number(),
            conflicting: self.number(),
            unchecked: self.number(),
            refused: self.number(),
            padding: self.number(),
            missing: self.number(),
            bounds: self.number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn a_rest_changes_nothing(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            super::super::fuzz_bytes(&data);
        }

        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(any::<u64>(), 0..40)) {
            let edges = [0, 1, 2, 127, 128, u64::MAX, u64::MAX - 1, 1 << 63];
            let mut out = Packer::default();
            for &n in numbers.iter().chain(&edges) {
                out.number(n);
                out.signed(n as i64);
                out.maybe(Some(n));
                out.maybe(None);
            }
            let mut input = Unpacker(&out.0);
            for &n in numbers.iter().chain(&edges) {
                prop_assert_eq!((input.number(), input.signed()), (n, n as i64));
                prop_assert_eq!((input.maybe(), input.maybe()), (Some(n), None));
            }
            prop_assert!(input.0.is_empty());
        }
    }
}
