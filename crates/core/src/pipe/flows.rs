//! The connections of a pass: those that are busy are awake, all others rest.

use std::collections::VecDeque;

use super::rebuild::{Flow, Lost, Rebuilding};
use crate::stream::{Budget, Connection, Resting};

/// Connections that are awake and are not over.
const AWAKE: usize = 1 << 15;
/// Of these so many are looked at for each that wakes.
const LOOKED_AT: usize = 4;

/// A flow, awake or at rest.
#[derive(Debug, Default)]
enum Slot {
    #[default]
    Nothing,
    Awake(Box<Flow>),
    Resting(Box<Rest>),
}

/// A flow at rest.
#[derive(Debug)]
struct Rest {
    connection: Resting,
    lost: Lost,
    /// It is in the list of those that are over.
    listed: bool,
}

/// The flows by tag.
pub(super) struct Flows {
    slots: Vec<Slot>,
    plan: Rebuilding,
    budget: Budget,
    /// Bytes remembered of all connections beyond which those that are over forget theirs, the oldest first.
    enough: usize,
    /// Tags of those that are awake, the one that woke first in front.
    awake: VecDeque<u32>,
    /// Tags of those that went to rest when they were over.
    over: VecDeque<u32>,
}

impl Flows {
    pub fn new(plan: Rebuilding, waiting: usize, remembered: usize) -> Self {
        Self {
            slots: Vec::new(),
            plan,
            budget: Budget::new(waiting, remembered),
            enough: remembered / 2,
            awake: VecDeque::new(),
            over: VecDeque::new(),
        }
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// A flow that is known, awake.
    pub fn known(&mut self, tag: u32) -> Option<&mut Flow> {
        match self.slots.get(tag as usize) {
            None | Some(Slot::Nothing) => None,
            Some(_) => Some(self.get(tag)),
        }
    }

    /// The flow of a tag, awake. When all is done for it, [`settle`](Self::settle) is told.
    #[inline]
    pub fn get(&mut self, tag: u32) -> &mut Flow {
        let at = tag as usize;
        if !matches!(self.slots.get(at), Some(Slot::Awake(_))) {
            self.wake(tag);
        }
        match &mut self.slots[at] {
            Slot::Awake(flow) => flow,
            // It was just woken.
            _ => unreachable!(),
        }
    }

    fn wake(&mut self, tag: u32) {
        let at = tag as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, Slot::default);
        }
        let (policy, limits) = (self.plan.policy, self.plan.limits);
        let (connection, lost, listed) = match std::mem::take(&mut self.slots[at]) {
            Slot::Awake(flow) => return self.slots[at] = Slot::Awake(flow),
            Slot::Resting(resting) => {
                (resting.connection.wake(policy, limits, &self.budget), resting.lost, resting.listed)
            }
            Slot::Nothing => (Connection::new(policy, limits, self.budget.clone()), Lost::default(), false),
        };
        self.slots[at] = Slot::Awake(Box::new(Flow { connection, lost, cut: None, busy: true, listed }));
        self.awake.push_back(tag);
        if self.awake.len() > AWAKE {
            self.make_room();
        }
    }

    /// Puts some to rest that had nothing to do for long.
    fn make_room(&mut self) {
        // The last one is the one that was just woken.
        for _ in 0..LOOKED_AT.min(self.awake.len() - 1) {
            let Some(tag) = self.awake.pop_front() else { return };
            let Some(Slot::Awake(flow)) = self.slots.get_mut(tag as usize) else { continue };
            if std::mem::take(&mut flow.busy) || !self.rest(tag) {
                self.awake.push_back(tag);
            }
        }
    }

    /// Whether it rests now.
    fn rest(&mut self, tag: u32) -> bool {
        let slot = &mut self.slots[tag as usize];
        match std::mem::take(slot) {
            Slot::Awake(flow) if flow.cut.is_none() => {
                let Flow { connection, lost, busy, listed, .. } = *flow;
                match connection.rest() {
                    Ok(resting) => {
                        *slot = Slot::Resting(Box::new(Rest { connection: resting, lost, listed }));
                    }
                    Err(connection) => {
                        *slot = Slot::Awake(Box::new(Flow {
                            connection: *connection,
                            lost,
                            cut: None,
                            busy,
                            listed,
                        }));
                        return false;
                    }
                }
                true
            }
            other => {
                *slot = other;
                false
            }
        }
    }

    /// All is done for a flow that is awake: it rests if it is over.
    #[inline]
    pub fn settle(&mut self, tag: u32) {
        if let Some(Slot::Awake(flow)) = self.slots.get_mut(tag as usize) {
            flow.busy = true;
            if flow.connection.is_over() {
                self.end(tag);
            }
        }
    }

    fn end(&mut self, tag: u32) {
        if !self.rest(tag) {
            return;
        }
        // As a rule it is the one that woke last.
        if self.awake.back() == Some(&tag) {
            self.awake.pop_back();
        }
        if let Slot::Resting(resting) = &mut self.slots[tag as usize] {
            if !std::mem::replace(&mut resting.listed, true) {
                self.over.push_back(tag);
            }
        }
        while self.budget.used().1 > self.enough {
            let Some(tag) = self.over.pop_front() else { break };
            if let Some(Slot::Resting(resting)) = self.slots.get_mut(tag as usize) {
                resting.connection.forget(&self.budget);
                resting.listed = false;
            } else if let Some(Slot::Awake(flow)) = self.slots.get_mut(tag as usize) {
                flow.listed = false;
            }
        }
    }

    /// Tags there may be flows of.
    pub fn tags(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The flows that a policy has cut.
    pub fn cut(&mut self) -> impl Iterator<Item = (u32, &mut Flow)> {
        // These do not rest.
        (0..).zip(&mut self.slots).filter_map(|(tag, slot)| match slot {
            Slot::Awake(flow) if flow.cut.is_some() => Some((tag, &mut **flow)),
            _ => None,
        })
    }

    /// Takes a flow out.
    pub fn take(&mut self, tag: u32) -> Option<Box<Flow>> {
        self.known(tag)?;
        match std::mem::take(&mut self.slots[tag as usize]) {
            Slot::Awake(flow) => Some(flow),
            _ => None,
        }
    }
}
