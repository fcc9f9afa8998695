//! Link layers and what may stand between them and IP.

use super::reader::{Bad, Reader, Step};
use super::NoFlow;

/// Whether packets of a link type are read.
pub fn is_known_link(link: u16) -> bool {
    matches!(
        link,
        0 | 1
            | 9
            | 12
            | 14
            | 50
            | 51
            | 101
            | 104
            | 105
            | 108
            | 113
            | 119
            | 127
            | 163
            | 166
            | 178
            | 179
            | 181
            | 192
            | 204
            | 205
            | 228
            | 229
            | 274
            | 276
    )
}

pub(super) mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const QINQ: u16 = 0x88a8;
    pub const OLD_QINQ: u16 = 0x9100;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const PPPOE: u16 = 0x8864;
    pub const PPP: u16 = 0x880b;
    pub const ETHERNET: u16 = 0x6558;
    /// Below this the field is a length (IEEE 802.3 §3.2.6).
    pub const LEAST: u16 = 0x0600;
}

impl Reader<'_> {
    /// A packet of a link type of the LINKTYPE registry.
    #[inline(always)]
    pub fn link(&mut self, link: u16, at: usize, end: usize) -> Step {
        if link == 1 {
            self.ethernet(at, end)
        } else {
            self.other_link(link, at, end)
        }
    }

    #[inline(never)]
    fn other_link(&mut self, link: u16, at: usize, end: usize) -> Step {
        self.deeper()?;
        match link {
            0 | 108 => self.bsd_family(at, end),
            1 => self.ethernet(at, end),
            9 | 50 => self.ppp(at, end),
            // the first byte is the direction, which pppd writes in the place of the address 0xff
            166 => self.ppp(if self.byte(at + 1)? == 3 { at + 2 } else { at + 1 }, end),
            204 => self.ppp(at + 1, end),
            // 228 and 229 promise one version, but there are captures that hold the other one
            12 | 14 | 101 | 228 | 229 => self.either_ip(at, end),
            51 => self.pppoe(at, end),
            104 => self.c_hdlc(at, end),
            205 => self.c_hdlc(at + 1, end),
            105 => self.wlan(at, end, false),
            119 | 163 => self.prism(at, end),
            113 => self.cooked(self.u16(at + 14)?, at + 16, end),
            276 => self.cooked(self.u16(at)?, at + 20, end),
            127 => self.radiotap(at, end),
            178 | 179 | 181 => self.juniper(link, at, end),
            192 => self.ppi(at, end),
            274 => self.mpacket(at, end),
            _ => {
                self.facts.reason = NoFlow::UnknownLink;
                Ok(())
            }
        }
    }

    #[inline(always)]
    pub fn ethernet(&mut self, at: usize, end: usize) -> Step {
        self.deeper()?;
        let kind = self.u16(at + 12)?;
        self.type_or_length(kind, at + 14, end)
    }

    #[inline(always)]
    fn type_or_length(&mut self, kind: u16, at: usize, end: usize) -> Step {
        match kind {
            ethertype::IPV4 => self.ip4(at, end),
            ethertype::LEAST.. => self.ethertype(kind, at, end),
            _ => self.llc(at, end),
        }
    }

    /// LLC with a SNAP header of the Ethernet types, or bridged ones (IEEE 802).
    pub fn llc(&mut self, at: usize, end: usize) -> Step {
        let snap: Result<[u8; 6], Bad> = self.array(at);
        match snap {
            Ok([0xaa, 0xaa, 3, 0, 0, 0 | 0xf8]) => self.ethertype(self.u16(at + 6)?, at + 8, end),
            _ => Ok(()),
        }
    }

    #[inline(never)]
    pub fn ethertype(&mut self, kind: u16, at: usize, end: usize) -> Step {
        self.deeper()?;
        match kind {
            ethertype::IPV4 => self.ip4(at, end),
            ethertype::IPV6 => self.ip6(at, end),
            ethertype::VLAN | ethertype::QINQ | ethertype::OLD_QINQ => {
                let tag = (self.u16(at)? & 0x0fff) + 1;
                if let Some(free) = self.facts.vlan.iter_mut().find(|v| **v == 0) {
                    *free = tag;
                }
                let inner = self.u16(at + 2)?;
                self.type_or_length(inner, at + 4, end)
            }
            ethertype::MPLS | ethertype::MPLS_MULTICAST => self.mpls(at, end),
            ethertype::PPPOE => self.pppoe(at, end),
            ethertype::PPP => self.ppp(at, end),
            ethertype::ETHERNET => self.ethernet(at, end),
            _ => Ok(()),
        }
    }

    /// A label stack (RFC 3032). It does not say what it carries: IP is told by its version, Ethernet by
    /// the control word before it (RFC 4385).
    fn mpls(&mut self, mut at: usize, end: usize) -> Step {
        while self.u32(at)? & 0x100 == 0 {
            at += 4;
            self.deeper()?;
        }
        at += 4;
        match self.byte(at)? >> 4 {
            4 => self.ip4(at, end),
            6 => self.ip6(at, end),
            0 if self.u32(at)? >> 16 == 0 => self.ethernet(at + 4, end),
            _ => Ok(()),
        }
    }

    /// An address family before IP, in the byte order of whoever wrote it.
    fn bsd_family(&mut self, at: usize, end: usize) -> Step {
        let family = self.u32(at)?;
        let family = if family > 0xffff { family.swap_bytes() } else { family };
        match family {
            2 => self.ip4(at + 4, end),
            10 | 24 | 28 | 30 => self.ip6(at + 4, end), // Linux, NetBSD and OpenBSD, FreeBSD, macOS
            _ => Ok(()),
        }
    }

    /// PPPoE (RFC 2516 §4); only the session stage carries packets.
    fn pppoe(&mut self, at: usize, end: usize) -> Step {
        if self.byte(at + 1)? != 0 {
            return Ok(());
        }
        let length = usize::from(self.u16(at + 4)?);
        self.ppp(at + 6, end.min(at + 6 + length))
    }

    /// PPP (RFC 1661 §2), with or without HDLC address and control (RFC 1662).
    pub fn ppp(&mut self, mut at: usize, end: usize) -> Step {
        if self.u16(at)? == 0xff03 {
            at += 2;
        }
        let mut kind = u16::from(self.byte(at)?);
        if kind & 1 == 1 {
            at += 1; // compressed protocol field
        } else {
            kind = self.u16(at)?;
            at += 2;
        }
        match kind {
            0x0021 => self.ip4(at, end),
            0x0057 => self.ip6(at, end),
            0x0281 | 0x0283 => self.ethertype(ethertype::MPLS, at, end),
            // bridged frames (RFC 3518): flags and MAC type before the frame
            0x0031 => self.bridged(at, end),
            _ => Ok(()),
        }
    }

    fn bridged(&mut self, at: usize, end: usize) -> Step {
        self.deeper()?;
        if self.byte(at + 1)? == 1 && self.byte(at)? & 0x0f == 0 {
            self.ethernet(at + 2, end)
        } else {
            self.ethernet(at, end)
        }
    }

    fn c_hdlc(&mut self, at: usize, end: usize) -> Step {
        self.ethertype(self.u16(at + 2)?, at + 4, end)
    }

    /// Linux cooked captures: an Ethernet type, or one of Linux's numbers for what has none.
    fn cooked(&mut self, kind: u16, at: usize, end: usize) -> Step {
        match kind {
            4 => self.llc(at, end),
            ethertype::LEAST.. => self.ethertype(kind, at, end),
            _ => Ok(()),
        }
    }

    /// Juniper's header: magic, flags, extensions; then the link's own header unless a flag denies it.
    fn juniper(&mut self, link: u16, at: usize, end: usize) -> Step {
        let [b'M', b'G', b'C', flags] = self.array::<4>(at)? else { return Err(Bad) };
        let extensions = if flags & 0x80 != 0 { 2 + usize::from(self.u16(at + 4)?) } else { 0 };
        let at = at + 4 + extensions;
        match link {
            _ if flags & 2 != 0 => self.either_ip(at + 4, end),
            178 => self.ethernet(at, end),
            179 => self.ppp(at, end),
            _ => self.c_hdlc(at, end),
        }
    }

    /// IEEE 802.3br: preamble, start delimiter, frame. Only express frames and first fragments begin
    /// with addresses.
    fn mpacket(&mut self, at: usize, end: usize) -> Step {
        let mut smd = at;
        while smd < at + 7 && self.byte(smd)? == 0x55 {
            smd += 1;
        }
        match self.byte(smd)? {
            0xd5 | 0xe6 | 0x4c | 0x7f | 0xb3 => self.ethernet(smd + 1, end.saturating_sub(4)),
            _ => Ok(()),
        }
    }
}
