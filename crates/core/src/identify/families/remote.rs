//! Terminals and desktops from afar: Telnet, rlogin, rsh, X11, XDMCP, VNC, SPICE, Citrix ICA, TeamViewer.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{decimal, is_ascii, is_text};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "remote",
    protocols: &[
        Protocol { label: "telnet", title: "Telnet", on: TCP, ports: &[23, 2323], spec: "RFC 854" },
        Protocol { label: "rlogin", title: "Remote login", on: TCP, ports: &[513], spec: "RFC 1282" },
        Protocol {
            label: "rsh",
            title: "Remote shell (rsh) or execution (rexec)",
            on: TCP,
            ports: &[514, 512],
            spec: "4.3BSD rshd(8), rexecd(8)",
        },
        Protocol {
            label: "x11",
            title: "X Window System",
            on: TCP,
            ports: &[6000, 6001, 6010],
            spec: "X Window System Protocol",
        },
        Protocol {
            label: "xdmcp",
            title: "X Display Manager Control Protocol",
            on: UDP,
            ports: &[177],
            spec: "X Display Manager Control Protocol 1.1",
        },
        Protocol {
            label: "vnc",
            title: "Virtual Network Computing, Remote Framebuffer",
            on: TCP,
            ports: &[5900, 5901, 5500],
            spec: "RFC 6143",
        },
        Protocol {
            label: "spice",
            title: "SPICE remote desktop",
            on: TCP,
            ports: &[5900, 5930],
            spec: "SPICE protocol",
        },
        Protocol {
            label: "citrix-ica",
            title: "Citrix Independent Computing Architecture",
            on: TCP,
            ports: &[1494],
            spec: "Citrix ports used by Citrix technologies",
        },
        Protocol {
            label: "citrix-cgp",
            title: "Citrix Common Gateway Protocol",
            on: TCP,
            ports: &[2598],
            spec: "Citrix ports used by Citrix technologies",
        },
        Protocol {
            label: "teamviewer",
            title: "TeamViewer",
            on: TCP,
            ports: &[5938],
            spec: "TeamViewer, Ports used",
        },
    ],
    rules: &[
        Rule { label: "telnet", name: "options", on: TCP, client: TERMINAL, server: TERMINAL, check: telnet },
        Rule {
            label: "rlogin",
            name: "terminal",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00", b"\x01"]),
            check: |v| v.asked(LIKELY, rlogin, |_| Ok(()), |(), ()| true),
        },
        Rule {
            label: "rsh",
            name: "command",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_digit()),
            server: Starts::With(&[b"\x00", b"\x01"]),
            check: |v| {
                v.both(
                    rsh,
                    |bytes| {
                        let text = &bytes[1..bytes.len().min(40)];
                        ensure(
                            text.iter()
                                .all(|&byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..)),
                        )
                    },
                    |(), ()| true,
                )
            },
        },
        Rule {
            label: "x11",
            name: "setup",
            on: TCP,
            client: Starts::With(&[b"l\x00", b"B\x00"]),
            server: Starts::With(&[b"\x00", b"\x01", b"\x02"]),
            check: |v| v.asked(STRONG, setup, set_up, |q, r| q == r),
        },
        Rule {
            label: "xdmcp",
            name: "packet",
            on: UDP,
            client: Starts::With(&[b"\x00\x01"]),
            server: Starts::With(&[b"\x00\x01"]),
            check: |v| {
                let whole = [v.client.first_len(), v.server.first_len()];
                v.asked(
                    LIKELY,
                    |b| display(b, whole[0], true),
                    |b| display(b, whole[1], false),
                    |&q, &r| matches!((q, r), (1..=3, 5 | 6) | (7, 8 | 9) | (10, 11 | 12) | (13, 14)),
                )
            },
        },
        Rule {
            label: "vnc",
            name: "version",
            on: TCP,
            client: Starts::With(&[b"RF"]),
            server: Starts::With(&[b"RF"]),
            check: |v| match v.pair(STRONG, rfb, rfb, |(), ()| true) {
                // The server speaks first.
                Ok(found) if found.confidence < ANSWERED && found.who == Who::Client => Err(Stop::More),
                verdict => verdict,
            },
        },
        Rule {
            label: "spice",
            name: "link",
            on: TCP,
            client: Starts::With(&[b"RE"]),
            server: Starts::With(&[b"RE"]),
            check: |v| v.pair(STRONG, spice, spice, |q, r| q == r),
        },
        Rule {
            label: "citrix-ica",
            name: "hello",
            on: TCP,
            client: Starts::With(&[b"\x7f\x7f"]),
            server: Starts::With(&[b"\x7f\x7f"]),
            check: |v| v.pair(STRONG, ica, ica, |(), ()| true),
        },
        Rule {
            label: "citrix-cgp",
            name: "hello",
            on: TCP,
            client: Starts::With(&[b"\x1aC"]),
            server: Starts::With(&[b"\x1aC"]),
            check: |v| v.pair(STRONG, cgp, cgp, |(), ()| true),
        },
        Rule {
            label: "teamviewer",
            name: "command",
            on: TCP,
            client: Starts::With(&[b"\x17\x24", b"\x11\x30"]),
            server: Starts::With(&[b"\x17\x24", b"\x11\x30"]),
            check: |v| v.pair(LIKELY, viewer, viewer, |(), ()| true),
        },
    ],
};

const TERMINAL: Starts = Starts::Byte(|byte| byte >= 0x80 || byte >= 0x20 || matches!(byte, 7..=13 | 27));

/// Commands with options (RFC 854, "Telnet command structure") at the start; how many. Text may follow.
fn options(bytes: &[u8]) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    let mut count = 0;
    while c.peek() == Ok(255) {
        c.skip(1)?;
        let Ok(command) = c.u8() else { break };
        match command {
            251..=254 => {
                let Ok(option) = c.u8() else { break };
                ensure(option <= 49 || matches!(option, 70 | 85..=93 | 138..=140 | 200..=202 | 255))?;
                count += 1;
            }
            250 => {
                let Ok(option) = c.u8() else { break };
                ensure(option <= 49 || matches!(option, 69 | 70 | 86 | 138..=140 | 200..=202))?;
                let rest = c.rest();
                let end = rest.windows(2).take(512).position(|pair| pair == [255, 240]);
                let Some(end) = end else {
                    ensure(rest.len() <= 512)?;
                    break;
                };
                c.skip(end + 2)?;
                count += 2;
            }
            241..=249 => count += u32::from(count > 0),
            _ => return Err(Stop::No),
        }
    }
    let after = &c.rest()[..c.left().min(if count == 0 { 64 } else { 16 })];
    ensure(after.iter().all(|&byte| !matches!(byte, 1..=6 | 14..=26 | 28..=31)))?;
    Ok(count)
}

fn telnet(v: &View<'_>) -> Verdict {
    let (client, server) = (maybe(v.client.parse(options))?, maybe(v.server.parse(options))?);
    let told = |side: Option<u32>| side.unwrap_or(0);
    let total = told(client) + told(server);
    if client.is_some() && server.is_some() && total == 0 {
        return Err(Stop::No);
    }
    let both = told(client) > 0 && told(server) > 0;
    match total {
        0 | 1 => Err(Stop::More),
        _ if both => {
            Ok(Match::new(if total > 2 || v.done { ANSWERED } else { STRONG }).at(Who::Server, 0, 12))
        }
        _ if v.done || total > 2 => {
            let who = if told(server) > 0 { Who::Server } else { Who::Client };
            Ok(Match::new(if total > 2 { STRONG } else { LIKELY }).at(who, 0, 12))
        }
        _ => Err(Stop::More),
    }
}

fn rlogin(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 0)?;
    for _ in 0..2 {
        let user = c.until(0, 64)?;
        ensure(!user.is_empty() && is_ascii(user))?;
    }
    let terminal = c.until(0, 64)?;
    let slash = terminal.iter().position(|&byte| byte == b'/').ok_or(Stop::No)?;
    ensure(slash > 0 && is_ascii(terminal) && decimal(&terminal[slash + 1..]).is_some())
}

/// A port for errors, two names, a command.
fn rsh(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let port = c.until(0, 5)?;
    ensure(decimal(port).is_some_and(|port| port < 65_536))?;
    for _ in 0..2 {
        ensure(is_ascii(c.until(0, 64)?))?;
    }
    let command = c.until(0, 1500)?;
    ensure(!command.is_empty() && is_text(command))
}

/// Order of bytes.
fn setup(bytes: &[u8]) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    let order = c.u8()?;
    ensure(c.u8()? == 0)?;
    let number = |c: &mut Cursor<'_>| if order == b'l' { c.u16le() } else { c.u16() };
    let (major, minor) = (number(&mut c)?, number(&mut c)?);
    ensure(major == 11 && minor == 0)?;
    let (name, data) = (number(&mut c)?, number(&mut c)?);
    c.skip(2)?;
    ensure(name <= 64 && data <= 1024)?;
    ensure(is_ascii(c.take(usize::from(name))?))?;
    Ok(order)
}

fn set_up(bytes: &[u8]) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    let (status, _, version) = (c.u8()?, c.u8()?, c.u16()?);
    ensure(status <= 2)?;
    match version {
        0x000b => Ok(b'B'),
        0x0b00 => Ok(b'l'),
        _ => Err(Stop::No),
    }
}

/// Operation of a packet that is as long as it says.
fn display(bytes: &[u8], whole: usize, asks: bool) -> Step<u16> {
    let mut c = Cursor::new(bytes);
    let (version, code, len) = (c.u16()?, c.u16()?, usize::from(c.u16()?));
    ensure(version == 1 && len + 6 == whole)?;
    ensure(if asks {
        matches!(code, 1..=3 | 7 | 10 | 13)
    } else {
        matches!(code, 5 | 6 | 8 | 9 | 11 | 12 | 14)
    })?;
    match code {
        1..=3 => {
            for _ in 0..c.u8()? {
                ensure(is_ascii(c.counted(2)?))?;
            }
            ensure(c.is_empty())?;
        }
        13 | 14 => ensure(len == if code == 13 { 6 } else { 5 })?,
        5 | 6 => ensure(is_text(c.counted(2)?) && is_text(c.counted(2)?))?,
        _ => ensure(len >= 2)?,
    }
    Ok(code)
}

fn rfb(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"RFB ")?;
    let version = c.take(8)?;
    let digits = version[..3].iter().chain(&version[4..7]).all(u8::is_ascii_digit);
    ensure(digits && version[3] == b'.' && version[7] == b'\n')
}

fn spice(bytes: &[u8]) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    c.expect(b"REDQ")?;
    let (major, _minor, size) = (c.u32le()?, c.u32le()?, c.u32le()?);
    ensure(matches!(major, 1 | 2) && (12..=65_536).contains(&size))?;
    Ok(major)
}

fn ica(bytes: &[u8]) -> Step<()> {
    Cursor::new(bytes).expect(b"\x7f\x7fICA\0")
}

fn cgp(bytes: &[u8]) -> Step<()> {
    Cursor::new(bytes).expect(b"\x1aCGP/0")
}

/// Magic, command, length.
fn viewer(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let magic = c.u16()?;
    if magic == 0x1130 {
        let (command, zero, len, small) = (c.u8()?, c.u8()?, c.u32le()?, c.u32le()?);
        return ensure((0x10..0x70).contains(&command) && zero == 0 && len < 1 << 20 && small < 256);
    }
    ensure(magic == 0x1724)?;
    let (command, len) = (c.u8()?, usize::from(c.u16le()?));
    ensure((0x0a..0x70).contains(&command))?;
    c.skip(len)?;
    ensure(c.is_empty() || c.rest().starts_with(&[0x17, 0x24]))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn negotiated_options_are_telnet() {
        tcp().s(hex("fffd18 fffd20 fffd23")).c(hex("fffb18 fffc20")).is("telnet");
        tcp().s(hex("fffb01 fffb03")).is("telnet");
        tcp().s(hex("fffb01 fffd18")).c(hex("fffd01 fffa18 00 7874 fff0")).is("telnet");
        tcp().s(cat(&[&hex("fffb01 fffb03"), b"login: "])).c("joe\r\n").is("telnet");
        tcp().s(hex("fffb01")).is_nothing();
        tcp().s(hex("fffb01 fffb80")).is_nothing();
        tcp().s(hex("fffb01 fff0 03")).is_nothing();
        tcp().s(cat(&[&hex("fffb01 fffb03"), &[1, 2, 3, 4]])).is_nothing();
    }

    #[test]
    fn logins_and_commands_of_old_are_told() {
        tcp().c("\0joe\0root\0xterm/38400\0").s("\0").is("rlogin");
        tcp().c("\0joe\0root\0xterm-38400\0").s("\0").is_nothing();
        tcp().c("1022\0").c("joe\0root\0ls -l\0").s("\0total 0\n").is("rsh");
        tcp().c("99999\0").c("joe\0root\0ls -l\0").s("\0total 0\n").is_nothing();
        tcp().c("1022\0joe\0root\0ls\0").is_nothing();
    }

    #[test]
    fn displays_are_told() {
        let setup = cat(&[&hex("6c 00 0b00 0000 1200 1000 0000"), b"MIT-MAGIC-COOKIE-1\0\0", &[7; 16]]);
        tcp().c(&setup).s(hex("01 00 0b00 0000 2800")).is("x11");
        tcp().c(&setup).is("x11");
        tcp().c(&setup).s(hex("01 00 000b 0000 2800")).is_nothing();
        let mut odd = setup;
        odd[2] = 12;
        tcp().c(&odd).is_nothing();
        udp().c(hex("0001 0002 0001 00")).s(hex("0001 0005 0009 0000 0001 61 0002 6f6b")).is("xdmcp");
        udp().c(hex("0001 0002 0001 00")).is("xdmcp");
        udp().c(hex("0001 0002 0002 00")).is_nothing();
        udp().c(hex("0001 0002 0001 00")).s(hex("0001 000e 0005 00 00000000")).is_nothing();
    }

    #[test]
    fn desktops_are_told_by_their_greetings() {
        tcp().s("RFB 003.008\n").c("RFB 003.008\n").is("vnc");
        tcp().s("RFB 003.008\n").is("vnc");
        tcp().s("RFB 003,008\n").is_nothing();
        let link = hex("52454451 02000000 02000000 1a000000");
        tcp().c(&link).s(&link).is("spice");
        tcp().c(hex("52454451 03000000 02000000 1a000000")).is_nothing();
        tcp().s("\x7f\x7fICA\0").c("\x7f\x7fICA\0").is("citrix-ica");
        tcp().s("\x7f\x7fICB\0").is_nothing();
        tcp().c("\x1aCGP/01\x01").is("citrix-cgp");
        let view = cat(&[&hex("1724 0a 2000 88138000"), &[0; 28]]);
        tcp().c(&view).s(&view).is("teamviewer");
        tcp().c(&view[..20]).c([9; 30]).is_nothing();
        tcp().c(hex("1130 36 00 18000000 01000000 00000000")).is("teamviewer");
        tcp().c(hex("1130 36 01 18000000 01000000 00000000")).is_nothing();
    }
}
