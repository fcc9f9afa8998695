//! ZooKeeper, Kafka, Hadoop IPC, HBase.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::is_ascii;
use super::super::verdict::confidence::{LIKELY, STRONG};
use super::super::verdict::{ensure, Step, Stop, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "clusters",
    protocols: &[
        Protocol {
            label: "zookeeper",
            title: "Apache ZooKeeper, client protocol",
            on: TCP,
            ports: &[2181],
            spec: "zookeeper.jute",
        },
        Protocol {
            label: "kafka",
            title: "Apache Kafka",
            on: TCP,
            ports: &[9092, 9093, 9094],
            spec: "Kafka Protocol Guide",
        },
        Protocol {
            label: "hadoop-rpc",
            title: "Hadoop RPC",
            on: TCP,
            ports: &[8020, 9000, 8032],
            spec: "Hadoop RpcHeader.proto",
        },
        Protocol {
            label: "hbase",
            title: "Apache HBase RPC",
            on: TCP,
            ports: &[16000, 16020, 60000, 60020],
            spec: "Apache HBase Reference Guide, RPC",
        },
    ],
    rules: &[
        Rule {
            label: "zookeeper",
            name: "connect",
            on: TCP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.pair(STRONG, session, |b| granted(&mut Cursor::new(b)), |(), ()| true),
        },
        Rule {
            label: "zookeeper",
            name: "words",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_lowercase()),
            server: Starts::Byte(|byte| byte.is_ascii_graphic()),
            check: words,
        },
        Rule {
            label: "kafka",
            name: "request",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00"]),
            check: kafka,
        },
        Rule {
            label: "hadoop-rpc",
            name: "preamble",
            on: TCP,
            client: Starts::With(&[b"hr"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.asked(STRONG, hadoop, framed, |(), ()| true),
        },
        Rule {
            label: "hbase",
            name: "preamble",
            on: TCP,
            client: Starts::With(&[b"HB"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.asked(STRONG, hbase, framed, |(), ()| true),
        },
    ],
};

fn session(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (len, version, _seen) = (c.u32()?, c.u32()?, c.u64()?);
    ensure(matches!(len, 28 | 29 | 44 | 45) && version == 0)?;
    let (timeout, _session, secret) = (c.u32()?, c.u64()?, c.u32()?);
    // The last byte, may it be read only, came later.
    ensure((1..=10_000_000).contains(&timeout))?;
    ensure(secret == if len < 44 { 0 } else { 16 })
}

fn granted(c: &mut Cursor<'_>) -> Step<()> {
    let (len, version, timeout) = (c.u32()?, c.u32()?, c.u32()?);
    ensure(matches!(len, 36 | 37) && version == 0 && timeout <= 10_000_000)?;
    c.skip(8)?;
    ensure(c.u32()? == 16)
}

/// The words of four letters for administrators.
fn words(v: &View<'_>) -> Verdict {
    const WORDS: [&[u8]; 12] = [
        b"ruok", b"stat", b"srvr", b"mntr", b"conf", b"cons", b"envi", b"isro", b"wchs", b"dump", b"wchc",
        b"dirs",
    ];
    v.both(
        |bytes| {
            let (word, rest) = bytes.split_at(bytes.len().min(4));
            ensure(WORDS.iter().any(|known| known.starts_with(word)) && rest.trim_ascii().is_empty())?;
            ensure(rest.len() <= 2)?;
            if word.len() == 4 {
                Ok(())
            } else {
                Err(Stop::More)
            }
        },
        |bytes| {
            const REPLIES: [&[u8]; 9] = [
                b"imok",
                b"Zookeeper version",
                b"ZooKeeper version",
                b"zk_version",
                b"clientPort=",
                b"Environment:",
                b"This ZooKeeper instance",
                b"SessionTracker dump",
                b"ruok is not executed",
            ];
            let shown = |reply: &&[u8]| bytes.len().min(reply.len());
            if REPLIES.iter().any(|reply| bytes.starts_with(reply)) {
                return Ok(());
            }
            ensure(REPLIES.iter().any(|reply| bytes[..shown(reply)] == reply[..shown(reply)]))?;
            Err(Stop::More)
        },
        |(), ()| true,
    )
}

/// Number of a request, and whether the client's name makes it tell by itself.
fn request(bytes: &[u8]) -> Step<(u32, bool)> {
    let mut c = Cursor::new(bytes);
    let (len, key, version, number) = (c.u32()?, c.u16()?, c.u16()?, c.u32()?);
    ensure((8..=100 << 20).contains(&len) && key <= 100 && version <= 20)?;
    let named = match c.u16()? {
        0xffff => false,
        size @ 1..=255 => {
            ensure(u32::from(size) + 10 <= len)?;
            let name = c.take(usize::from(size))?;
            ensure(is_ascii(name))?;
            size >= 3
        }
        _ => return Err(Stop::No),
    };
    Ok((number, named))
}

fn kafka(v: &View<'_>) -> Verdict {
    let (_, named) = v.client.parse(request)?;
    let response = |bytes| {
        let mut c = Cursor::new(bytes);
        let (len, number) = (c.u32()?, c.u32()?);
        ensure((4..=100 << 20).contains(&len))?;
        Ok((len, number))
    };
    if named {
        return v.pair(LIKELY, request, response, |q, r| q.0 == r.1);
    }
    // Zeros answered by zeros prove nothing.
    v.both(request, response, |q, r| q.0 == r.1 && q.0 > 255)
}

fn hadoop(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"hrpc")?;
    let (version, class, auth) = (c.u8()?, c.u8()?, c.u8()?);
    ensure((3..=9).contains(&version))?;
    ensure(version < 7 || (class <= 8 && matches!(auth, 0 | 0x50..=0x52 | 0xdf)))
}

fn hbase(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"HBas")?;
    ensure(c.u8()? == 0 && (0x50..=0x53).contains(&c.u8()?))
}

/// A length, and no nonsense.
fn framed(bytes: &[u8]) -> Step<()> {
    let len = Cursor::new(bytes).u32()?;
    ensure((1..=128 << 20).contains(&len))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    #[test]
    fn sessions_and_words_are_zookeeper() {
        let ask =
            cat(&[&hex("0000002d 00000000 0000000000000000 00007530 0000000000000000 00000010"), &[0; 17]]);
        let got = cat(&[&hex("00000025 00000000 00007530 0100000000000001 00000010"), &[7; 17]]);
        tcp().c(&ask).s(&got).is("zookeeper");
        tcp().c(&ask).is("zookeeper");
        tcp().c("ruok").s("imok").is("zookeeper");
        tcp().c("ruok").s("im not").is_nothing();
        for (at, value) in [(3, 0x2e), (7, 1), (31, 15)] {
            let mut odd = ask.clone();
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
        tcp().c([0; 100]).s([0; 100]).is_nothing();
    }

    #[test]
    fn numbered_requests_are_kafka() {
        let ask = cat(&[&hex("00000013 0012 0003 00000001 0007"), b"kafka-x", &[0, 0, 0]]);
        tcp().c(&ask).s(hex("0000000a 00000001 0000 00000000")).is("kafka");
        tcp().c(&ask).is("kafka");
        tcp().c(&ask).s(hex("0000000a 00000002 0000 00000000")).is_nothing();
        let bare = hex("0000000a 0012 0000 00001001 ffff");
        tcp().c(&bare).is_nothing();
        tcp().c(&bare).s(hex("0000000a 00001001 0000 00000000")).is("kafka");
        let mut odd = ask;
        odd[15] = 1;
        tcp().c(&odd).is_nothing();
    }

    #[test]
    fn preambles_are_hadoop_and_hbase() {
        tcp().c(hex("68727063 09 00 00 0000001e")).s(hex("00000040 08")).is("hadoop-rpc");
        tcp().c(hex("68727063 09 00 df 0000001e")).is("hadoop-rpc");
        tcp().c(hex("68727063 0a 00 df 0000001e")).is_nothing();
        tcp().c(hex("48426173 00 50 0000001e")).is("hbase");
        tcp().c(hex("48426173 01 50 0000001e")).is_nothing();
        tcp().c("hrpc, said the hamster").is_nothing();
    }
}
