//! What a store says of itself, in pieces, so that nobody has to hold it for long.

use std::ops::Range;

use super::clock::Clock;
use super::outbox::{Gone, Outbox};
use super::pool::CELL;
use super::record::Class;
use super::status::{Band, Status, Totals, Used};
use super::store::Store;
use crate::flow::Flow;

impl Store {
    /// What the store says of itself; `bands` are empty of flows, [`Store::count`] fills them.
    pub fn status(&self) -> Status {
        let cell = CELL as u64;
        let flows: u64 = self.flows.iter().sum::<u64>() + 1;
        let cells: u64 = self.cells.iter().map(|&n| u64::from(n)).sum();
        let time = |place: u32| (place != 0).then(|| self.pool.time(place));
        Status {
            bound: self.settings.memory,
            used: Used {
                packets: (cells - flows) * cell,
                flows: flows * cell,
                indexes: self.fixed + self.order.bytes(),
                readers: self.readers.bytes,
                spill: self.outbox.as_ref().map_or(0, |outbox| outbox.bound),
            },
            received: self.received,
            held: self.held,
            let_go: self.let_go,
            flows: self.flows.iter().sum(),
            flows_aside: [self.flows[Class::Unanswered as usize], self.flows[Class::Icmp as usize]],
            bands: self.bands(),
            stretch: self.stretch(),
            oldest: time(self.order.first()),
            newest: time(self.order.last()),
            interfaces: self.interfaces.clone(),
            readers: self.readers.len() as u64,
            shortened: self.shortened,
        }
    }

    fn stretch(&self) -> f64 {
        if self.pressure > 0.0 {
            1.0 / self.pressure
        } else {
            0.0
        }
    }

    /// The steps of the curve as it is scaled now, as bands without flows. As long as nothing had to go they are those of the curve.
    fn bands(&self) -> Vec<Band> {
        let stretch = if self.pressure > 0.0 { 1.0 / self.pressure } else { 1.0 };
        let mut from = 0;
        let mut bands = Vec::new();
        for &(age, allowance) in self.settings.curve.steps() {
            let to = (age as f64 * stretch).min(i64::MAX as f64) as i64;
            bands.push(Band { from, to, allowance, ..Band::default() });
            from = to;
        }
        bands.push(Band { from, to: i64::MAX, allowance: 0, ..Band::default() });
        bands
    }

    /// Chains of the flow table: what [`Store::count`] and [`Store::flows_in`] take pieces of.
    pub fn chains(&self) -> usize {
        self.buckets.len()
    }

    /// Adds the flows of some chains to the bands of a status.
    pub fn count(&self, chains: Range<usize>, bands: &mut [Band]) {
        let now = self.clock.tick();
        for cell in self.cells_of(chains) {
            let r = self.pool.record(cell);
            let age = Clock::ns(now.saturating_sub(r.stamp()));
            if let Some(band) = bands.iter_mut().find(|b| age < b.to || b.to == i64::MAX) {
                band.flows += 1;
                band.held.packets += u64::from(r.packets);
                band.held.bytes += r.head_bytes + r.tail_bytes;
            }
        }
    }

    /// Appends the flows of some chains: each with its true totals, and the packets and bytes that are held of it.
    pub fn flows_in(&self, chains: Range<usize>, out: &mut Vec<(Flow, Totals)>) {
        for cell in self.cells_of(chains) {
            let r = self.pool.record(cell);
            let held = Totals { packets: u64::from(r.packets), bytes: r.head_bytes + r.tail_bytes };
            out.push((r.flow, held));
        }
    }

    /// All flows, in the order in which they began.
    pub fn flows(&self) -> Vec<(Flow, Totals)> {
        let mut flows = Vec::new();
        self.flows_in(0..self.chains(), &mut flows);
        flows.sort_unstable_by_key(|f| f.0.first);
        flows
    }

    pub(super) fn cells_of(&self, chains: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        let end = chains.end.min(self.buckets.len());
        self.buckets[chains.start.min(end)..end].iter().flat_map(|&first| {
            std::iter::successors((first != 0).then_some(first), |&cell| {
                Some(self.pool.next(cell)).filter(|&next| next != 0)
            })
        })
    }

    /// What the curve allows a flow that was last seen so long ago, as it is scaled now.
    pub fn allowance(&self, age: i64) -> u64 {
        self.bands().iter().find(|b| age < b.to).map_or(0, |b| b.allowance)
    }

    /// From now on flows that are let go as a whole are kept for [`Store::take_gone`], up to so many bytes, which are taken
    /// from the memory of the store; 0: no longer.
    pub fn keep_gone(&mut self, bound: u64) {
        if let Some(outbox) = self.outbox.take() {
            self.pool.release((outbox.bound / CELL as u64) as u32);
        }
        if bound == 0 {
            return;
        }
        let cells = (bound / CELL as u64).min(u64::from(self.pool.len() / 4)) as u32;
        self.make_room(cells);
        self.pool.hold_back(cells);
        self.outbox = Some(Outbox::new(u64::from(cells) * CELL as u64));
    }

    /// Whether so many of them wait that they should be taken soon.
    pub fn is_gone_waiting(&self) -> bool {
        self.outbox.as_ref().is_some_and(Outbox::is_filling)
    }

    /// The flows that were let go as a whole since the last time, and the packets for which there was no room.
    pub fn take_gone(&mut self) -> (Vec<Gone>, u64) {
        self.outbox.as_mut().map(Outbox::take).unwrap_or_default()
    }
}
