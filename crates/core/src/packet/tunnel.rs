//! Tunnels that are looked through.
//!
//! Ports only suggest a tunnel. It is believed when an IP packet that fits is found inside; else the
//! flow is the outer one.

use super::reader::{Bad, Reader, Step};
use super::transport::UDP;
use super::{anomaly, NoFlow, Tunnel};

const GRE: u8 = 47;
const L2TP: u8 = 115;

impl Reader<'_> {
    /// Looks into what may be a tunnel; on success the facts are those of the inner packet.
    #[inline]
    pub fn maybe_tunnel(&mut self, proto: u8, ports: (u16, u16), at: usize, stop: usize) {
        let kind = match proto {
            4 => Tunnel::IpIp,
            41 => Tunnel::SixIn4,
            GRE => Tunnel::Gre,
            L2TP => Tunnel::L2tp,
            UDP => match udp_tunnel(ports) {
                Some(kind) => kind,
                None => return,
            },
            _ => return,
        };
        self.look_into(kind, proto, at, stop);
    }

    #[cold]
    fn look_into(&mut self, kind: Tunnel, proto: u8, at: usize, stop: usize) {
        let mark = self.mark();
        let at = if proto == UDP { at + 8 } else { at };
        let done = match kind {
            Tunnel::IpIp => self.through(kind).and_then(|()| self.ip4(at, stop)),
            Tunnel::SixIn4 => self.through(kind).and_then(|()| self.ip6(at, stop)),
            Tunnel::Gre | Tunnel::Erspan => self.gre(at, stop),
            Tunnel::L2tp if proto == L2TP => self.l2tp3(at, stop),
            Tunnel::L2tp => self.l2tp(at, stop),
            Tunnel::Vxlan => self.vxlan(at, stop),
            Tunnel::Geneve => self.geneve(at, stop),
            Tunnel::GtpU => self.gtpu(at, stop),
            Tunnel::Teredo => self.teredo(at, stop),
            Tunnel::Capwap => self.capwap(at, stop),
        };
        if done.is_err() || self.facts.reason != NoFlow::None {
            if done.is_err() {
                self.facts.anomalies |= anomaly::TUNNEL_UNREADABLE;
            }
            self.back_to(&mark);
        }
    }

    /// GRE (RFC 2784, 2890), its version 1 (RFC 2637 §4.1), and ERSPAN inside.
    fn gre(&mut self, at: usize, stop: usize) -> Step {
        let (flags, kind) = (self.u16(at)?, self.u16(at + 2)?);
        let version = flags & 7;
        if version > 1 || flags & 0x4000 != 0 {
            return Err(Bad); // source routes went with RFC 1701
        }
        let sequence = flags & 0x1000 != 0;
        let words = [flags & 0x8000 != 0, flags & 0x2000 != 0, sequence, version == 1 && flags & 0x80 != 0];
        let at = at + 4 + 4 * words.into_iter().filter(|there| *there).count();
        match kind {
            0x88be => {
                self.through(Tunnel::Erspan)?;
                // Type I has neither a sequence number nor a header of its own.
                self.ethernet(at + if sequence { 8 } else { 0 }, stop)
            }
            0x22eb => {
                self.through(Tunnel::Erspan)?;
                let more = if self.byte(at + 11)? & 1 != 0 { 8 } else { 0 };
                self.ethernet(at + 12 + more, stop)
            }
            _ => {
                self.through(Tunnel::Gre)?;
                self.ethertype(kind, at, stop)
            }
        }
    }

    /// VXLAN (RFC 7348 §5).
    fn vxlan(&mut self, at: usize, stop: usize) -> Step {
        if self.byte(at)? & 8 == 0 {
            return Err(Bad);
        }
        self.through(Tunnel::Vxlan)?;
        self.ethernet(at + 8, stop)
    }

    /// Geneve (RFC 8926 §3.4).
    fn geneve(&mut self, at: usize, stop: usize) -> Step {
        let first = self.byte(at)?;
        if first >> 6 != 0 {
            return Err(Bad);
        }
        self.through(Tunnel::Geneve)?;
        let size = 8 + usize::from(first & 63) * 4;
        self.ethertype(self.u16(at + 2)?, at + size, stop)
    }

    /// GTP-U (3GPP TS 29.281 §5.1); only message 255 carries a packet.
    fn gtpu(&mut self, at: usize, stop: usize) -> Step {
        let [flags, message] = self.array(at)?;
        if flags & 0xf0 != 0x30 {
            return Err(Bad);
        }
        if message != 0xff {
            return self.nothing();
        }
        self.through(Tunnel::GtpU)?;
        let mut at = at + 8;
        if flags & 7 != 0 {
            let mut next = if flags & 4 != 0 { self.byte(at + 3)? } else { 0 };
            at += 4;
            while next != 0 {
                self.deeper()?;
                let units = usize::from(self.byte(at)?);
                if units == 0 {
                    return Err(Bad);
                }
                at += units * 4;
                next = self.byte(at - 1)?;
            }
        }
        self.either_ip(at, stop)
    }

    /// Teredo (RFC 4380 §5.1.1): authentication and origin may stand before IPv6.
    fn teredo(&mut self, mut at: usize, stop: usize) -> Step {
        self.through(Tunnel::Teredo)?;
        if self.u16(at)? == 1 {
            at += 13 + usize::from(self.byte(at + 2)?) + usize::from(self.byte(at + 3)?);
        }
        if self.u16(at)? == 0 {
            at += 8;
        }
        self.ip6(at, stop)
    }

    /// L2TP version 2 data (RFC 2661 §3.1).
    fn l2tp(&mut self, at: usize, stop: usize) -> Step {
        let flags = self.u16(at)?;
        if flags & 0x000f != 2 {
            return Err(Bad);
        }
        if flags & 0x8000 != 0 {
            return self.nothing();
        }
        self.through(Tunnel::L2tp)?;
        let mut size = 6 + if flags & 0x4000 != 0 { 2 } else { 0 } + if flags & 0x0800 != 0 { 4 } else { 0 };
        if flags & 0x0200 != 0 {
            size += 2 + usize::from(self.u16(at + size)?);
        }
        self.ppp(at + size, stop)
    }

    /// L2TP version 3 over IP (RFC 3931 §4.1.1). Only the two ends know how long the cookie is and
    /// whether a sublayer follows: what leads to an IP packet that fits is it.
    fn l2tp3(&mut self, at: usize, stop: usize) -> Step {
        if self.u32(at)? == 0 {
            return self.nothing();
        }
        let mark = self.mark();
        for head in [4, 8, 12, 16] {
            self.through(Tunnel::L2tp)?;
            if self.ethernet(at + head, stop).is_ok() && self.facts.reason == NoFlow::None {
                return Ok(());
            }
            self.back_to(&mark);
        }
        self.nothing()
    }

    /// CAPWAP data (RFC 5415 §4.3), frames of IEEE 802.3 or 802.11.
    fn capwap(&mut self, at: usize, stop: usize) -> Step {
        let bits = self.u32(at)?;
        // DTLS, fragments and keep-alives carry nothing that can be read
        if bits >> 24 != 0 || bits & 0x88 != 0 {
            return self.nothing();
        }
        self.through(Tunnel::Capwap)?;
        let inner = at + (bits >> 19 & 31) as usize * 4;
        if bits & 0x100 != 0 {
            self.wlan_either(inner, stop)
        } else {
            self.ethernet(inner, stop)
        }
    }

    /// A message of the tunnel itself: the flow is the outer one, and nothing is odd.
    fn nothing(&mut self) -> Step {
        self.facts.reason = NoFlow::NotIp;
        Ok(())
    }
}

/// The tunnel that a port suggests.
#[inline(always)]
fn udp_tunnel((a, b): (u16, u16)) -> Option<Tunnel> {
    let of = |port: u16| match port {
        4789 => Some(Tunnel::Vxlan),
        6081 => Some(Tunnel::Geneve),
        2152 => Some(Tunnel::GtpU),
        3544 => Some(Tunnel::Teredo),
        1701 => Some(Tunnel::L2tp),
        5247 => Some(Tunnel::Capwap),
        _ => None,
    };
    of(b).or_else(|| of(a))
}
