//! Addresses, tags and protocols as text, written into column buffers.

use std::fmt::Write;
use std::net::Ipv6Addr;

use flowkeep_core::packet::{Key, Tunnel};

/// Appends an IPv4 address.
fn ip4(out: &mut String, bytes: [u8; 4]) {
    // By hand: this runs twice for each of millions of flows.
    let (mut text, mut at) = ([b'.'; 16], 0);
    for b in bytes {
        if b >= 100 {
            text[at] = b'0' + b / 100;
            at += 1;
        }
        if b >= 10 {
            text[at] = b'0' + b / 10 % 10;
            at += 1;
        }
        text[at] = b'0' + b % 10;
        at += 2; // and the point
    }
    out.push_str(std::str::from_utf8(&text[..at - 1]).unwrap_or_default());
}

/// Appends the address of one end of a key (RFC 5952 for IPv6).
pub fn address(out: &mut String, key: &Key, hi: bool) {
    let bytes = if hi { &key.hi } else { &key.lo };
    if key.version & !Key::ORPHAN == 4 {
        ip4(out, [bytes[0], bytes[1], bytes[2], bytes[3]]);
    } else {
        let _ = write!(out, "{}", Ipv6Addr::from(*bytes));
    }
}

/// The name of an IP protocol: that of tcpdump and Zeek where they have one, else its number.
pub fn protocol(number: u8) -> &'static str {
    match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmp6",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        136 => "udplite",
        n => NUMBERS[n as usize],
    }
}

/// Appends VLAN tags as `outer` or `outer.inner`; nothing when there are none.
pub fn vlan(out: &mut String, tags: [u16; 2]) -> bool {
    let mut any = false;
    for tag in tags.into_iter().filter(|&t| t != 0) {
        let _ = write!(out, "{}{}", if any { "." } else { "" }, tag - 1);
        any = true;
    }
    any
}

/// Appends the tunnels, outermost first, with `/` between them; nothing when there are none.
pub fn tunnels(out: &mut String, packed: u16) -> bool {
    let mut any = false;
    for i in 0..4 {
        let Some(tunnel) = Tunnel::from_number((packed >> (4 * i)) as u8 & 15) else {
            break;
        };
        if any {
            out.push('/');
        }
        out.push_str(tunnel.name());
        any = true;
    }
    any
}

macro_rules! numbers {
    ($($n:literal)*) => { [$(stringify!($n)),*] };
}

#[rustfmt::skip]
static NUMBERS: [&str; 256] = numbers!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
    20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
    40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59
    60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79
    80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99
    100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119
    120 121 122 123 124 125 126 127 128 129 130 131 132 133 134 135 136 137 138 139
    140 141 142 143 144 145 146 147 148 149 150 151 152 153 154 155 156 157 158 159
    160 161 162 163 164 165 166 167 168 169 170 171 172 173 174 175 176 177 178 179
    180 181 182 183 184 185 186 187 188 189 190 191 192 193 194 195 196 197 198 199
    200 201 202 203 204 205 206 207 208 209 210 211 212 213 214 215 216 217 218 219
    220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239
    240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255
);
