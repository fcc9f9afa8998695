//! Games: Minecraft, RakNet, Source and Quake servers, GameSpy queries, Battle.net, World of Warcraft, Terraria, SA-MP.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{is_ascii, is_text};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "games",
    protocols: &[
        Protocol {
            label: "minecraft",
            title: "Minecraft, Java edition",
            on: TCP,
            ports: &[25565],
            spec: "minecraft.wiki Java Edition protocol",
        },
        Protocol {
            label: "raknet",
            title: "RakNet, as of Minecraft Bedrock and Roblox",
            on: UDP,
            ports: &[19132, 19133],
            spec: "RakNet 4",
        },
        Protocol {
            label: "source-query",
            title: "Source engine queries",
            on: UDP,
            ports: &[27015, 27016],
            spec: "Valve Server Queries",
        },
        Protocol {
            label: "quake3",
            title: "Quake III and relatives",
            on: UDP,
            ports: &[27960, 28960],
            spec: "Quake III source code",
        },
        Protocol {
            label: "steam-discovery",
            title: "Steam in-home discovery",
            on: UDP,
            ports: &[27036],
            spec: "no public document",
        },
        Protocol {
            label: "gamespy",
            title: "GameSpy queries",
            on: UDP,
            ports: &[6500, 7778, 29900, 25565],
            spec: "minecraft.wiki Query",
        },
        Protocol { label: "bncs", title: "Battle.net chat", on: TCP, ports: &[6112], spec: "BNETDocs" },
        Protocol {
            label: "wow",
            title: "World of Warcraft logon",
            on: TCP,
            ports: &[3724],
            spec: "wowdev wiki",
        },
        Protocol {
            label: "terraria",
            title: "Terraria",
            on: TCP,
            ports: &[7777],
            spec: "no public document",
        },
        Protocol {
            label: "samp",
            title: "San Andreas Multiplayer",
            on: UDP,
            ports: &[7777],
            spec: "SA-MP query",
        },
    ],
    rules: &[
        Rule {
            label: "minecraft",
            name: "handshake",
            on: TCP,
            client: Starts::Any,
            server: Starts::Any,
            check: minecraft,
        },
        Rule {
            label: "raknet",
            name: "offline",
            on: UDP,
            client: RAKNET,
            server: RAKNET,
            check: |v| v.pair(SURE, raknet, raknet, |(), ()| true),
        },
        Rule { label: "source-query", name: "query", on: UDP, client: ONES, server: ONES, check: source },
        Rule {
            label: "quake3",
            name: "query",
            on: UDP,
            client: ONES,
            server: ONES,
            check: |v| v.pair(STRONG, quake, quake, |(), ()| true),
        },
        Rule {
            label: "steam-discovery",
            name: "message",
            on: UDP,
            client: ONES,
            server: ONES,
            check: |v| v.pair(SURE, steam, steam, |(), ()| true),
        },
        Rule {
            label: "gamespy",
            name: "challenge",
            on: UDP,
            client: Starts::With(&[b"\xfe\xfd"]),
            server: Starts::With(&[b"\x09", b"\x00"]),
            check: gamespy,
        },
        Rule {
            label: "gamespy",
            name: "keys",
            on: UDP,
            client: Starts::With(&[b"\\"]),
            server: Starts::With(&[b"\\"]),
            check: |v| {
                v.client.first()?;
                v.pair(LIKELY, keys, answer_keys, |(), ()| true)
            },
        },
        Rule {
            label: "bncs",
            name: "auth",
            on: TCP,
            client: Starts::With(&[b"\x01\xff", b"\x01"]),
            server: Starts::With(&[b"\xff"]),
            check: |v| v.asked(SURE, bncs, bncs_answer, |(), ()| true),
        },
        Rule {
            label: "wow",
            name: "challenge",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.asked(SURE, wow, |b| ensure(b[0] == 0), |(), ()| true),
        },
        Rule {
            label: "terraria",
            name: "connect",
            on: TCP,
            client: Starts::Byte(|byte| (13..=20).contains(&byte)),
            server: Starts::Byte(|byte| byte < 0x60),
            check: |v| {
                ensure(v.first_speaker() == Who::Client)?;
                v.client.parse(terraria).map(|()| Match::new(SURE))
            },
        },
        Rule {
            label: "samp",
            name: "query",
            on: UDP,
            client: Starts::With(&[b"SA"]),
            server: Starts::With(&[b"SA"]),
            check: |v| v.pair(STRONG, samp, samp, |q, r| q == r),
        },
    ],
};

const ONES: Starts = Starts::With(&[b"\xff\xff"]);
const RAKNET: Starts = Starts::Byte(|byte| matches!(byte, 1 | 2 | 5 | 6 | 7 | 8 | 0x1c | 0x19));

/// A handshake: version, host, port, and what for; or the ping of old clients.
fn minecraft(v: &View<'_>) -> Verdict {
    ensure(v.first_speaker() == Who::Client)?;
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        if bytes[0] == 0xfe {
            return ensure(bytes.len() >= 2 && c.take(3)? == [0xfe, 1, 0xfa] && c.take(2)? == [0, 11])
                .map(|()| true);
        }
        let len = c.base128(2)? as usize;
        ensure((6..=300).contains(&len) && c.peek()? == 0)?;
        let mut body = c.sub(len)?;
        ensure(body.u8()? == 0)?;
        let version = body.base128(4)?;
        ensure(version <= 1000 || version & 0x4000_0000 != 0)?;
        let host_len = body.base128(2)? as usize;
        let host = body.take(host_len)?;
        ensure(!host.is_empty() && host[0].is_ascii_graphic())?;
        ensure(host.iter().take_while(|&&byte| byte != 0).all(u8::is_ascii_graphic))?;
        body.skip(2)?;
        ensure((1..=3).contains(&body.u8()?) && body.is_empty())?;
        Ok(host_len >= 4)
    };
    let answered = maybe(v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        if bytes[0] == 0xff {
            c.skip(3)?;
            return ensure(c.u16()? == 0xa7);
        }
        let len = c.base128(3)?;
        ensure((2..=1 << 20).contains(&len) && c.base128(3)? <= 0x7f_ffff)
    }))?;
    let long = v.client.parse(ask)?;
    ensure(long || answered.is_some())?;
    Ok(Match::new(if answered.is_some() { ANSWERED } else { LIKELY }))
}

/// Messages before a connection hold these 16 bytes.
const OFFLINE: &[u8] = b"\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78";

fn raknet(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let before = match c.u8()? {
        1 | 2 => 8,
        5..=8 => 0,
        0x1c => 16,
        0x19 => 1,
        _ => return Err(Stop::No),
    };
    c.skip(before)?;
    c.expect(OFFLINE)
}

fn source(v: &View<'_>) -> Verdict {
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        ensure(c.u32()? == u32::MAX)?;
        let kind = c.u8()?;
        match kind {
            b'T' => {
                c.expect(b"Source Engine Query\0")?;
                ensure(matches!(c.left(), 0 | 4))?;
            }
            b'U' | b'V' => ensure(c.left() == 4)?,
            b'W' | b'i' => ensure(c.left() <= 1)?,
            _ => return Err(Stop::No),
        }
        Ok(kind)
    };
    let answer = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let head = c.u32()?;
        if head == 0xfeff_ffff {
            return Ok(0); // in several parts
        }
        ensure(head == u32::MAX)?;
        let kind = c.u8()?;
        match kind {
            b'A' => ensure(c.left() == 4)?,
            b'I' | b'm' => ensure(c.left() >= 10)?,
            b'D' | b'E' | b'j' => {}
            _ => return Err(Stop::No),
        }
        Ok(kind)
    };
    let asked = v.client.parse(ask)?;
    match maybe(v.server.parse(answer))? {
        Some(kind) => {
            let fits = match asked {
                b'T' => b"AIm\0".contains(&kind),
                b'U' => b"AD\0".contains(&kind),
                b'V' => b"AE\0".contains(&kind),
                b'W' => kind == b'A',
                _ => kind == b'j',
            };
            ensure(fits)?;
            Ok(Match::new(ANSWERED))
        }
        None if asked == b'T' => Ok(Match::new(SURE)),
        None => Ok(Match::new(LIKELY)),
    }
}

/// Commands and answers of Quake III.
const QUAKE: [&[u8]; 12] = [
    b"getstatus",
    b"getinfo",
    b"getchallenge",
    b"getservers",
    b"getKeyAuthorize",
    b"connect ",
    b"statusResponse\n",
    b"infoResponse\n",
    b"challengeResponse ",
    b"getserversResponse",
    b"connectResponse",
    b"heartbeat ",
];

fn quake(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u32()? == u32::MAX)?;
    let rest = c.rest();
    let word = QUAKE.iter().find(|word| rest.starts_with(word)).ok_or(Stop::No)?;
    let after = &rest[word.len()..];
    ensure(
        word[0] == b's'
            || word.len() == 18
            || is_text(&after[..after.iter().position(|&b| b < 0x20).unwrap_or(after.len()).min(64)]),
    )
}

fn steam(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u32()? == u32::MAX)?;
    c.expect(b"\x21\x4c\x5f\xa0")?;
    let len = c.u32le()? as usize;
    c.skip(len)
}

/// A number of the session that comes back; a challenge in digits.
fn gamespy(v: &View<'_>) -> Verdict {
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        c.expect(b"\xfe\xfd")?;
        let kind = c.u8()?;
        let session = c.u32()?;
        ensure(matches!((kind, c.left()), (9, 0 | 4) | (0, 4 | 8)))?;
        Ok((kind, session))
    };
    let answer = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (kind, session) = (c.u8()?, c.u32()?);
        if kind == 9 {
            let digits = c.until(0, 14)?;
            ensure(!digits.is_empty() && digits.iter().all(|b| b.is_ascii_digit() || *b == b'-'))?;
        }
        Ok((kind, session))
    };
    v.both(ask, answer, |q, r| q == r)
}

fn keys(bytes: &[u8]) -> Step<()> {
    const WORDS: [&[u8]; 6] =
        [b"\\status\\", b"\\basic\\", b"\\info\\", b"\\rules\\", b"\\players\\", b"\\echo\\"];
    ensure(bytes.len() < 64 && is_ascii(bytes) && WORDS.iter().any(|word| bytes.starts_with(word)))
}

fn answer_keys(bytes: &[u8]) -> Step<()> {
    let shown = &bytes[..bytes.len().min(200)];
    ensure(is_text(shown) && shown.split(|&byte| byte == b'\\').count() > 2)
}

/// SID_AUTH_INFO, after the byte that chooses the protocol.
fn bncs(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 1)?;
    c.expect(b"\xff\x50")?;
    ensure((38..=512).contains(&c.u16le()?) && c.u32()? == 0)?;
    let platform = c.take(4)?;
    ensure(matches!(platform, b"68XI" | b"CAMP" | b"XAMP"))
}

fn bncs_answer(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 0xff && matches!(c.u8()?, 0x25 | 0x50 | 0))
}

fn wow(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 0 && c.u8()? <= 8)?;
    let len = usize::from(c.u16le()?);
    ensure((30..=256).contains(&len))?;
    c.expect(b"WoW\0")?;
    ensure(c.take(3)?[0] <= 12)
}

fn terraria(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = usize::from(c.u16le()?);
    ensure((13..=20).contains(&len) && c.u8()? == 1)?;
    let text = c.counted(1)?;
    ensure(text.starts_with(b"Terraria") && text.len() + 4 == len && text[8..].iter().all(u8::is_ascii_digit))
}

fn samp(bytes: &[u8]) -> Step<&[u8]> {
    let mut c = Cursor::new(bytes);
    c.expect(b"SAMP")?;
    let target = c.take(6)?;
    ensure(matches!(c.u8()?, b'i' | b'r' | b'c' | b'd' | b'p' | b'x'))?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn handshakes_are_minecraft_and_raknet() {
        let shake = cat(&[&hex("10 00 fb05 09"), b"a.example", &hex("63dd 01")]);
        tcp().c(&shake).s(hex("05 00 03 7b7d20")).is("minecraft");
        tcp().c(&shake).is("minecraft");
        tcp().c(cat(&[&hex("11 00 fb05 09"), b"a.example", &hex("63dd 01")])).is_nothing();
        tcp().c(cat(&[&hex("10 00 fb05 09"), b"a.example", &hex("63dd 04")])).is_nothing();
        let magic = hex("00ffff00fefefefefdfdfdfd12345678");
        udp().c(cat(&[&[1], &[5; 8], &magic, &[7; 8]])).s(cat(&[&[0x1c], &[5; 16], &magic])).is("raknet");
        udp().c(cat(&[&[3], &[5; 8], &magic, &[7; 8]])).is_nothing();
    }

    #[test]
    fn queries_are_told_by_their_words() {
        let ask = cat(&[&[0xff; 4], b"TSource Engine Query\0"]);
        udp().c(&ask).s(cat(&[&[0xff; 4], b"I\x11name\0map\0game\0"])).is("source-query");
        udp().c(cat(&[&[0xff; 4], b"TSource Engine Quary\0"])).is_nothing();
        udp()
            .c(cat(&[&[0xff; 4], b"getstatus"]))
            .s(cat(&[&[0xff; 4], b"statusResponse\n\\a\\b"]))
            .is("quake3");
        udp().c(cat(&[&[0xff; 4], b"gutstatus"])).is_nothing();
        udp().c(cat(&[&[0xff; 4], &hex("214c5fa0 02000000 0102")])).is("steam-discovery");
        udp().c(cat(&[&[0xff; 4], &hex("214c5fa0 03000000 0102")])).is_nothing();
        udp().c(hex("fefd 09 01020304")).s(cat(&[&hex("09 01020304"), b"9513307\0"])).is("gamespy");
        udp().c(hex("fefd 09 01020304")).s(cat(&[&hex("09 01020305"), b"9513307\0"])).is_nothing();
        udp().c("\\status\\").s("\\gamename\\ut\\gamever\\436").is("gamespy");
        udp().c("\\stetus\\").is_nothing();
        udp().c(cat(&[b"SAMP", &hex("01020304 1e61"), b"i"])).is("samp");
        udp().c(cat(&[b"SAMP", &hex("01020304 1e61"), b"z"])).is_nothing();
    }

    #[test]
    fn logons_are_told_by_their_games() {
        tcp().c(cat(&[&hex("01 ff50 3a00 00000000"), b"68XIVD2D", &[0; 40]])).is("bncs");
        tcp().c(cat(&[&hex("01 ff50 3a00 00000000"), b"86XIVD2D", &[0; 40]])).is_nothing();
        tcp().c(cat(&[&hex("00 08 2000"), b"WoW\0", &hex("030305 3430"), &[0; 24]])).is("wow");
        tcp().c(cat(&[&hex("00 08 2000"), b"Wow\0", &hex("030305 3430"), &[0; 24]])).is_nothing();
        tcp().c(cat(&[&hex("0f00 01 0b"), b"Terraria279"])).is("terraria");
        tcp().c(cat(&[&hex("0f00 01 0b"), b"Terrario279"])).is_nothing();
    }
}
