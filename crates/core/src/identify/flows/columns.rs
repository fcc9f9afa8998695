//! What the flow table shows of an identified flow.

use std::borrow::Cow;
use std::fmt::Write;

use super::super::names::fingerprint::push_hex;
use super::super::registry::registry;
use super::super::rule::Protocol;
use super::learn::Address;
use super::{serves, Identified};
use crate::flow::client::client;
use crate::flow::Flow;

/// Evidence shows so many bytes.
const SHOWN: usize = 8;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Label, behind that of the protocol that carries it: `http/websocket`.
    Service,
    /// 0 to 100.
    Confidence,
    /// Rule, end, offset and bytes that told.
    Evidence,
    /// SNI, else HTTP host, else what DNS had called the server's address when the flow began.
    ServerName,
    /// Name in a ClientHello.
    Sni,
    /// Protocols offered in a ClientHello.
    Alpn,
    /// Host of the first HTTP request, without its port.
    HttpHost,
    /// JA3 of a TLS client.
    Ja3,
    /// JA4 of a TLS, QUIC or DTLS client.
    Ja4,
    /// Subject of a TLS server's certificate.
    Subject,
    /// Its issuer.
    Issuer,
    /// The server's port is known for something else.
    PortMismatch,
}

/// All columns with their names, in their order.
pub const COLUMNS: [(Column, &str); 12] = [
    (Column::Service, "service"),
    (Column::Confidence, "service_confidence"),
    (Column::Evidence, "service_evidence"),
    (Column::ServerName, "server_name"),
    (Column::Sni, "sni"),
    (Column::Alpn, "alpn"),
    (Column::HttpHost, "http_host"),
    (Column::Ja3, "ja3"),
    (Column::Ja4, "ja4"),
    (Column::Subject, "tls_subject"),
    (Column::Issuer, "tls_issuer"),
    (Column::PortMismatch, "port_mismatch"),
];

impl Identified {
    /// The text in a column; `None` where it is not known.
    pub fn text(&self, n: u32, flow: &Flow, column: Column) -> Option<Cow<'_, str>> {
        let entry = self.known(n)?;
        let names = (entry.names as usize).checked_sub(1).map(|at| self.names[at]).unwrap_or_default();
        let number = match column {
            Column::Service => return entry.state.answer().map(|answer| self.engine.path(answer)),
            Column::Evidence => return self.evidence(n, flow).map(Cow::Owned),
            Column::Confidence | Column::PortMismatch => return None,
            Column::ServerName => [names.sni, names.host, entry.hint].into_iter().find(|&n| n > 0)?,
            Column::Sni => names.sni,
            Column::Alpn => names.alpn,
            Column::HttpHost => names.host,
            Column::Ja3 => names.ja3,
            Column::Ja4 => names.ja4,
            Column::Subject => names.subject,
            Column::Issuer => names.issuer,
        };
        self.texts.get(number).map(Cow::Borrowed)
    }

    /// How sure the service is, 0 to 100.
    pub fn confidence(&self, n: u32) -> Option<u8> {
        Some(self.known(n)?.state.answer()?.confidence)
    }

    /// Whether the server's port is known for another protocol than what is spoken there.
    pub fn port_mismatch(&self, n: u32, flow: &Flow) -> Option<bool> {
        let answer = self.known(n)?.state.answer()?;
        let spoken = [Some(self.engine.protocol(answer)), self.engine.parent(answer)];
        let (c, _) = client(flow);
        let ports = [flow.key.lo_port, flow.key.hi_port];
        let proto = flow.key.proto;
        let fits = |protocol: &Protocol| ports.iter().any(|&port| serves(protocol, proto, port));
        if spoken.iter().flatten().any(|protocol| fits(protocol)) {
            return Some(false);
        }
        Some(registry().any(|(_, protocol)| serves(protocol, proto, ports[1 - c])))
    }

    fn evidence(&self, n: u32, flow: &Flow) -> Option<String> {
        let answer = self.known(n)?.state.answer()?;
        let end = if usize::from(answer.dir) == client(flow).0 { "client" } else { "server" };
        let (label, name) = self.engine.rule_parts(answer);
        let mut out = String::with_capacity(64);
        for part in [label, ".", name, " ", end, "+"] {
            out.push_str(part);
        }
        if answer.offset == 0 {
            out.push('0');
        } else {
            _ = write!(out, "{}", answer.offset);
        }
        for (i, &byte) in answer.evidence().iter().take(SHOWN).enumerate() {
            if i == 0 {
                out.push(' ');
            }
            push_hex(&mut out, byte);
        }
        Some(out)
    }

    /// Addresses with the names they were given.
    pub fn named(&self) -> impl Iterator<Item = (Address, Vec<&str>)> {
        let named = self.addresses.sorted().into_iter();
        named.map(|(address, names)| {
            (address, names.iter().filter_map(|&name| self.texts.get(name)).collect())
        })
    }

    /// Names for which there was no room, and flows that were decided by their first packet because too many waited.
    pub fn left_out(&self) -> (u64, u64) {
        (self.texts.left_out(), self.engine.hurried())
    }
}
