//! SSH (RFC 4253 §4.2).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::is_text;
use super::super::verdict::confidence::STRONG;
use super::super::verdict::{ensure, Step, Stop, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "ssh",
    protocols: &[Protocol { label: "ssh", title: "Secure Shell", on: TCP, ports: &[22], spec: "RFC 4253" }],
    rules: &[
        Rule {
            label: "ssh",
            name: "banner",
            on: TCP,
            client: Starts::With(&[b"SSH-"]),
            server: Starts::With(&[b"SSH-"]),
            check: ssh,
        },
        Rule {
            label: "ssh",
            name: "lines",
            on: TCP,
            client: Starts::With(&[b"SSH-"]),
            server: Starts::Byte(|byte| {
                byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
            }),
            check: |v| {
                v.server.parse(behind_lines)?;
                v.pair(STRONG, banner, behind_lines, |(), ()| true)
            },
        },
    ],
};

/// A server may say other lines first; none of them begins like a banner.
fn behind_lines(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    for _ in 0..40 {
        c.text_line(400)?;
        if c.rest().starts_with(b"SSH-") {
            return banner(c.rest());
        }
    }
    Err(Stop::No)
}

fn ssh(v: &View<'_>) -> Verdict {
    v.pair(STRONG, banner, banner, |(), ()| true)
}

/// `SSH-2.0-software comments`, at most 255 bytes.
fn banner(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"SSH-")?;
    let version = c.until(b'-', 4)?;
    ensure(
        matches!(version, [b'1'..=b'2', b'.', b'0'..=b'9', ..])
            && version[2..].iter().all(u8::is_ascii_digit),
    )?;
    let software = c.line(255)?;
    ensure(!software.is_empty() && is_text(software))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::tcp;

    #[test]
    fn banners_are_ssh() {
        tcp().s("SSH-2.0-OpenSSH_9.6\r\n").c("SSH-2.0-PuTTY\r\n").is("ssh");
        tcp().s("SSH-1.99-x\n").midway().is("ssh");
        tcp().c("SSH-2.0-a b c\r\n\0\0\x04\x0c").is("ssh");
    }

    #[test]
    fn near_misses_are_not() {
        tcp().s("SSH-3.0-x\r\n").is_nothing();
        tcp().s("SSH-2.0-\r\n").is_nothing();
        tcp().s("SSH-2.0-\x01\x02\r\n").is_nothing();
        tcp().s("SSH-2.0-a\r\n").c("USER x\r\n").is_nothing();
    }
}
