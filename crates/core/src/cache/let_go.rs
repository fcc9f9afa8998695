//! What has to go: which flow, and which of its packets.

use super::outbox::{Gone, Outbox};
use super::packets::Header;
use super::pool::cell_of;
use super::record::{Class, Record};
use super::status::Reason;
use super::store::Store;

/// Cells that are let go at a time, where there are so many to let go.
const BATCH: u32 = 64;
/// Bytes of an ICMP flow before all of it is let go.
const LITTLE: u64 = 4096;

impl Store {
    /// The tick under which a flow stands in its queue, if that is up to date.
    pub(super) fn due(&self, r: &Record) -> u32 {
        if r.queue == 0 && r.tail != 0 {
            // What lies behind the first step ages by itself: a backup that runs for hours keeps its beginning and its last
            // minutes, and does not push out what others had.
            self.pool.header(r.tail).tick
        } else {
            r.stamp()
        }
    }

    /// Puts a flow into the queue of what it holds now. The record is to be written afterwards.
    pub(super) fn requeue(&mut self, cell: u32, r: &mut Record) {
        if r.class == Class::NoFlow {
            return;
        }
        let queue = self.rules.queue(r);
        if queue == usize::from(r.queue) {
            return;
        }
        if r.queue != u8::MAX {
            self.queues[usize::from(r.queue)].remove(&mut self.pool, cell);
            self.queued[usize::from(r.queue)] -= r.cells;
        }
        r.queue = queue as u8;
        self.queued[queue] += r.cells;
        let due = self.due(r);
        self.queues[queue].insert(&mut self.pool, cell, due);
    }

    /// The oldest flow of a queue, and its tick.
    fn oldest(&mut self, queue: usize) -> Option<(u32, u32)> {
        loop {
            let (cell, tick) = self.queues[queue].front(&self.pool)?;
            let due = self.due(&self.pool.record(cell));
            if !self.queues[queue].is_later(due, tick) {
                return Some((cell, due));
            }
            self.queues[queue].remove(&mut self.pool, cell);
            self.queues[queue].insert(&mut self.pool, cell, due);
        }
    }

    /// Sees to it that so many cells are free.
    #[inline]
    pub(super) fn make_room(&mut self, cells: u32) {
        while self.pool.free() < cells {
            if !self.let_go(cells) {
                break;
            }
        }
    }

    /// Lets go of what is the oldest, measured by how old the curve allows it to be. False: there is nothing.
    #[cold]
    fn let_go(&mut self, cells: u32) -> bool {
        if self.let_go_of_shares(cells) || self.let_go_of_steps(cells) {
            return true;
        }
        let (mut most, mut second, mut queue) = (0.0, 0.0, None);
        for n in 0..=self.queues.len() {
            let age = self.relative_age(n);
            if age > most {
                (second, most, queue) = (most, age, Some(n));
            } else if age > second {
                second = age;
            }
        }
        let Some(queue) = queue else { return false };
        let enough = self.pool.free() + cells.max(BATCH);
        loop {
            self.let_go_of_queue(queue);
            let age = self.relative_age(queue);
            if self.pool.free() >= enough || age < second || age == 0.0 {
                self.pressure = most;
                return true;
            }
        }
    }

    /// Lets go of what a class has more than its share. So a flood takes the place of another one, and of memory that nobody
    /// needs, but not of what is known of others. False: none has more.
    fn let_go_of_shares(&mut self, cells: u32) -> bool {
        let over = |class: Class| self.cells[class as usize] > self.shares[class as usize];
        let Some(class) = [Class::Unanswered, Class::Icmp, Class::NoFlow].into_iter().find(|&c| over(c))
        else {
            return false;
        };
        let enough = self.pool.free() + cells.max(BATCH);
        while self.pool.free() < enough && self.cells[class as usize] > self.shares[class as usize] {
            let queue = self.rules.steps() + usize::from(class == Class::Icmp);
            match class {
                Class::NoFlow if self.shorten_aside(1) => {}
                Class::Proper | Class::NoFlow => return false,
                Class::Unanswered | Class::Icmp => match self.oldest(queue) {
                    Some((cell, _)) if class == Class::Icmp => self.let_icmp_go(cell, Reason::Icmp),
                    Some((cell, _)) => self.let_flow_go(cell, Reason::Unanswered),
                    None => return false,
                },
            }
        }
        true
    }

    /// Lets go of what a step of the curve has more than its share: a download of seconds, larger than the memory, does not cost
    /// what is known of days. False: none has more.
    fn let_go_of_steps(&mut self, cells: u32) -> bool {
        let over = |&n: &usize| self.queued[n] > self.most_queued[n];
        let Some(queue) = (0..self.queued.len()).find(over) else { return false };
        let enough = self.pool.free() + cells.max(BATCH);
        while self.pool.free() < enough && self.queued[queue] > self.most_queued[queue] {
            self.let_go_of_queue(queue);
        }
        true
    }

    /// How old the oldest flow of a queue is, in parts of the age at which it is due; the queue after the last one is that of
    /// the packets without a flow. 0: the queue is empty.
    fn relative_age(&mut self, queue: usize) -> f64 {
        let now = self.clock.tick();
        if queue == self.queues.len() {
            let r = self.pool.record(self.aside);
            if r.packets <= 1 {
                return 0.0;
            }
            let tick = self.pool.header(r.tail).tick;
            return f64::from(now - tick + 1) / self.rules.ages[queue - 1];
        }
        match self.oldest(queue) {
            Some((_, tick)) => f64::from(now.saturating_sub(tick).saturating_add(1)) / self.rules.ages[queue],
            None => 0.0,
        }
    }

    fn let_go_of_queue(&mut self, queue: usize) {
        if queue == self.queues.len() {
            self.shorten_aside(BATCH);
            return;
        }
        let Some((cell, _)) = self.oldest(queue) else { return };
        let steps = self.rules.steps();
        if queue == steps + 1 {
            self.let_icmp_go(cell, Reason::Old);
        } else if queue == 0 && self.pool.record(cell).tail != 0 {
            self.shorten_tail(cell);
        } else if queue + 1 < steps {
            let left = self.rules.next[queue];
            self.shorten_head(cell, left, Reason::Tail);
        } else {
            self.let_flow_go(cell, Reason::Old);
        }
    }

    /// Lets go of a piece of a tail: of its end if the flow is over, else of what is oldest in it.
    fn shorten_tail(&mut self, cell: u32) {
        let mut r = self.pool.record(cell);
        let front = self.pool.header(r.tail).tick;
        let now = self.clock.tick();
        let over = (now - r.seen) >= (now - front) / 2;
        let from = r.cells;
        while r.tail != 0 && from - r.cells < BATCH {
            if over {
                self.pop_back(&mut r, Reason::Tail);
            } else {
                self.pop_front(&mut r, Reason::Tail);
            }
        }
        self.after_cut(cell, &mut r, Reason::Tail);
    }

    /// Lets go of a piece of what a head has more than `left` bytes.
    fn shorten_head(&mut self, cell: u32, left: u64, reason: Reason) {
        let mut r = self.pool.record(cell);
        let from = r.cells;
        while r.head_bytes > left && r.packets > 1 && from - r.cells < BATCH {
            self.pop_back(&mut r, reason);
        }
        self.after_cut(cell, &mut r, reason);
    }

    fn let_icmp_go(&mut self, cell: u32, reason: Reason) {
        let mut r = self.pool.record(cell);
        if r.tail_bytes == 0 && r.head_bytes <= LITTLE {
            return self.let_flow_go(cell, reason);
        }
        let from = r.cells;
        while (r.tail != 0 || r.head_bytes > LITTLE) && r.packets > 1 && from - r.cells < BATCH {
            self.pop_back(&mut r, reason);
        }
        let stuck = from == r.cells && r.packets <= 1;
        self.after_cut(cell, &mut r, reason);
        if stuck {
            self.let_flow_go(cell, reason);
        }
    }

    /// Lets go of so many cells of packets without a flow, but not of the last packet. False: there is no more.
    fn shorten_aside(&mut self, cells: u32) -> bool {
        let mut r = self.pool.record(self.aside);
        let from = r.cells;
        while r.packets > 1 && from - r.cells < cells {
            self.pop_front(&mut r, Reason::NoFlow);
        }
        self.pool.set_record(self.aside, &r);
        from != r.cells
    }

    fn after_cut(&mut self, cell: u32, r: &mut Record, reason: Reason) {
        if r.packets == 0 {
            self.pool.set_record(cell, r);
            return self.let_flow_go(cell, reason);
        }
        self.requeue(cell, r);
        self.pool.set_record(cell, r);
    }

    /// Lets go of the packet that is held last. There must be one.
    fn pop_back(&mut self, r: &mut Record, reason: Reason) {
        let place = r.last();
        let header = self.pool.header(place);
        self.forget(place, &header, reason);
        r.packets -= 1;
        let len = u64::from(header.len);
        let given;
        if r.tail != 0 {
            r.tail_bytes -= len;
            if place == r.tail {
                given = self.pool.give_chain(cell_of(place));
                (r.tail, r.tail_last, r.tail_end) = (0, 0, 0);
            } else {
                given = self.pool.cut_back(place);
                (r.tail_last, r.tail_end) = (header.before, place);
            }
        } else {
            r.head_bytes -= len;
            if header.before == 0 {
                given = self.pool.give_chain(r.head);
                (r.head, r.head_last, r.head_end) = (0, 0, 0);
            } else {
                given = self.pool.cut_back(place);
                (r.head_last, r.head_end) = (header.before, place);
            }
        }
        r.cells -= given;
        if r.queue != u8::MAX {
            self.queued[usize::from(r.queue)] -= given;
        }
        self.cells[r.class as usize] -= given;
    }

    /// Lets go of the oldest packet of the tail. There must be one.
    fn pop_front(&mut self, r: &mut Record, reason: Reason) {
        let place = r.tail;
        if place == r.tail_last {
            return self.pop_back(r, reason);
        }
        let header = self.pool.header(place);
        self.forget(place, &header, reason);
        let (next, given) = self.pool.cut_front(place, &header);
        r.tail = next;
        r.tail_bytes -= u64::from(header.len);
        r.packets -= 1;
        r.cells -= given;
        if r.queue != u8::MAX {
            self.queued[usize::from(r.queue)] -= given;
        }
        self.cells[r.class as usize] -= given;
    }

    /// Takes a packet out of the order and counts it as let go. Readers that still want it get a copy.
    fn forget(&mut self, place: u32, header: &Header, reason: Reason) {
        if !self.readers.is_empty() {
            self.readers.removed(&self.pool, &self.interfaces, place, header);
        }
        self.order.remove(&mut self.pool, place, header);
        self.held.take(u64::from(header.len));
        self.let_go.0[reason as usize].add(u64::from(header.len));
    }

    /// Places of all packets of a flow, in their order.
    pub(super) fn places(&self, r: &Record, out: &mut Vec<u32>) {
        out.clear();
        let mut place = r.tail_last;
        while place != 0 {
            out.push(place);
            // What stood before the first one of the tail is gone, or in the head.
            place = if place == r.tail { 0 } else { self.pool.header(place).before };
        }
        place = r.head_last;
        while place != 0 {
            out.push(place);
            place = self.pool.header(place).before;
        }
        out.reverse();
    }

    /// Lets go of all of a flow.
    fn let_flow_go(&mut self, cell: u32, reason: Reason) {
        let mut r = self.pool.record(cell);
        if self.outbox.as_ref().is_some_and(Outbox::has_room) && r.packets > 0 {
            let gone = self.gone(&r);
            if let Some(outbox) = &mut self.outbox {
                outbox.push(gone);
            }
        } else if let Some(outbox) = &mut self.outbox {
            outbox.lost += u64::from(r.packets);
        }
        while r.packets > 0 {
            self.pop_back(&mut r, reason);
        }
        if r.queue != u8::MAX {
            self.queues[usize::from(r.queue)].remove(&mut self.pool, cell);
            self.queued[usize::from(r.queue)] -= r.cells;
        }
        let bucket = self.bucket(r.flow.key.hash(self.settings.seed));
        let next = self.pool.next(cell);
        if self.buckets[bucket] == cell {
            self.buckets[bucket] = next;
        } else {
            let mut at = self.buckets[bucket];
            while self.pool.next(at) != cell {
                at = self.pool.next(at);
            }
            self.pool.set_next(at, next);
        }
        self.cells[r.class as usize] -= r.cells;
        self.flows[r.class as usize] -= 1;
        self.pool.give(cell);
    }

    /// A flow with its packets, for whoever keeps what is let go.
    pub(super) fn gone(&self, r: &Record) -> Gone {
        let mut places = Vec::with_capacity(r.packets as usize);
        self.places(r, &mut places);
        let mut gone = Gone {
            flow: r.flow,
            joined: !r.gap,
            packets: Vec::with_capacity(places.len()),
            bytes: Vec::new(),
        };
        for place in places {
            let header = self.pool.header(place);
            gone.packets.push((header.interface, header.time, header.original, header.len));
            self.pool.read_into(place, &header, &mut gone.bytes);
        }
        gone
    }
}
