//! Flows of a table with names, from packets as a capture holds them.

use super::super::names::quic::tests::{crypto, sealed};
use super::super::names::tls::tests::{client_hello, in_record};
use super::*;
use crate::flow::{Left, Rules, Tracker};
use crate::packet::{read, Options, Seed};

/// An IPv4 packet; `tcp`: sequence number and flags.
fn packet(ends: ([u8; 4], u16), to: ([u8; 4], u16), tcp: Option<(u32, u8)>, payload: &[u8]) -> Vec<u8> {
    let head = if tcp.is_some() { 20 } else { 8 };
    let mut p = vec![0x45, 0];
    p.extend((20 + head + payload.len() as u16).to_be_bytes());
    p.extend([0, 7, 0, 0, 64, if tcp.is_some() { 6 } else { 17 }, 0, 0]);
    p.extend(ends.0);
    p.extend(to.0);
    p.extend(ends.1.to_be_bytes());
    p.extend(to.1.to_be_bytes());
    if let Some((seq, flags)) = tcp {
        p.extend(seq.to_be_bytes());
        p.extend([0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        p.extend((8 + payload.len() as u16).to_be_bytes());
        p.extend([0, 0]);
    }
    p.extend(payload);
    p
}

fn run(packets: &[Vec<u8>]) -> (Tracker, Identified) {
    let mut tracker = Tracker::new(Rules::default(), Left::Start, Seed(1, 2));
    let mut known = Identified::default();
    for (i, data) in packets.iter().enumerate() {
        let facts = read(101, data, data.len() as u32, &Options::default());
        let hash = facts.key.hash(tracker.table().seed());
        let len = data.len() as u32;
        let packet = Packet { facts: &facts, ts: i as i64, caplen: len, wirelen: len, pos: 0, data };
        tracker.feed(packet, hash, None, &mut known);
    }
    tracker.finish(&mut known);
    known.finish(tracker.table());
    (tracker, known)
}

fn text(found: &(Tracker, Identified), n: u32, column: Column) -> Option<String> {
    found.1.text(n, found.0.table().flow(n), column).map(std::borrow::Cow::into_owned)
}

const HOST: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 8080);

#[test]
fn a_hello_gives_its_names_and_the_port_does_not_matter() {
    let hello = in_record(1, &client_hello("a.example", &["h2", "http/1.1"]));
    let found = run(&[
        packet(HOST, SERVER, Some((9, 2)), &[]),
        packet(SERVER, HOST, Some((99, 18)), &[]),
        packet(HOST, SERVER, Some((10, 16)), &[0; 6]), // padding that an IP length counts
        packet(HOST, SERVER, Some((10 + 20, 24)), &hello[20..]),
        packet(HOST, SERVER, Some((10, 16)), &hello[..20]),
    ]);
    assert_eq!(text(&found, 0, Column::Service).as_deref(), Some("tls"));
    assert_eq!(text(&found, 0, Column::ServerName).as_deref(), Some("a.example"));
    assert_eq!(text(&found, 0, Column::Alpn).as_deref(), Some("h2,http/1.1"));
    assert!(text(&found, 0, Column::Ja4).unwrap().starts_with("t13d0203h2_"));
    let flow = found.0.table().flow(0);
    assert_eq!(found.1.port_mismatch(0, flow), Some(true)); // 8080 is for HTTP
}

#[test]
fn a_quic_hello_over_two_datagrams_gives_its_names() {
    let mut hello = vec![1];
    let body = client_hello("q.example", &["h3"]);
    hello.extend(&(body.len() as u32).to_be_bytes()[1..]);
    hello.extend(body);
    let one = sealed(1, &[7; 8], 0, &crypto(20, &hello[20..60]));
    let two = sealed(1, &[7; 8], 1, &[crypto(60, &hello[60..]), crypto(0, &hello[..20])].concat());
    let found = run(&[packet(HOST, SERVER, None, &one), packet(HOST, SERVER, None, &two)]);
    assert_eq!(text(&found, 0, Column::Service).as_deref(), Some("quic"));
    assert_eq!(text(&found, 0, Column::Sni).as_deref(), Some("q.example"));
    assert!(text(&found, 0, Column::Ja4).unwrap().starts_with("q13d0203h3_"));
    assert_eq!(text(&found, 0, Column::Ja3), None);
}

#[test]
fn what_dns_said_before_names_the_server() {
    use super::super::names::dns::tests::message;
    let name = ([192, 0, 2, 53], 53);
    let ask = message(7, 0x0100, "www.example.org", 1, None);
    let answer = message(7, 0x8180, "www.example.org", 1, Some(SERVER.0));
    let found = run(&[
        packet(HOST, ([192, 0, 2, 9], 9), None, b"x"),
        packet(HOST, name, None, &ask),
        packet(name, HOST, None, &answer),
        packet(HOST, SERVER, Some((9, 2)), &[]),
    ]);
    assert_eq!(text(&found, 1, Column::Service).as_deref(), Some("dns"));
    assert_eq!(text(&found, 2, Column::Service), None);
    assert_eq!(text(&found, 2, Column::ServerName).as_deref(), Some("www.example.org"));
    assert_eq!(text(&found, 0, Column::ServerName), None);
    let named: Vec<_> =
        found.1.named().map(|(address, names)| (address.bytes[..4].to_vec(), names)).collect();
    assert_eq!(named, [(SERVER.0.to_vec(), vec!["www.example.org"])]);
}

#[test]
fn dns_over_tcp_names_the_server_too() {
    use super::super::names::dns::tests::message;
    let name = ([192, 0, 2, 53], 53);
    let framed = |m: Vec<u8>| [&(m.len() as u16).to_be_bytes()[..], &m].concat();
    let ask = framed(message(7, 0x0100, "www.example.org", 1, None));
    let answer = framed(message(7, 0x8180, "www.example.org", 1, Some(SERVER.0)));
    let again = framed(message(8, 0x8180, "www.example.net", 1, Some([192, 0, 2, 2])));
    let found = run(&[
        packet(HOST, name, Some((10, 24)), &ask),
        packet(name, HOST, Some((50, 24)), &answer),
        packet(name, HOST, Some((50 + answer.len() as u32, 24)), &again[3..]), // what it begins with is lost
        packet(name, HOST, Some((50 + answer.len() as u32, 24)), &again),
        packet(HOST, SERVER, Some((9, 2)), &[]),
    ]);
    assert_eq!(text(&found, 0, Column::Service).as_deref(), Some("dns"));
    assert_eq!(text(&found, 1, Column::ServerName).as_deref(), Some("www.example.org"));
    let named: Vec<_> = found.1.named().map(|(_, names)| names).collect();
    assert_eq!(named, [["www.example.org"], ["www.example.net"]]);
}

#[test]
fn a_hello_behind_starttls_gives_its_names() {
    let hello = in_record(1, &client_hello("mail.example", &[]));
    let found = run(&[
        packet(SERVER, HOST, Some((50, 24)), b"220 mail.example ESMTP\r\n"),
        packet(HOST, SERVER, Some((10, 24)), b"EHLO a\r\n"),
        packet(HOST, SERVER, Some((18, 24)), b"STARTTLS\r\n"),
        packet(HOST, SERVER, Some((28, 24)), &hello[..40]),
        packet(HOST, SERVER, Some((68, 24)), &hello[40..]),
    ]);
    assert_eq!(text(&found, 0, Column::Service).as_deref(), Some("tls/smtp"));
    assert_eq!(text(&found, 0, Column::Sni).as_deref(), Some("mail.example"));
    assert!(text(&found, 0, Column::Ja4).unwrap().starts_with("t13d0202"));
}

#[test]
fn a_hello_behind_a_database_s_request_for_tls_gives_its_names() {
    let hello = in_record(1, &client_hello("db.example", &[]));
    let mut greeting = b"\x5a\0\0\0\x0a8.0.36\0\x01\0\0\0abcdefgh\0\xff\xf7\x08\x02\0\xff\x81\x15".to_vec();
    greeting.extend([0; 10]);
    greeting.extend(b"ijklmnopqrst\0caching_sha2_password\0");
    greeting[0] = (greeting.len() - 4) as u8;
    let mut ask = b"\x20\0\0\x01\x8d\xae\x0f\0\0\0\0\x01\x21".to_vec();
    ask.extend([0; 23]);
    let found = run(&[
        packet(SERVER, HOST, Some((50, 24)), &greeting),
        packet(HOST, SERVER, Some((10, 24)), &ask),
        packet(HOST, SERVER, Some((46, 24)), &hello),
    ]);
    assert_eq!(text(&found, 0, Column::Service).as_deref(), Some("tls/mysql"));
    assert_eq!(text(&found, 0, Column::Sni).as_deref(), Some("db.example"));
}

#[test]
fn a_host_field_is_shown_escaped_and_without_its_port() {
    let request = b"GET / HTTP/1.1\r\nHost: a\x1b[31m.example:8080\r\nAccept: */*\r\n\r\n";
    let found = run(&[packet(HOST, SERVER, Some((10, 24)), request)]);
    assert_eq!(text(&found, 0, Column::Service).as_deref(), Some("http"));
    assert_eq!(text(&found, 0, Column::HttpHost).as_deref(), Some("a\\x1b[31m.example"));
    assert_eq!(text(&found, 0, Column::Evidence).unwrap().split(' ').nth(1), Some("client+0"));
}
