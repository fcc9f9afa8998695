//! The initial round trip: of the TCP handshake, or of an ICMP echo.
//!
//! A handshake counts when its SYN, the SYN/ACK that acknowledges it and the ACK of that were captured, and
//! neither SYN nor SYN/ACK was sent again before the ACK (Karn: nobody could say which copy was answered).

use super::{bit, has, header, Detail, ICMP, TCP};
use crate::flow::{Flow, Packet};
use crate::packet::tcp_flag;

impl Detail {
    /// Nanoseconds from SYN to the ACK of the handshake, or from an echo request to its reply.
    pub fn rtt(&self, flow: &Flow) -> Option<i64> {
        let [syn, _, ack] = self.times;
        match flow.key.proto {
            TCP => self.span(bit::ACK, syn, ack),
            _ => (self.bits & bit::ACK != 0).then_some(ack),
        }
    }

    /// The client's half: nanoseconds from SYN/ACK to ACK.
    pub fn rtt_client(&self, flow: &Flow) -> Option<i64> {
        let [_, syn_ack, ack] = self.times;
        (flow.key.proto == TCP).then(|| self.span(bit::ACK, syn_ack, ack))?
    }

    /// The server's half: nanoseconds from SYN to SYN/ACK.
    pub fn rtt_server(&self, flow: &Flow) -> Option<i64> {
        let [syn, syn_ack, _] = self.times;
        (flow.key.proto == TCP).then(|| self.span(bit::SYN_ACK, syn, syn_ack))?
    }

    /// Null rather than negative where the capture's clock went back.
    fn span(&self, needed: u8, from: i64, to: i64) -> Option<i64> {
        let known = self.bits & needed != 0 && self.bits & bit::AMBIGUOUS == 0;
        known.then(|| to.checked_sub(from)).flatten().filter(|&ns| ns >= 0)
    }

    /// Looks at a TCP segment that has been put in sequence.
    pub(super) fn handshake(&mut self, p: &Packet<'_>, dir: usize) {
        if self.bits & bit::DONE != 0 {
            return;
        }
        let f = p.facts;
        let from_client = self.is_client(dir);
        let (own, peer) = (&self.side[dir], &self.side[1 - dir]);
        if f.tcp_flags & tcp_flag::RST != 0 {
            self.bits |= bit::DONE;
        } else if f.tcp_flags & tcp_flag::SYN != 0 {
            let ack = f.tcp_flags & tcp_flag::ACK != 0;
            match (from_client, ack) {
                (true, false) if self.bits & (bit::SYN | bit::SYN_ACK) == 0 => {
                    self.times[0] = p.ts;
                    self.bits |= bit::SYN;
                }
                // With TCP Fast Open (RFC 7413) the SYN/ACK may acknowledge the SYN's data.
                (false, true)
                    if self.bits & (bit::SYN | bit::SYN_ACK) == bit::SYN
                        && f.ack.wrapping_sub(peer.base).wrapping_sub(1)
                            <= peer.next.wrapping_sub(peer.base).wrapping_sub(1) =>
                {
                    self.times[1] = p.ts;
                    self.bits |= bit::SYN_ACK;
                }
                _ => self.bits |= bit::AMBIGUOUS,
            }
        } else if from_client && f.tcp_flags & tcp_flag::ACK != 0 && self.bits & bit::SYN_ACK != 0 {
            // A first ACK that acknowledges more is a later one: that of the handshake is missing.
            let completes = f.ack == peer.base.wrapping_add(1)
                && peer.bits & has::SYN_BASE != 0
                && f.seq.wrapping_sub(own.base) as i32 > 0;
            if completes {
                self.times[2] = p.ts;
                self.bits |= bit::ACK;
            }
            self.bits |= bit::DONE;
        }
    }

    /// ICMP: the client's request and the reply with its identifier and sequence number. Two requests are
    /// remembered, the first one that waits and the latest one.
    pub(super) fn echo(&mut self, p: &Packet<'_>, dir: usize, proto: u8) {
        if self.bits & bit::ACK != 0 {
            return;
        }
        let (request, reply) = if proto == ICMP { (8, 0) } else { (128, 129) };
        let kind = p.facts.icmp[0];
        let Some(id) = header::echo(p).filter(|_| kind == request || kind == reply) else {
            return;
        };
        let slots = [bit::SYN, bit::SYN_ACK];
        let found = (0..2).find(|&i| self.bits & slots[i] != 0 && self.echo[i] == id);
        if kind == request && self.is_client(dir) {
            if let Some(i) = found {
                self.times[i] = i64::MIN; // sent twice: a reply says nothing
            } else {
                let i = usize::from(self.bits & bit::SYN != 0);
                (self.echo[i], self.times[i]) = (id, p.ts);
                self.bits |= slots[i];
            }
        } else if let (true, Some(i), false) = (kind == reply, found, self.is_client(dir)) {
            self.bits &= !slots[i];
            if let Some(ns) =
                p.ts.checked_sub(self.times[i]).filter(|&ns| ns >= 0 && self.times[i] != i64::MIN)
            {
                self.times[2] = ns;
                self.bits |= bit::ACK;
            }
        }
    }
}
