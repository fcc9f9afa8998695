//! The kept start of a flow that is not decided yet.

use super::dispatch::Set;
use super::engine::{Answer, Input, HELLO, MAX_TURNS, WINDOW};
use super::view::{Gram, Side, Transport, Turn, View};

/// Of datagrams after the first so much is kept, unless a rule wants more.
const LATER: usize = 256;
/// Segments ahead of a hole that wait for it to be filled.
const MAX_AHEAD: usize = 4;
/// A stream whose SYN was not seen may turn out to begin this much earlier.
const BEFORE: u32 = 16_384;

/// The first bytes of one direction, put in order.
#[derive(Debug, Default)]
pub(super) struct Start {
    bytes: Vec<u8>,
    grams: Vec<Gram>,
    /// TCP: sequence number of the first byte.
    base: Option<u32>,
    /// The SYN was seen, so nothing comes before.
    fixed: bool,
    /// Segments ahead of a hole, with their distance from `base`.
    ahead: Vec<(u32, Vec<u8>)>,
}

/// A flow that is being looked at.
#[derive(Debug)]
pub(super) struct Pending {
    sides: [Start; 2],
    turns: [Turn; MAX_TURNS],
    pub count: usize,
    /// Who is taken for the client at first.
    pub client: u8,
    /// Rules still asked, with the ends as they are and exchanged.
    pub alive: [Set; 2],
    /// Bytes wanted of each direction, once a rule said so.
    pub want: [usize; 2],
    /// What the models said, once they were asked.
    #[allow(clippy::option_option)] // not asked, nothing, or an answer
    pub learnt: Option<Option<Answer>>,
}

impl Start {
    /// Empty; `start` is the first byte's sequence number if it is known.
    pub fn at(start: Option<u32>) -> Self {
        Self { base: start, fixed: start.is_some(), ..Self::default() }
    }

    /// What is there from the first byte on.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of room it holds.
    pub fn room(&self) -> usize {
        self.bytes.capacity()
            + self.grams.capacity() * size_of::<Gram>()
            + self.ahead.iter().map(|(_, bytes)| bytes.len() + 32).sum::<usize>()
    }

    fn side(&self) -> Side<'_> {
        Side { bytes: &self.bytes, grams: &self.grams }
    }

    fn datagram(&mut self, bytes: &[u8], len: u32, limit: usize, want: bool) {
        let most = if self.grams.is_empty() || want { limit } else { LATER };
        let kept = bytes.len().min(most).min(limit.saturating_sub(self.bytes.len()));
        let start = self.bytes.len() as u16;
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.grams.push(Gram { start, kept: kept as u16, len });
    }

    /// Gives whether bytes were put before the known ones.
    pub fn segment(&mut self, bytes: &[u8], seq: u32, limit: usize) -> bool {
        let base = *self.base.get_or_insert(seq);
        let ahead = seq.wrapping_sub(base);
        if ahead >= 1 << 31 {
            let before = base.wrapping_sub(seq);
            if self.fixed || before > BEFORE || bytes.len() < before as usize {
                // Old news, as a keep-alive; but what reaches past the base may be new.
                if (before as usize) < bytes.len() {
                    self.put(0, &bytes[before as usize..], limit);
                }
                return false;
            }
            self.base = Some(seq);
            self.bytes.splice(0..0, bytes[..before as usize].iter().copied());
            self.bytes.truncate(limit);
            self.ahead.clear();
            return true;
        }
        self.put(ahead as usize, bytes, limit);
        false
    }

    fn put(&mut self, at: usize, bytes: &[u8], limit: usize) {
        if at > self.bytes.len() {
            if at < limit && self.ahead.len() < MAX_AHEAD {
                self.ahead.push((at as u32, bytes[..bytes.len().min(limit - at)].to_vec()));
            }
            return;
        }
        self.append(at, bytes, limit);
        while let Some(index) = self.ahead.iter().position(|(at, _)| *at as usize <= self.bytes.len()) {
            let (at, bytes) = self.ahead.swap_remove(index);
            self.append(at as usize, &bytes, limit);
        }
    }

    /// Appends what of `bytes`, which begin at `at`, is new: the first version of a byte stays.
    fn append(&mut self, at: usize, bytes: &[u8], limit: usize) {
        let known = self.bytes.len() - at;
        let room = limit.saturating_sub(self.bytes.len());
        if known < bytes.len() {
            let new = &bytes[known..];
            self.bytes.extend_from_slice(&new[..new.len().min(room)]);
        }
    }
}

impl Pending {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            sides: [Start::default(), Start::default()],
            turns: [Turn::default(); MAX_TURNS],
            count: 0,
            client: 0,
            alive: [Set::ALL; 2],
            want: [0; 2],
            learnt: None,
        })
    }

    /// Empty again, its room kept.
    pub fn clear(&mut self) {
        for side in &mut self.sides {
            side.bytes.clear();
            side.grams.clear();
            side.ahead.clear();
            side.base = None;
            side.fixed = false;
        }
        self.count = 0;
        self.alive = [Set::ALL; 2];
        self.want = [0; 2];
        self.learnt = None;
    }

    /// Bytes of room it holds.
    pub fn room(&self) -> usize {
        size_of::<Self>() + self.sides.iter().map(Start::room).sum::<usize>()
    }

    fn limit(&self, dir: usize) -> usize {
        self.want[dir].clamp(WINDOW, HELLO)
    }

    /// Takes in one packet.
    pub fn push(&mut self, input: &Input<'_>) {
        let dir = usize::from(input.dir);
        if self.count == 0 {
            self.client = input.opener.unwrap_or(input.dir);
        }
        if self.count < MAX_TURNS {
            self.turns[self.count] = Turn { dir: input.dir, len: input.len };
            self.count += 1;
        }
        let (limit, want) = (self.limit(dir), self.want[dir] > 0);
        let side = &mut self.sides[dir];
        if input.transport != Transport::Tcp {
            side.datagram(input.bytes, input.len, limit, want);
            return;
        }
        if side.base.is_none() {
            side.base = input.start;
            side.fixed = input.start.is_some();
        }
        if side.segment(input.bytes, input.seq, limit) {
            self.alive = [Set::ALL; 2]; // another beginning: all is open again
        }
    }

    /// Takes in the rest of the same packet after a rule wanted more than was kept of it.
    pub fn widen(&mut self, input: &Input<'_>) {
        let dir = usize::from(input.dir);
        let limit = self.limit(dir);
        let side = &mut self.sides[dir];
        if input.transport == Transport::Tcp {
            side.segment(input.bytes, input.seq, limit);
        } else if let Some(last) = side.grams.pop() {
            side.bytes.truncate(usize::from(last.start));
            side.datagram(input.bytes, input.len, limit, true);
        }
    }

    /// Bytes at hand of a direction.
    pub fn have(&self, dir: usize) -> usize {
        self.sides[dir].bytes.len()
    }

    pub fn view(&self, transport: Transport, done: bool) -> View<'_> {
        let client = usize::from(self.client);
        View {
            transport,
            client: self.sides[client].side(),
            server: self.sides[1 - client].side(),
            order: &self.turns[..self.count],
            client_dir: self.client,
            done,
        }
    }
}
