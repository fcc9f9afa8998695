//! DNS (RFC 1035, RFC 7766), mDNS (RFC 6762), LLMNR (RFC 4795), NetBIOS names (RFC 1002 §4.2).

use super::super::cursor::Cursor;
use super::super::names::dns::{walk, Header};
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{Side, Transport, View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "dns",
    protocols: &[
        Protocol { label: "dns", title: "Domain Name System", on: TCP | UDP, ports: &[53], spec: "RFC 1035" },
        Protocol { label: "mdns", title: "Multicast DNS", on: UDP, ports: &[5353], spec: "RFC 6762" },
        Protocol {
            label: "llmnr",
            title: "Link-Local Multicast Name Resolution",
            on: TCP | UDP,
            ports: &[5355],
            spec: "RFC 4795",
        },
        Protocol { label: "nbns", title: "NetBIOS Name Service", on: UDP, ports: &[137], spec: "RFC 1002" },
    ],
    rules: &[
        Rule { label: "dns", name: "message", on: UDP, client: Starts::Any, server: Starts::Any, check: dns },
        Rule {
            label: "dns",
            name: "stream",
            on: TCP,
            client: Starts::Byte(|byte| byte < 0x10),
            server: Starts::Any,
            check: dns,
        },
    ],
};

/// What matters of a message.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    head: Header,
    /// Name, type and class of the first question as they stand.
    question: &'a [u8],
    label: &'static str,
    /// Letters, digits and hyphens only in the first name, or a root query.
    plain: bool,
}

fn dns(v: &View<'_>) -> Verdict {
    let asked = maybe(read(&v.client, v.transport))?;
    let answered = maybe(read(&v.server, v.transport))?;
    match (asked, answered) {
        (Some(q), Some(r)) => {
            ensure(q.label == "mdns" || (!q.head.is_response() && r.head.is_response()))?;
            if (q.head.id, q.head.opcode()) != (r.head.id, r.head.opcode()) {
                // Many questions from one port: the first answer is not to the first question.
                ensure(v.transport == Transport::Udp)?;
                if v.client.grams.len() < 2 && v.server.grams.len() < 2 {
                    return Err(Stop::More);
                }
                alone(&r)?;
                return Ok(Match::new(alone(&q)?).named(q.label).at(Who::Client, 0, 12));
            }
            let same = q.question.eq_ignore_ascii_case(r.question);
            ensure(same || r.question.is_empty() || q.label == "nbns" || q.label == "mdns")?;
            // What looks like LLMNR is DNS when the answer speaks of recursion or authority.
            let label = if q.label == "llmnr" && r.head.flags & 0x05f0 != 0 { "dns" } else { q.label };
            Ok(Match::new(ANSWERED).named(label).at(Who::Client, 0, 12))
        }
        (Some(q), None) => Ok(Match::new(alone(&q)?).named(q.label).at(Who::Client, 0, 12)),
        (None, Some(r)) => Ok(Match::new(alone(&r)?).named(r.label).at(Who::Server, 0, 12)),
        (None, None) => Err(Stop::More),
    }
}

/// How sure one message alone makes; as client any question will do, as server any response.
fn alone(message: &Message<'_>) -> Step<u8> {
    ensure(message.plain || message.label != "dns")?;
    Ok(if message.head.counts[0] == 1 { STRONG } else { LIKELY })
}

fn read<'a>(side: &Side<'a>, transport: Transport) -> Step<Message<'a>> {
    side.parse(|bytes| {
        if transport == Transport::Udp {
            return message(bytes, side.first_len() > bytes.len());
        }
        let mut c = Cursor::new(bytes);
        let len = usize::from(c.u16()?);
        ensure(len >= 12)?;
        // A long answer need not be there to its end: then its head has to do.
        let body = c.rest();
        if body.len() >= len {
            return super::super::verdict::closed(message(&body[..len], false));
        }
        likely(body)?;
        Err(Stop::More)
    })
}

/// The header's fields fit together.
fn likely(bytes: &[u8]) -> Step<Header> {
    let head = super::super::names::dns::header(bytes)?;
    let [questions, answers, authorities, additional] = head.counts;
    ensure(matches!(head.opcode(), 0 | 1 | 2 | 4 | 5 | 6 | 7 | 8 | 15))?;
    ensure(head.flags & 0x0040 == 0)?; // Z (RFC 1035 §4.1.1)
    ensure(questions <= 32 && answers <= 4096 && authorities <= 512 && additional <= 512)?;
    ensure(questions > 0 || head.is_response())?;
    ensure(head.is_response() || head.rcode() == 0)?;
    // Each record takes 11 bytes at least.
    Ok(head)
}

/// A message; one that is `cut` must be there as far as its first question.
fn message(bytes: &[u8], cut: bool) -> Step<Message<'_>> {
    let head = likely(bytes)?;
    let mut first: Option<(usize, u16)> = None;
    let mut flushes = false;
    let mut seen_questions = 0;
    let walked = walk(bytes, |entry| {
        let class = entry.class & 0x7fff;
        if entry.section == 0 {
            seen_questions += 1;
            ensure(entry.kind != 0 && matches!(class, 1 | 3 | 4 | 254 | 255))?;
        } else if entry.kind != 41 && entry.kind != 250 && entry.kind != 24 {
            ensure(entry.kind != 0 && matches!(class, 1 | 3 | 4 | 254 | 255))?;
            ensure(entry.kind != 1 || entry.data.len() == 4 || head.opcode() == 5)?;
            ensure(entry.kind != 28 || entry.data.len() == 16 || head.opcode() == 5)?;
        }
        flushes |= entry.class & 0x8000 != 0 && entry.kind != 41;
        if first.is_none() {
            first = Some((entry.name, entry.kind));
        }
        Ok(())
    });
    if !(cut && walked == Err(Stop::More) && head.counts[0] == 1 && seen_questions == 1) {
        walked?;
    }
    let mut question = &bytes[..0];
    let mut labels = 0;
    let mut plain = true;
    let mut local = false;
    let mut netbios = false;
    if let Some((at, kind)) = first {
        let mut c = Cursor::new(bytes);
        c.skip(at)?;
        let mut last: &[u8] = &[];
        loop {
            let size = c.u8()?;
            if size == 0 || size >= 0xc0 {
                if size >= 0xc0 {
                    c.skip(1)?;
                }
                break;
            }
            let label = c.take(usize::from(size))?;
            plain &= label
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || b"-_ *".contains(&byte) || byte >= 0x80);
            if labels == 0 {
                netbios = label.len() == 32
                    && label.iter().all(|byte| (b'A'..=b'P').contains(byte))
                    && matches!(kind, 0x20 | 0x21);
            }
            labels += 1;
            last = label;
        }
        local = last.eq_ignore_ascii_case(b"local");
        if seen_questions > 0 {
            question = bytes.get(12..c.position() + 4).unwrap_or(&[]);
        }
    }
    let kind = first.map_or(0, |(_, kind)| kind);
    let label = if netbios {
        "nbns"
    } else {
        ensure(head.opcode() <= 6)?;
        if head.id == 0 && head.flags & 0x7bff & !0x0200 == 0 && (local || flushes) {
            "mdns"
        } else if head.flags & 0x7fff & !0x0300 == 0
            && head.counts[0] == 1
            && head.id != 0
            && head.flags & 0x0100 == 0
            && labels == 1
            && plain
            && matches!(kind, 1 | 28 | 255 | 12)
            && head.counts[3] == 0
        {
            "llmnr"
        } else {
            ensure(!flushes || local)?;
            if local && flushes {
                "mdns"
            } else {
                "dns"
            }
        }
    };
    Ok(Message { head, question, label, plain: plain && (first.is_some() && kind != 0) })
}

#[cfg(test)]
mod tests {
    use super::super::super::names::dns::tests::{labels, message};
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn query_and_answer_are_dns() {
        let ask = message(77, 0x0100, "www.example.org", 1, None);
        let answer = message(77, 0x8180, "www.example.org", 1, Some([192, 0, 2, 1]));
        udp().c(&ask).s(&answer).is("dns");
        udp().s(&answer).is("dns");
        let framed = |m: &[u8]| cat(&[&(m.len() as u16).to_be_bytes(), m]);
        tcp().c(framed(&ask)).s(framed(&answer)).is("dns");
        tcp().c(&framed(&ask)[..2]).c(&framed(&ask)[2..]).is("dns");
    }

    #[test]
    fn near_misses_are_not() {
        let ask = message(77, 0x0100, "www.example.org", 1, None);
        udp().c(&ask).s(message(78, 0x8180, "www.example.org", 1, Some([1, 2, 3, 4]))).is_nothing();
        udp().c(&ask).s(message(77, 0x8180, "www.example.com", 1, Some([1, 2, 3, 4]))).is_nothing();
        udp().c(cat(&[&ask, &[0]])).is_nothing();
        udp().c(message(77, 0x0140, "www.example.org", 1, None)).is_nothing();
        udp().c([0; 12]).is_nothing();
    }

    #[test]
    fn local_names_are_mdns() {
        udp().c(message(0, 0, "printer.local", 12, None)).is("mdns");
        let mut answer = hex("0000 8400 0000 0001 0000 0000");
        answer.extend(labels("printer.local"));
        answer.extend(hex("0001 8001 00000078 0004 c0000201"));
        udp().c(&answer).is("mdns");
    }

    #[test]
    fn single_names_without_recursion_are_llmnr() {
        let ask = message(9, 0, "fileserver", 1, None);
        udp().c(&ask).is("llmnr");
        udp().c(&ask).s(message(9, 0x8000, "fileserver", 1, Some([10, 0, 0, 1]))).is("llmnr");
        udp().c(&ask).s(message(9, 0x8180, "fileserver", 1, Some([10, 0, 0, 1]))).label();
    }

    #[test]
    fn encoded_names_are_nbns() {
        let name = "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        udp().c(message(5, 0x0010, name, 0x21, None)).is("nbns");
    }
}
