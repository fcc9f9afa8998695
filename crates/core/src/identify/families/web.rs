//! HTTP/1 (RFC 9112), HTTP/2 with prior knowledge (RFC 9113 §3.3), WebSocket (RFC 6455).

use super::super::cursor::Cursor;
use super::super::names::http::{Request, Response};
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{contains, header};
use super::super::verdict::confidence::{ANSWERED, HELD, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "web",
    protocols: &[
        Protocol {
            label: "http",
            title: "Hypertext Transfer Protocol 1",
            on: TCP,
            ports: &[80, 8080, 8000, 8008, 8081, 8888, 3128, 5985],
            spec: "RFC 9112",
        },
        Protocol {
            label: "http2",
            title: "Hypertext Transfer Protocol 2 without TLS",
            on: TCP,
            ports: &[80, 8080],
            spec: "RFC 9113",
        },
        Protocol { label: "grpc", title: "gRPC", on: TCP, ports: &[50051, 2379], spec: "gRPC over HTTP2" },
        Protocol {
            label: "winrm",
            title: "Windows Remote Management, WS-Management",
            on: TCP,
            ports: &[5985, 5986],
            spec: "MS-WSMV",
        },
        Protocol { label: "websocket", title: "WebSocket", on: TCP, ports: &[80, 8080], spec: "RFC 6455" },
    ],
    rules: &[
        Rule {
            label: "http",
            name: "messages",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::Any,
            check: http,
        },
        Rule {
            label: "http2",
            name: "preface",
            on: TCP,
            client: Starts::With(&[b"PRI"]),
            server: Starts::Byte(|byte| byte == 0),
            check: http2,
        },
    ],
};

/// Methods of RFC 9110, WebDAV and its extensions, UPnP and others in use.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"MERGE",
    b"CHECKOUT",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"NOTIFY",
    b"BCOPY",
    b"BMOVE",
    b"BPROPFIND",
    b"POLL",
    b"MKCALENDAR",
    b"MKACTIVITY",
    b"ACL",
    b"BIND",
    b"LINK",
    b"UNLINK",
    b"PURGE",
    b"QUERY",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"RPC_CONNECT",
    b"SSTP_DUPLEX_POST",
    b"CCM_POST",
    b"BITS_POST",
];

fn http(v: &View<'_>) -> Verdict {
    let request = maybe(v.client.parse(request))?;
    // What a server says to a request need not be HTTP (an error of another service): the request tells.
    let response = match v.server.parse(response) {
        Ok(response) => Some(response),
        Err(Stop::No) if request.is_some() => return Ok(Match::new(LIKELY)),
        Err(Stop::No) => return Err(Stop::No),
        Err(Stop::More) => None,
    };
    match (request, response) {
        (Some(q), Some(r)) => {
            if r.status == 101 && wants_websocket(&q) {
                return Ok(Match::new(ANSWERED).named("websocket").under("http"));
            }
            Ok(if is_winrm(&q) {
                Match::new(ANSWERED).named("winrm").under("http")
            } else {
                Match::new(ANSWERED)
            })
        }
        (Some(q), None) if is_winrm(&q) => Ok(Match::new(STRONG).named("winrm").under("http")),
        (Some(_), None) => Ok(Match::new(STRONG)),
        (None, Some(_)) => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
        (None, None) => Err(Stop::More),
    }
}

fn request(bytes: &[u8]) -> Step<Request<'_>> {
    let request = Request::read(bytes)?;
    let known = METHODS.contains(&request.method);
    if request.protocol.is_empty() {
        ensure(known && request.target.first().is_some_and(|&byte| byte == b'/' || byte == b'h'))?;
        return Ok(request);
    }
    let version = request.protocol.strip_prefix(b"HTTP/").ok_or(Stop::No)?;
    ensure(matches!(version, [b'0'..=b'1', b'.', b'0'..=b'9']))?;
    ensure(known || request.method.iter().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte)))?;
    Ok(request)
}

fn response(bytes: &[u8]) -> Step<Response<'_>> {
    let shown = bytes.len().min(5);
    ensure(bytes[..shown] == b"HTTP/"[..shown] || bytes.starts_with(b"ICY "))?;
    let response = Response::read(bytes)?;
    ensure(
        response.protocol == b"ICY" || matches!(&response.protocol[5..], [b'0'..=b'1', b'.', b'0'..=b'9']),
    )?;
    Ok(response)
}

fn wants_websocket(request: &Request<'_>) -> bool {
    header(request.fields, b"Upgrade").is_some_and(|value| contains(value, b"websocket"))
}

/// Posted to the path of WS-Management (MS-WSMV §2.2.1): `/wsman`, `/wsman-anon/identify` or `/wsman/SubscriptionManager/WEC`.
fn is_winrm(request: &Request<'_>) -> bool {
    request.method == b"POST"
        && request
            .target
            .strip_prefix(b"/wsman")
            .is_some_and(|rest| matches!(rest, [] | [b'/' | b'?' | b'-', ..]))
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn http2(v: &View<'_>) -> Verdict {
    let preface = maybe(v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        c.expect(PREFACE)?;
        match settings(&mut c) {
            Err(Stop::No) => Err(Stop::No),
            _ => Ok(()), // the preface alone is long enough
        }
    }))?;
    let answer = maybe(v.server.parse(|bytes| settings(&mut Cursor::new(bytes))))?;
    if preface.is_none() {
        return Err(Stop::More); // settings alone are too little
    }
    let found = match grpc(&v.client.bytes[PREFACE.len().min(v.client.bytes.len())..]) {
        Some(true) => Match::new(ANSWERED).named("grpc").under("http2"),
        Some(false) if answer.is_some() => Match::new(ANSWERED),
        Some(false) => Match::new(SURE),
        None => Match::new(if v.done { SURE } else { HELD }), // what is asked for comes later
    };
    Ok(found.at(Who::Client, 0, PREFACE.len()))
}

/// Whether the first request has the content type of gRPC, in letters or in the code of HPACK (RFC 7541
/// appendix B); `None` before it is there.
fn grpc(frames: &[u8]) -> Option<bool> {
    const CODED: &[u8] = &[0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64];
    let mut c = Cursor::new(frames);
    loop {
        let (len, kind) = (c.u24().ok()? as usize, c.u8().ok()?);
        c.skip(5).ok()?;
        if kind == 1 {
            let fields = &c.rest()[..c.left().min(len)];
            let found =
                contains(fields, b"application/grpc") || fields.windows(CODED.len()).any(|w| w == CODED);
            return (found || fields.len() == len).then_some(found);
        }
        c.skip(len).ok()?;
    }
}

/// The head of a SETTINGS frame (RFC 9113 §6.5).
fn settings(c: &mut Cursor<'_>) -> Step<()> {
    let len = c.u24()?;
    let (kind, flags, stream) = (c.u8()?, c.u8()?, c.u32()?);
    ensure(kind == 4 && flags <= 1 && stream == 0 && len.is_multiple_of(6) && len <= 600)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};
    use super::*;

    #[test]
    fn request_and_response_are_http() {
        let talk = tcp().c("GET / HTTP/1.1\r\nHost: a\r\n\r\n").s("HTTP/1.1 200 OK\r\n\r\n");
        talk.is("http");
        assert_eq!(talk.confidence(), ANSWERED);
        tcp().c("GET / HTTP/1.1\r\n").is("http");
        tcp().s("HTTP/1.0 404 Not Found\r\n").midway().is("http");
        tcp().c("G").c("ET / HT").c("TP/1.0\r\n\r\n").s("HTTP/1.1 200\r\n").is("http");
        tcp().c("CONNECT a:443 HTTP/1.1\r\n\r\n").s("HTTP/1.1 200 ok\r\n\r\n").is("http");
    }

    #[test]
    fn long_targets_are_still_http() {
        tcp().c(cat(&[b"GET /", &[b'a'; 3000], b" HTTP/1.1\r\n\r\n"])).is("http");
    }

    #[test]
    fn near_misses_are_not() {
        tcp().c("GET / XTTP/1.0\r\n\r\n").is_nothing();
        tcp().c("GET / HTTP/9.1\r\n\r\n").is_nothing();
        tcp().c("get a book\r\n").is_nothing();
        tcp().s("HTTP/1.1 OK\r\n").is_nothing();
        tcp().c("GET \0\0\0 HTTP/1.1\r\n").is_nothing();
    }

    #[test]
    fn an_accepted_upgrade_is_websocket_in_http() {
        let ask = "GET /c HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        tcp().c(ask).s("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").is("http/websocket");
        tcp().c(ask).s("HTTP/1.1 400 No\r\n\r\n").is("http");
    }

    #[test]
    fn a_post_to_its_path_is_winrm_in_http() {
        tcp().c("POST /wsman HTTP/1.1\r\nHost: a\r\n\r\n").s("HTTP/1.1 401 \r\n\r\n").is("http/winrm");
        tcp().c("POST /wsman?PSVersion=5.1 HTTP/1.1\r\n\r\n").is("http/winrm");
        tcp().c("POST /wsmanual HTTP/1.1\r\n\r\n").is("http");
        tcp().c("GET /wsman HTTP/1.1\r\n\r\n").is("http");
    }

    #[test]
    fn the_preface_is_http2() {
        let talk = tcp().c(cat(&[PREFACE, &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]]));
        talk.clone().is("http2");
        talk.s([0, 0, 0, 4, 0, 0, 0, 0, 0]).is("http2");
        tcp().c(cat(&[PREFACE, &[0, 0, 7, 4, 0, 0, 0, 0, 0]])).is_nothing();
    }

    #[test]
    fn the_content_type_makes_it_grpc() {
        let begin = cat(&[PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]]);
        let coded = hex("00000f 01 04 00000001 83 86 5f 8b 1d75d0620d263d4c4d6564");
        tcp().c(&begin).s([0, 0, 0, 4, 0, 0, 0, 0, 0]).c(&coded).is("http2/grpc");
        let plain = cat(&[&hex("000013 01 04 00000001 83 5f 10"), b"application/grpc"]);
        tcp().c(cat(&[&begin, &plain])).is("http2/grpc");
        let other = cat(&[&hex("000013 01 04 00000001 83 5f 10"), b"application/json"]);
        tcp().c(cat(&[&begin, &other])).is("http2");
    }
}
