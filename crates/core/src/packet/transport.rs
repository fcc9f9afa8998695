//! TCP, UDP, UDP-Lite, SCTP, ICMP and ICMPv6.

use super::reader::Reader;
use super::{anomaly, NO_WSCALE};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

impl Reader<'_> {
    /// Reads the transport header at `at` of a datagram that ends at `stop`; gives source and
    /// destination port, 0 where there are none.
    #[inline(always)]
    pub fn transport(&mut self, proto: u8, at: usize, stop: usize) -> (u16, u16) {
        let least = match proto {
            TCP => 20,
            UDP | UDP_LITE | ICMP | ICMP6 => 8,
            SCTP => 12,
            _ => return (0, 0),
        };
        let limit = stop.min(self.data.len());
        let Some(head) = self.data.get(at..limit).filter(|head| head.len() >= least) else {
            self.facts.anomalies |= anomaly::TRANSPORT_CUT;
            return self.cut_ports(proto, at, limit);
        };
        let word = |i: usize| u16::from_be_bytes([head[i], head[i + 1]]);
        let long = |i: usize| u32::from_be_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        let room = stop - at;
        let f = &mut self.facts;
        let mut size = least;
        match proto {
            TCP => {
                size = usize::from(head[12] >> 4) * 4;
                if size < 20 || size > room {
                    f.anomalies |= anomaly::TRANSPORT_CUT;
                    size = 20;
                }
                f.tcp_flags = head[13];
                f.seq = long(4);
                f.ack = if head[13] & super::tcp_flag::ACK != 0 { long(8) } else { 0 };
                f.window = word(14);
                if head[13] & super::tcp_flag::SYN != 0 {
                    f.wscale = window_scale(&head[20..size.min(head.len())]);
                }
            }
            ICMP | ICMP6 => f.icmp = [head[0], head[1]],
            _ => {}
        }
        let mut payload = room - size;
        if proto == UDP && word(4) >= 8 {
            payload = payload.min(usize::from(word(4)) - 8);
        }
        f.payload = payload as u32;
        let ports = if matches!(proto, ICMP | ICMP6) { (0, 0) } else { (word(0), word(2)) };
        self.facts.header_len = self.captured(at + size);
        ports
    }

    /// The ports of a header that is cut behind them: they still say which flow it is.
    #[cold]
    fn cut_ports(&mut self, proto: u8, at: usize, limit: usize) -> (u16, u16) {
        match self.data.get(at..limit) {
            Some(head) if head.len() >= 4 && !matches!(proto, ICMP | ICMP6) => {
                (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]))
            }
            _ => (0, 0),
        }
    }
}

/// The window scale option (RFC 7323 §2.2) of a list of TCP options.
pub(crate) fn window_scale(mut options: &[u8]) -> u8 {
    loop {
        options = match *options {
            [1, ref rest @ ..] => rest,
            [3, 3, shift, ..] => return shift.min(14), // §2.3: more counts as 14
            [kind, len, ..] if kind != 0 && len >= 2 && usize::from(len) <= options.len() => {
                &options[usize::from(len)..]
            }
            _ => return NO_WSCALE,
        };
    }
}
