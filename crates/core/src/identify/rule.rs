//! Descriptions of protocols and of the rules that recognise them.

use super::verdict::Verdict;
use super::view::{Transport, View};

/// TCP, for [`Rule::on`] and [`Protocol::on`].
pub const TCP: u8 = 1;
/// UDP and UDP-Lite.
pub const UDP: u8 = 2;
/// SCTP.
pub const SCTP: u8 = 4;
/// Any other IP protocol.
pub const IP: u8 = 8;

/// A protocol that can be named.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Lower case short name; unique.
    pub label: &'static str,
    /// Name in full.
    pub title: &'static str,
    /// Bits of [`TCP`], [`UDP`], [`SCTP`], [`IP`].
    pub on: u8,
    /// Ports it is registered for or known on. The engine never looks at them; they serve the comparison of
    /// port and protocol afterwards.
    pub ports: &'static [u16],
    /// Where it is specified.
    pub spec: &'static str,
}

/// How the bytes of one direction begin, for the look-up of rules.
#[derive(Clone, Copy, Debug)]
pub enum Starts {
    /// Anyhow.
    Any,
    /// With one of these; only the first two bytes are looked at.
    With(&'static [&'static [u8]]),
    /// With a byte for which this holds.
    Byte(fn(u8) -> bool),
}

/// A rule: when to ask it, and how it decides.
///
/// `client` and `server` are conditions on bytes that are *there*: a direction that is silent fulfils any.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The label it gives, if the match does not say another.
    pub label: &'static str,
    /// What the rule looks at, as `hello`; its full name is `label.name`.
    pub name: &'static str,
    /// Bits of [`TCP`], [`UDP`], [`SCTP`], [`IP`].
    pub on: u8,
    /// How the client's bytes begin.
    pub client: Starts,
    /// How the server's bytes begin.
    pub server: Starts,
    /// The rule.
    pub check: fn(&View<'_>) -> Verdict,
}

/// Protocols of one kind and their rules.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name of the family, as `mail`.
    pub name: &'static str,
    /// What can be named.
    pub protocols: &'static [Protocol],
    /// How it is recognised.
    pub rules: &'static [Rule],
}

impl Starts {
    /// Bytes that begin with `first` (and `second`, if there are two) may fulfil it.
    pub(super) fn allows(self, first: u8, second: Option<u8>) -> bool {
        match self {
            Self::Any => true,
            Self::With(list) => list.iter().any(|prefix| {
                prefix.first().is_none_or(|&byte| byte == first)
                    && match (prefix.get(1), second) {
                        (Some(&want), Some(have)) => want == have,
                        _ => true,
                    }
            }),
            Self::Byte(holds) => holds(first),
        }
    }
}

/// The bit of [`Rule::on`] for a transport.
pub(super) const fn bit(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
        Transport::Sctp => SCTP,
        Transport::Ip(_) => IP,
    }
}
