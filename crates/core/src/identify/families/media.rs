//! RTP and RTCP (RFC 3550), plain or protected (RFC 3711): told by what stays the same over packets.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG};
use super::super::verdict::{ensure, Match, Step, Stop, Verdict};
use super::super::view::{Side, View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "media",
    protocols: &[
        Protocol {
            label: "rtp",
            title: "Real-time Transport Protocol",
            on: UDP,
            ports: &[5004, 16384],
            spec: "RFC 3550",
        },
        Protocol { label: "rtcp", title: "RTP Control Protocol", on: UDP, ports: &[5005], spec: "RFC 3550" },
    ],
    rules: &[
        Rule { label: "rtp", name: "stream", on: UDP, client: VERSION_2, server: VERSION_2, check: rtp },
        Rule { label: "rtcp", name: "compound", on: UDP, client: VERSION_2, server: VERSION_2, check: rtcp },
    ],
};

const VERSION_2: Starts = Starts::Byte(|byte| byte & 0xc0 == 0x80);

/// What stays or moves slowly in a stream.
#[derive(Clone, Copy)]
struct Head {
    kind: u8,
    number: u16,
    time: u32,
    source: u32,
}

fn head(bytes: &[u8], len: usize) -> Step<Head> {
    let mut c = Cursor::new(bytes);
    let (first, second) = (c.u8()?, c.u8()?);
    ensure(first & 0xc0 == 0x80)?;
    let kind = second & 0x7f;
    // 72 to 76 would be RTCP (RFC 5761 §4); static types end at 34, dynamic ones begin at 96, some use 35 on.
    ensure(!(64..=95).contains(&kind))?;
    let (number, time, source) = (c.u16()?, c.u32()?, c.u32()?);
    let mut used = 12 + 4 * usize::from(first & 15);
    if first & 0x10 != 0 {
        c.skip(4 * usize::from(first & 15) + 2)?;
        used += 4 + 4 * usize::from(c.u16()?);
    }
    ensure(used < len || (used == len && first & 0x20 == 0))?;
    Ok(Head { kind, number, time, source })
}

/// Packets of one direction that go on from each other; `No` when one does not.
fn stream(side: &Side<'_>) -> Step<u32> {
    let mut known: [Option<Head>; 4] = [None; 4];
    let mut steps = 0;
    for (bytes, len) in side.datagrams() {
        if bytes.len() >= 2 && bytes[0] & 0xc0 == 0x80 && (192..=223).contains(&bytes[1]) {
            compound(bytes, len)?; // RTCP on the same port (RFC 5761)
            continue;
        }
        if bytes.first().is_some_and(|&first| first < 4 || (20..64).contains(&first)) {
            continue; // STUN and DTLS may come between (RFC 7983)
        }
        let now = head(bytes, len)?;
        let slot = known.iter().position(|k| k.is_none_or(|k| k.source == now.source)).ok_or(Stop::No)?;
        if let Some(before) = known[slot] {
            let ahead = now.number.wrapping_sub(before.number) as i16;
            let later = now.time.wrapping_sub(before.time) as i32;
            ensure((-20..=200).contains(&ahead))?;
            ensure(later.unsigned_abs() < 48_000 * 60)?;
            steps += u32::from(ahead != 0);
        }
        known[slot] = Some(now);
        let _ = now.kind;
    }
    ensure(known[1].is_none() || steps > 0)?;
    Ok(steps)
}

fn rtp(v: &View<'_>) -> Verdict {
    let mut steps = 0;
    for side in [&v.client, &v.server] {
        if !side.is_silent() {
            steps += stream(side)?;
        }
    }
    match steps {
        0 | 1 => Err(Stop::More),
        2 => Ok(Match::new(STRONG).at(who(v), 0, 12)),
        _ => Ok(Match::new(ANSWERED).at(who(v), 0, 12)),
    }
}

fn who(v: &View<'_>) -> Who {
    if v.client.is_silent() {
        Who::Server
    } else {
        Who::Client
    }
}

/// Reports one behind the other to the end, or to the trailer of SRTCP; how many, and the first one's source.
fn compound(bytes: &[u8], len: usize) -> Step<(u32, u32)> {
    ensure(bytes.len() == len || len > 256)?;
    let mut c = Cursor::new(bytes);
    let (mut count, mut source) = (0, 0);
    while c.left() >= 4 {
        let at = c.clone();
        let (first, kind, words) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
        let fits = first & 0xc0 == 0x80 && (200..=213).contains(&kind) && words >= 1 && words * 4 <= c.left();
        if !fits {
            // SRTCP encrypts what follows the first source (RFC 3711 §3.4): index and tag stand at the end.
            ensure(count > 0)?;
            c = at;
            break;
        }
        let mut body = c.sub(words * 4)?;
        if count == 0 {
            source = body.u32()?;
            // A report is as long as its blocks say, or longer by a profile's extension.
            let least = match kind {
                200 => 6 + 6 * usize::from(first & 31),
                201 => 1 + 6 * usize::from(first & 31),
                205 | 206 => 2,
                _ => 1,
            };
            ensure(words >= least && words <= least + 60)?;
        }
        count += 1;
    }
    ensure(count > 0 && matches!(c.left(), 0 | 4 | 8 | 14 | 16 | 20))?;
    Ok((count, source))
}

fn rtcp(v: &View<'_>) -> Verdict {
    let (mut packets, mut reports) = (0, 0);
    for side in [&v.client, &v.server] {
        let mut sources = [0; 8];
        for (index, (bytes, len)) in side.datagrams().enumerate() {
            let (count, source) = compound(bytes, len)?;
            packets += 1;
            reports += count;
            sources[index % 8] = source;
        }
        let seen = side.datagrams().len().min(8);
        ensure(seen < 3 || sources[..seen].iter().any(|&source| source == sources[seen - 1]))?;
    }
    match (packets, reports) {
        (0, _) => Err(Stop::More),
        (1, 1) => Err(Stop::More),
        (1, _) | (2, 2) => Ok(Match::new(LIKELY).at(who(v), 0, 8)),
        _ => Ok(Match::new(ANSWERED).at(who(v), 0, 8)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, udp};

    fn packet(number: u16, time: u32, source: u32) -> Vec<u8> {
        cat(&[&[0x80, 0], &number.to_be_bytes(), &time.to_be_bytes(), &source.to_be_bytes(), &[0xd5; 160]])
    }

    #[test]
    fn packets_that_count_up_are_rtp() {
        let mut talk = udp();
        for step in 0..5 {
            talk = talk.c(packet(65_534u16.wrapping_add(step), 160 * u32::from(step), 0x1234_5678));
        }
        talk.is("rtp");
        udp()
            .c(packet(1, 0, 9))
            .s(packet(7, 5, 8))
            .c(packet(2, 160, 9))
            .s(packet(8, 165, 8))
            .c(packet(3, 320, 9))
            .is("rtp");
    }

    #[test]
    fn near_misses_are_not_rtp() {
        udp().c(packet(1, 0, 9)).c(packet(2, 160, 9)).is_nothing();
        udp().c(packet(1, 0, 9)).c(packet(9000, 160, 9)).c(packet(9001, 320, 9)).is_nothing();
        udp()
            .c(packet(1, 0, 1))
            .c(packet(2, 9, 2))
            .c(packet(3, 20, 3))
            .c(packet(4, 20, 4))
            .c(packet(5, 20, 5))
            .is_nothing();
    }

    #[test]
    fn reports_that_fill_the_datagram_are_rtcp() {
        let report = hex("80c8 0006 11111111 e5a10000 00000000 00000001 00000001 00000001");
        let names = hex("81ca 0003 11111111 0104 6140 7879 0000");
        let both = cat(&[&report, &names]);
        udp().c(&both).c(&both).is("rtcp");
        udp().c(cat(&[&report, &[1, 2, 3]])).is_nothing();
    }
}
