//! Both directions of one connection.

use super::budget::{Budget, Limits};
use super::event::{Anomaly, Counts, Kind, Out};
use super::half::Half;
use super::policy::Policy;
use super::segment::Segment;
use crate::packet::tcp_flag::{ACK, FIN, RST, SYN};
use crate::packet::NO_WSCALE;

/// Rebuilds the two streams of one TCP session.
///
/// ```
/// use flowkeep_core::stream::{Budget, Connection, Kind, Limits, Policy, Segment};
/// let mut connection = Connection::new(Policy::First, Limits::default(), Budget::default());
/// let mut text = Vec::new();
/// let mut out = |event: &flowkeep_core::stream::Event<'_>| {
///     if let Kind::Data { bytes, .. } = event.kind {
///         text.extend_from_slice(bytes);
///     }
/// };
/// let part = |seq, payload| Segment { seq, payload, wire_len: 3, flags: 0x10, ..Segment::default() };
/// connection.segment(&part(103, b"def"), &mut out);
/// connection.segment(&part(100, b"abc"), &mut out);
/// connection.finish(&mut out);
/// assert_eq!(text, b"abcdef");
/// ```
#[derive(Debug)]
pub struct Connection {
    pub(super) half: [Half; 2],
    /// Window scale of each end's SYN; None before one was seen.
    pub(super) scale: [Option<u8>; 2],
    policy: Policy,
    limits: Limits,
    budget: Budget,
    pub(super) epoch: u32,
    pub(super) before: [Counts; 2],
    /// What each end acknowledged in its last FIN that was in doubt.
    pub(super) unsure: [Option<u32>; 2],
}

impl Connection {
    /// A connection of which nothing is known.
    pub fn new(policy: Policy, limits: Limits, budget: Budget) -> Self {
        let half = |dir| Half::new(dir, 0, policy, limits, budget.clone());
        let half = [half(0), half(1)];
        Self {
            half,
            scale: [None; 2],
            policy,
            limits,
            budget,
            epoch: 0,
            before: Default::default(),
            unsure: [None; 2],
        }
    }

    /// Takes the next segment of the capture. Events are given at once, where nothing later can change them.
    pub fn segment(&mut self, s: &Segment<'_>, out: &mut Out<'_>) {
        let (own, peer) = (usize::from(s.dir & 1), usize::from(1 - (s.dir & 1)));
        if s.flags & (SYN | ACK) == SYN | ACK && self.answers_another(s, own, peer) {
            self.renew(peer, out);
        }
        let believed = self.half[own].segment(s, out);
        if !believed {
            if s.flags & (FIN | ACK) == FIN | ACK {
                self.unsure[own] = Some(s.ack);
            }
            return;
        }
        if s.flags & SYN != 0 {
            self.scale[own] = Some(s.wscale);
        }
        if s.flags & ACK != 0 {
            let window = i64::from(s.window) << if s.flags & SYN == 0 { self.shift(own) } else { 0 };
            self.half[peer].last = s.origin;
            self.half[peer].peer_says(s.ack, window, s.flags & SYN != 0, out);
        }
        if s.flags & RST != 0 && self.half[own].rst(s, out) {
            for half in &mut self.half {
                half.reset = true;
            }
        }
    }

    /// The shift of the window that `end` offers. Without the SYNs the largest one is taken:
    /// then too much is believed, never too little.
    fn shift(&self, end: usize) -> u32 {
        match (self.scale[end], self.scale[1 - end]) {
            (Some(NO_WSCALE), _) | (_, Some(NO_WSCALE)) => 0,
            (Some(shift), _) => u32::from(shift.min(14)),
            (None, _) => 14,
        }
    }

    /// Whether this SYN/ACK answers a later SYN than the one the connection began with.
    fn answers_another(&self, s: &Segment<'_>, own: usize, peer: usize) -> bool {
        let asked = self.half[peer].other_isn.is_some_and(|isn| isn.wrapping_add(1) == s.ack);
        asked && self.half[own].isn.is_some_and(|isn| isn != s.seq)
    }

    /// Ends what was, and begins a new connection with the SYN of `client`.
    fn renew(&mut self, client: usize, out: &mut Out<'_>) {
        let isn = self.half[client].other_isn.unwrap_or_default();
        let origin = self.half[client].last;
        self.finish(out);
        self.epoch += 1;
        for dir in 0..2 {
            self.before[dir].add(&self.half[dir].counts);
            let cut = self.half[dir].cut;
            self.half[dir] = Half::new(dir as u8, self.epoch, self.policy, self.limits, self.budget.clone());
            if cut {
                self.half[dir].mark_cut(None);
            }
        }
        self.scale[1 - client] = None;
        let half = &mut self.half[client];
        half.say(origin, Kind::Anomaly { name: Anomaly::NewConnection, offset: 0, bytes: &[] }, out);
        let syn = Segment { dir: client as u8, seq: isn, flags: SYN, origin, ..Segment::default() };
        half.segment(&syn, out);
    }

    /// Says that a policy cut packets of this flow, and that the first of them stood here. What is
    /// missing behind the highest byte seen so far is [`GapReason::CutByPolicy`](super::GapReason), what is
    /// missing before it is not. `payload` is what each end sent originally, in bytes, if a ledger tells;
    /// without it, a gap's length is known only modulo 4 GiB.
    pub fn mark_cut(&mut self, payload: Option<[u64; 2]>) {
        for (dir, half) in self.half.iter_mut().enumerate() {
            half.mark_cut(payload.map(|sent| sent[dir]));
        }
    }

    /// The end of the session: gives all that waits, and the gaps between.
    pub fn finish(&mut self, out: &mut Out<'_>) {
        // Where all but SYN, FIN and RST was cut, both FINs lie outside of the last windows known.
        // They are taken if each end's FIN fits what the other end's acknowledges.
        if let [Some(first), Some(second)] = std::mem::take(&mut self.unsure) {
            if self.half[0].expects_fin(second) && self.half[1].expects_fin(first) {
                self.half[0].take_fin(out);
                self.half[1].take_fin(out);
            }
        }
        for half in &mut self.half {
            half.finish(out);
        }
    }

    /// Where the payload bytes of a direction went.
    pub fn counts(&self, dir: u8) -> Counts {
        let mut counts = self.before[usize::from(dir & 1)];
        counts.add(&self.half[usize::from(dir & 1)].counts);
        counts
    }

    /// Bytes of memory that what waits in a direction takes; at most [`Limits::held`].
    pub fn held(&self, dir: u8) -> usize {
        self.half[usize::from(dir & 1)].charged
    }
}
