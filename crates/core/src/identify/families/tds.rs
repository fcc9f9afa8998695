//! TDS: Microsoft SQL Server and Sybase (MS-TDS, TDS 5.0 functional specification).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::verdict::confidence::STRONG;
use super::super::verdict::{ensure, Step, Stop};

/// The family.
pub const FAMILY: Family = Family {
    name: "databases",
    protocols: &[Protocol {
        label: "tds",
        title: "Tabular Data Stream, SQL Server and Sybase",
        on: TCP,
        ports: &[1433, 5000],
        spec: "MS-TDS",
    }],
    rules: &[Rule {
        label: "tds",
        name: "packets",
        on: TCP,
        client: Starts::With(&[b"\x01", b"\x02", b"\x03", b"\x10", b"\x12"]),
        server: Starts::With(&[b"\x04\x00", b"\x04\x01"]),
        check: |v| v.asked(STRONG, request, response, |&asked, &table| asked || !table),
    }],
};

/// The head of a packet (MS-TDS §2.2.3.1): its type, and what is there of its body.
fn head<'a>(c: &mut Cursor<'a>) -> Step<(u8, Cursor<'a>, usize)> {
    let (kind, status, len) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
    ensure(status & !0x1f == 0 && (9..=32_768).contains(&len))?;
    c.skip(3)?;
    ensure(c.u8()? == 0)?; // window
    let body = len - 8;
    Ok((kind, Cursor::new(&c.rest()[..c.left().min(body)]), body))
}

/// The options of PRELOGIN (§2.2.6.5): the first is the version, six bytes right behind the table.
fn options(c: &mut Cursor<'_>, body: usize) -> Step<()> {
    let mut first = 0;
    for index in 0..16 {
        let token = c.u8()?;
        if token == 0xff {
            return ensure(index > 0 && first == c.position());
        }
        let (offset, len) = (usize::from(c.u16()?), usize::from(c.u16()?));
        ensure(token <= 9 && offset + len <= body && (index > 0) != (token == 0))?;
        if index == 0 {
            ensure(len == 6)?;
            first = offset;
        }
    }
    Err(Stop::No)
}

/// Whether it is a PRELOGIN.
fn request(bytes: &[u8]) -> Step<bool> {
    let (kind, mut c, body) = head(&mut Cursor::new(bytes))?;
    match kind {
        0x12 => {
            options(&mut c, body)?;
            return Ok(true);
        }
        // LOGIN7 (§2.2.6.4): its length, a version 7.x, the wanted size of packets.
        0x10 => {
            let (len, version, size) = (c.u32le()? as usize, c.u32le()?, c.u32le()?);
            ensure((86..=1 << 17).contains(&len) && (len <= body || body >= 400))?;
            ensure(version >> 24 >= 0x70 && version >> 24 <= 0x75 && size <= 32_768)?;
        }
        // The login of TDS 4 and 5: fields of 30 bytes, padded with zeros, and how many of them count.
        0x02 => {
            for _ in 0..3 {
                let (field, len) = (c.take(30)?, usize::from(c.u8()?));
                ensure(len <= 30 && field[len..].iter().all(|&byte| byte == 0))?;
                ensure(field[..len].iter().all(|&byte| byte >= 0x20))?;
            }
        }
        // A batch or a call: the transaction's header (§2.2.5.3), or text in UTF-16 in versions before 7.2.
        _ => {
            let (total, len, what) = (c.u32le()? as usize, c.u32le()?, c.u16le()?);
            let headed = (22..=256).contains(&total) && total <= body && len == 18 && what == 2;
            if !headed {
                // A call begins with the length of the procedure's name, or with a number in its place.
                let name = if kind == 3 { total & 0xffff } else { body / 2 };
                ensure((8..=body / 2).contains(&name) && (kind == 3 || body.is_multiple_of(2)))?;
                let from = if kind == 3 { 10 } else { 8 };
                let text = &bytes[from..bytes.len().min(from + 2 * name.min(16))];
                ensure(text.len() >= 16)?;
                ensure(text.chunks_exact(2).all(|c| c[1] == 0 && matches!(c[0], 9 | 10 | 13 | 0x20..=0x7e)))?;
            }
        }
    }
    Ok(false)
}

/// Whether it answers a PRELOGIN.
fn response(bytes: &[u8]) -> Step<bool> {
    let (kind, mut c, body) = head(&mut Cursor::new(bytes))?;
    ensure(kind == 4)?;
    match c.peek()? {
        0 => options(&mut c, body).map(|()| true),
        // Tokens (§2.2.7).
        0x79
        | 0x81
        | 0x88
        | 0xa4
        | 0xa5
        | 0xa9..=0xae
        | 0xd1..=0xd3
        | 0xe2..=0xe5
        | 0xed..=0xef
        | 0xfd..=0xff => Ok(false),
        _ => Err(Stop::No),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    const ASK: &str =
        "1201 0026 0000 0100 00 0010 0006 01 0016 0001 02 0017 0007 ff 110000000000 02 00000000000000";

    fn ask() -> Vec<u8> {
        hex(ASK)
    }

    #[test]
    fn a_prelogin_and_its_answer_are_tds() {
        let mut answer = ask();
        answer[0] = 4;
        tcp().c(ask()).s(&answer).is("tds");
        tcp().c(ask()).is("tds");
    }

    #[test]
    fn logins_and_batches_are_tds() {
        let login = cat(&[&hex("1001 0090 0000 0100 88000000 04000074 00100000"), &[0; 124]]);
        tcp().c(login).s(hex("0401 0014 0033 0100 e3 0900 01 00 00 00 00 00 00 00 00")).is("tds");
        let batch = cat(&[
            &hex("0101 003c 0000 0100 16000000 12000000 0200 0000000000000000 01000000"),
            &"SELECT @@version".bytes().flat_map(|byte| [byte, 0]).collect::<Vec<_>>(),
        ]);
        tcp().c(batch).s(hex("0401 0015 0033 0100 fd 0000 0000 0000000000000000")).midway().is("tds");
        let call = cat(&[
            &hex("0309 001e 0000 0100 0800"),
            &"p_sample".bytes().flat_map(|byte| [byte, 0]).collect::<Vec<_>>(),
            &[0; 4],
        ]);
        tcp().c(&call).is("tds");
        let mut odd = call;
        odd[8] = 200;
        tcp().c(&odd).is_nothing();
        let field = |text: &[u8]| cat(&[text, &vec![0; 30 - text.len()], &[text.len() as u8]]);
        tcp().c(cat(&[&hex("0200 0200 0000 0000"), &field(b"host"), &field(b"sa"), &field(b"x")])).is("tds");
    }

    #[test]
    fn near_misses_are_not() {
        for (at, value) in [(7, 1), (8, 3), (10, 0x11), (12, 7), (2, 0x90)] {
            let mut odd = ask();
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
        tcp().c(ask()).s("HTTP/1.1 400 x").label();
        tcp().c([0x12; 200]).is_nothing();
    }
}
