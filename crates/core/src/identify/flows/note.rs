//! Reads the names out of the bytes that decided a flow.

use super::super::engine::Answer;
use super::super::names::fingerprint::{ja3, ja4, Carrier};
use super::super::names::tls::{handshake, hello_at, ClientHello};
use super::super::names::{cert, dns, http, quic};
use super::super::text::{plain, printable};
use super::super::view::{Transport, View};
use super::learn::{Address, Addresses};
use super::texts::Texts;
use crate::packet::Key;

/// Longest name that is kept, in bytes as sent.
const MAX_NAME: usize = 255;

/// What a protocol is to the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tls,
    Dtls,
    Quic,
    Http,
    Dns,
    Other,
}

impl Kind {
    pub fn of(label: &str) -> Self {
        match label {
            "tls" => Self::Tls,
            "dtls" => Self::Dtls,
            "quic" => Self::Quic,
            "http" => Self::Http,
            "dns" | "mdns" | "llmnr" => Self::Dns,
            _ => Self::Other,
        }
    }
}

/// Numbers of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub sni: u32,
    pub alpn: u32,
    pub host: u32,
    pub ja3: u32,
    pub ja4: u32,
    pub subject: u32,
    pub issuer: u32,
}

impl Names {
    pub fn set_holders(&mut self, texts: &mut Texts, holders: &cert::Holders) {
        self.subject = texts.put(&holders.subject);
        self.issuer = texts.put(&holders.issuer);
    }
}

/// What the deciding bytes hold.
pub struct Found {
    pub names: Names,
    pub kind: Kind,
    /// Direction of the client.
    pub client: u8,
    pub awaits_certificate: bool,
}

/// Where names go.
pub struct Noted<'a> {
    pub kinds: &'a [Kind],
    pub texts: &'a mut Texts,
    pub addresses: &'a mut Addresses,
    pub found: Option<Found>,
}

impl Noted<'_> {
    /// A flow is decided by these bytes.
    pub fn note(&mut self, key: &Key, view: &View<'_>, answer: &Answer) {
        let (label, parent) = answer.numbers();
        let kind = match self.kinds.get(parent) {
            Some(&kind) if kind != Kind::Other => kind,
            _ => self.kinds[label],
        };
        let mut found =
            Found { names: Names::default(), kind, client: answer.client, awaits_certificate: false };
        match kind {
            Kind::Tls => self.tls(view, &mut found),
            Kind::Dtls => self.dtls(view, &mut found),
            Kind::Quic => self.quic(view, &mut found),
            Kind::Http => self.http(view, &mut found),
            Kind::Dns => {
                for (bytes, _) in view.server.datagrams().chain(view.client.datagrams()) {
                    self.dns(bytes);
                }
                if view.transport == Transport::Tcp {
                    self.dns_stream(view.server.bytes);
                }
            }
            Kind::Other => return,
        }
        let server = Address::of(key, answer.client == 0);
        for name in [found.names.sni, found.names.host] {
            self.addresses.learn(server, name, false);
        }
        self.found = Some(found);
    }

    fn put(&mut self, bytes: &[u8]) -> u32 {
        let shown = &bytes[..bytes.len().min(MAX_NAME)];
        match plain(shown) {
            Some(text) => self.texts.put(text),
            None => self.texts.put(&printable(shown)),
        }
    }

    fn hello(&mut self, hello: &ClientHello<'_>, whole: bool, carrier: Carrier, names: &mut Names) {
        names.sni = hello.sni.map_or(0, |sni| self.put(sni));
        let protocols: Vec<&[u8]> = hello.protocols().take(64).collect();
        names.alpn = self.put(&protocols.join(&b","[..]));
        if whole {
            if carrier == Carrier::Tcp {
                names.ja3 = self.texts.put(&ja3(hello));
            }
            names.ja4 = self.texts.put(&ja4(hello, carrier));
        }
    }

    fn tls(&mut self, view: &View<'_>, found: &mut Found) {
        let mut room = Vec::new();
        if let Ok((1, body, whole)) = handshake(behind_text(view.client.bytes), &mut room) {
            if let Ok(hello) = ClientHello::read(body, whole, false) {
                self.hello(&hello, whole, Carrier::Tcp, &mut found.names);
            }
        }
        match cert::of_server(view.server.bytes) {
            Ok(holders) => found.names.set_holders(self.texts, &holders),
            // Only from its first byte on: what was there before is not shown again.
            Err(super::super::verdict::Stop::More) => found.awaits_certificate = view.server.is_silent(),
            Err(_) => {}
        }
    }

    fn dtls(&mut self, view: &View<'_>, found: &mut Found) {
        // A record (RFC 6347 §4.1) with a message that is not in fragments (§4.2.2).
        let Ok(bytes) = view.client.first() else { return };
        let (Some(&[22, ..]), Some(&[1, l0, l1, l2, _, _, 0, 0, 0, f0, f1, f2])) =
            (bytes.first_chunk::<3>(), bytes.get(13..25).and_then(|b| b.first_chunk::<12>()))
        else {
            return;
        };
        let len = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if [l0, l1, l2] != [f0, f1, f2] {
            return;
        }
        if let Some(body) = bytes.get(25..25 + len) {
            if let Ok(hello) = ClientHello::read(body, true, true) {
                self.hello(&hello, true, Carrier::Dtls, &mut found.names);
            }
        }
    }

    fn quic(&mut self, view: &View<'_>, found: &mut Found) {
        if let Ok((body, whole)) = quic::client_hello(view.client.datagrams().map(|(bytes, _)| bytes)) {
            if let Ok(hello) = ClientHello::read(&body, whole, false) {
                self.hello(&hello, whole, Carrier::Quic, &mut found.names);
            }
        }
    }

    fn http(&mut self, view: &View<'_>, found: &mut Found) {
        let Ok(request) = http::Request::read(view.client.bytes) else { return };
        if let Some(host) = request.host() {
            found.names.host = self.put(without_port(host));
        }
    }

    /// Names in messages behind their lengths (RFC 1035 §4.2.2), as far as they are there.
    pub fn dns_stream(&mut self, mut bytes: &[u8]) {
        while let [high, low, rest @ ..] = bytes {
            let Some((message, behind)) =
                rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
            else {
                return;
            };
            // A segment may begin in the middle of a message: then nothing in it ends where it says.
            if dns::walk(message, |_| Ok(())).is_err() {
                return;
            }
            self.dns(message);
            bytes = behind;
        }
    }

    /// Names in the answers of a message.
    pub fn dns(&mut self, message: &[u8]) {
        let mut asked = 0;
        let Ok(head) = dns::header(message) else { return };
        if !head.is_response() {
            return;
        }
        let mut text = Vec::new();
        // The name that was asked for stands for its whole chain of aliases.
        if head.counts[0] == 1 && dns::name(message, 12, &mut text).is_ok() {
            asked = self.put(&text);
        }
        _ = dns::addresses(message, |at, data| {
            let name = if asked > 0 {
                asked
            } else if dns::name(message, at, &mut text).is_ok() {
                self.put(&text)
            } else {
                0
            };
            if let Some(address) = Address::read(data) {
                self.addresses.learn(address, name, true);
            }
        });
    }
}

/// From the first byte of a ClientHello on, which may follow some lines of another protocol (STARTTLS) or its
/// request for TLS.
fn behind_text(bytes: &[u8]) -> &[u8] {
    if bytes.first() == Some(&22) {
        return bytes;
    }
    hello_at(bytes).map_or(bytes, |at| &bytes[at..])
}

/// The host of a `Host` field (RFC 9110 §7.2).
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) && !host[..colon].ends_with(b":") => {
            let (name, bracket) = (&host[..colon], host.first() == Some(&b'['));
            if bracket == name.ends_with(b"]") {
                name
            } else {
                host
            }
        }
        _ => host,
    }
}
