//! Connection state and history as Zeek's `conn.log` has them.
//!
//! The names and letters are defined in the documentation of Zeek's `base/protocols/conn/main.zeek`
//! (<https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html>), fields `conn_state` and
//! `history`. The originator is the flow's client. Where Zeek's documentation is silent, the
//! course of its endpoint states is followed. What differs:
//!
//! * `^` says that the client is not who sent the first packet, or that a later SYN showed another client.
//! * A packet with a bad checksum is marked (`c`) and still looked at, because captures made on the sending host
//!   have wrong checksums throughout. Zeek ignores such packets unless told not to.
//! * A history is at most [`LETTERS`] letters long; then `x` ends it.

use super::{header, Detail, TCP, UDP};
use crate::flow::{Flow, Packet};
use crate::packet::{tcp_flag, Facts};

/// Letters in a history at most.
pub const LETTERS: usize = 31;

/// Numbers of the counters of [`End::counts`].
pub(super) const C: usize = 0;
pub(super) const G: usize = 1;
pub(super) const T: usize = 2;
pub(super) const W: usize = 3;
const LETTER: [u8; 4] = *b"CGTW";

/// Bits of [`End::seen`].
mod seen {
    pub const SYN: u8 = 1;
    pub const FIN: u8 = 2;
    pub const RST: u8 = 4;
    pub const DATA: u8 = 8;
    pub const ACK: u8 = 16;
    pub const INCONSISTENT: u8 = 32;
    pub const MULTI: u8 = 64;
}

/// How far one end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Inactive,
    SynSent,
    SynAckSent,
    /// It spoke, but no SYN was seen.
    Partial,
    Established,
    Closed,
    Reset,
}

/// What the history and the state need to know of one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// How often `c`, `g`, `t`, `w` happened.
    counts: [u32; 4],
    /// Sequence numbers of the last SYN, FIN and RST.
    last: [u32; 3],
    seen: u8,
    state: State,
    before: State,
}

impl End {
    fn set(&mut self, state: State) {
        if state != self.state {
            self.before = self.state;
            self.state = state;
        }
    }
}

/// The letters so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    letters: [u8; LETTERS + 1],
    len: u8,
}

impl History {
    pub fn push(&mut self, letter: u8) {
        let at = usize::from(self.len);
        if at <= LETTERS {
            self.letters[at] = if at == LETTERS { b'x' } else { letter };
            self.len += 1;
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.letters[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl Detail {
    /// The history in Zeek's letters; empty for what has none (ICMP and others).
    pub fn history(&self) -> &str {
        self.history.text()
    }

    /// The state in Zeek's terms.
    ///
    /// TCP: S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR or OTH. UDP: SF when both
    /// ends spoke, S0 when only the client, SHR when only the server. All else: OTH.
    pub fn conn_state(&self, flow: &Flow) -> &'static str {
        use State::{Closed, Established, Inactive, Partial, Reset, SynAckSent, SynSent};
        let c = usize::from(self.client);
        let (orig, resp) = (&flow.side[c], &flow.side[1 - c]);
        if flow.key.proto == UDP {
            return match (orig.packets > 0, resp.packets > 0) {
                (true, true) => "SF",
                (true, false) => "S0",
                (false, true) => "SHR",
                (false, false) => "OTH",
            };
        }
        if flow.key.proto != TCP {
            return "OTH";
        }
        let (o, r) = (self.side[c].zeek.state, self.side[1 - c].zeek.state);
        let idle = |s: State| matches!(s, Inactive | Partial);
        let payload = orig.payload.saturating_add(resp.payload);
        match (o, r) {
            (SynSent | SynAckSent, Reset) => "REJ",
            (Reset, Reset) if payload == 0 => "REJ",
            (o, Reset) => {
                if idle(o) {
                    "RSTRH"
                } else {
                    "RSTR"
                }
            }
            (Reset, r) if !idle(r) => "RSTO",
            (Reset, _) if self.syn_then_rst() => "RSTOS0",
            (Reset, _) => "OTH",
            (Closed, Closed) => "SF",
            (Closed, r) => {
                if idle(r) {
                    "SH"
                } else {
                    "S2"
                }
            }
            (o, Closed) => {
                if idle(o) {
                    "SHR"
                } else {
                    "S3"
                }
            }
            (SynSent, Inactive) => "S0",
            (Established, Established) => "S1",
            _ => "OTH",
        }
    }

    /// The client's SYN, then its RST, and nothing of it between that tells of an answer.
    fn syn_then_rst(&self) -> bool {
        let text = self.history();
        let Some(rest) = text.strip_prefix('^').unwrap_or(text).strip_prefix('S') else {
            return false;
        };
        rest.bytes().find(|b| b"HAFGIQR".contains(b)) == Some(b'R')
    }

    pub(super) fn both_established(&self) -> bool {
        self.side.iter().all(|s| s.zeek.state == State::Established)
    }

    fn letter(&mut self, letter: u8, dir: usize) {
        self.history.push(if self.is_client(dir) { letter } else { letter.to_ascii_lowercase() });
    }

    /// A letter that an end gets once. False: it has it already.
    fn once(&mut self, bit: u8, letter: u8, dir: usize) -> bool {
        if self.side[dir].zeek.seen & bit != 0 {
            return false;
        }
        self.side[dir].zeek.seen |= bit;
        self.letter(letter, dir);
        true
    }

    /// A letter that comes again only with another sequence number than the last time.
    fn numbered(&mut self, which: usize, bit: u8, letter: u8, seq: u32, dir: usize) {
        if !self.once(bit, letter, dir) && self.side[dir].zeek.last[which] != seq {
            self.letter(letter, dir);
        }
        self.side[dir].zeek.last[which] = seq;
    }

    /// A letter that comes at the 1st, 10th, 100th … time.
    pub(super) fn scaled(&mut self, which: usize, dir: usize) {
        let count = &mut self.side[dir].zeek.counts[which];
        *count = count.saturating_add(1);
        if (0..10).any(|power| *count == 10_u32.pow(power)) {
            self.letter(LETTER[which], dir);
        }
    }

    pub(super) fn gap(&mut self, dir: usize) {
        self.scaled(G, dir);
    }

    /// Marks a wrong checksum.
    pub(super) fn check(&mut self, p: &Packet<'_>, dir: usize) {
        if header::checksum_is_bad(p) {
            self.scaled(C, dir);
        }
    }

    pub(super) fn udp(&mut self, p: &Packet<'_>, dir: usize) {
        self.check(p, dir);
        self.once(seen::DATA, b'D', dir);
    }

    pub(super) fn history_of_flags(&mut self, f: &Facts, dir: usize) {
        let flag = |bit: u8| f.tcp_flags & bit != 0;
        let (syn, fin, rst) = (flag(tcp_flag::SYN), flag(tcp_flag::FIN), flag(tcp_flag::RST));
        match (syn, fin, rst) {
            (_, true, true) => _ = self.once(seen::INCONSISTENT, b'I', dir),
            (true, true, _) | (true, _, true) => _ = self.once(seen::MULTI, b'Q', dir),
            (true, ..) => {
                let letter = if flag(tcp_flag::ACK) { b'H' } else { b'S' };
                self.numbered(0, seen::SYN, letter, f.seq, dir);
            }
            (_, true, _) => self.numbered(1, seen::FIN, b'F', f.seq.wrapping_add(f.payload), dir),
            (_, _, true) => self.numbered(2, seen::RST, b'R', f.seq, dir),
            _ if f.payload > 0 => _ = self.once(seen::DATA, b'D', dir),
            _ if flag(tcp_flag::ACK) => _ = self.once(seen::ACK, b'A', dir),
            _ => {}
        }
    }

    /// A zero window tells nothing with or after a RST, nor when the peer has sent all it wants.
    pub(super) fn history_of_window(&mut self, f: &Facts, dir: usize) {
        let (own, peer) = (self.side[dir].zeek.state, self.side[1 - dir].zeek.state);
        let rst = f.tcp_flags & tcp_flag::RST != 0;
        if f.window == 0 && !rst && peer != State::Closed && own != State::Reset {
            self.scaled(W, dir);
        }
    }

    /// Moves the states of both ends on by one segment.
    pub(super) fn advance(&mut self, f: &Facts, dir: usize) {
        let flag = |bit: u8| f.tcp_flags & bit != 0;
        let from_orig = self.is_client(dir);
        // Of a SYN that comes behind the SYN/ACK that answers it.
        let answered = f.seq.wrapping_add(1) == self.side[1 - dir].ack;
        let [lo, hi] = &mut self.side;
        let (own, peer) = if dir == 0 { (&mut lo.zeek, &mut hi.zeek) } else { (&mut hi.zeek, &mut lo.zeek) };
        let (syn, fin, rst) = (flag(tcp_flag::SYN), flag(tcp_flag::FIN), flag(tcp_flag::RST));
        match own.state {
            State::Inactive => {
                if syn && from_orig {
                    let overtaken = peer.state == State::Established && answered;
                    own.set(match (flag(tcp_flag::ACK), overtaken) {
                        (true, _) => State::SynAckSent,
                        (false, true) => State::Established,
                        (false, false) => State::SynSent,
                    });
                } else if syn {
                    if peer.state == State::SynSent {
                        peer.set(State::Established);
                    }
                    own.set(State::Established);
                }
                if fin {
                    own.set(State::Closed);
                }
                if rst {
                    own.set(State::Reset);
                }
                if own.state == State::Inactive {
                    let early_ack = !from_orig && f.payload == 0 && peer.state == State::SynSent;
                    if flag(tcp_flag::ACK) && peer.state == State::Established {
                        own.set(State::Established); // its SYN was missed
                    } else if !early_ack {
                        own.set(State::Partial);
                    }
                }
            }
            State::SynSent | State::SynAckSent => {
                if fin {
                    own.set(State::Closed);
                }
                if rst {
                    own.set(State::Reset);
                }
            }
            State::Established | State::Partial => {
                let late_syn = own.state == State::Partial && peer.state == State::Inactive;
                if syn && !flag(tcp_flag::ACK) && late_syn {
                    own.set(State::SynSent);
                }
                if fin && !rst {
                    own.set(State::Closed);
                    if peer.state == State::Reset && peer.before == State::Closed {
                        peer.set(State::Closed); // FIN, then RST: a normal end after all
                    }
                }
                if rst {
                    own.set(State::Reset);
                }
            }
            State::Closed if rst && peer.state != State::Closed => own.set(State::Reset),
            State::Closed | State::Reset => {}
        }
    }
}
