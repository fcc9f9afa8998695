//! MySQL and MariaDB: greeting and login (MySQL internals, "Connection Phase").

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::is_ascii;
use super::super::verdict::confidence::{ANSWERED, STRONG};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};
use super::tls::awaited;

/// The family.
pub const FAMILY: Family = Family {
    name: "mysql",
    protocols: &[Protocol {
        label: "mysql",
        title: "MySQL, MariaDB",
        on: TCP,
        ports: &[3306],
        spec: "MySQL Internals, Client/Server Protocol",
    }],
    rules: &[Rule {
        label: "mysql",
        name: "greeting",
        on: TCP,
        client: Starts::Any,
        server: Starts::Any,
        check: mysql,
    }],
};

fn mysql(v: &View<'_>) -> Verdict {
    let login = maybe(v.client.parse(login))?;
    v.server.parse(greeting)?;
    match login {
        Some(true) => {
            Ok(Match::new(ANSWERED).under("tls").at(Who::Client, 0, 12).want(awaited(v.client.bytes)))
        }
        Some(false) => Ok(Match::new(ANSWERED).at(Who::Server, 0, 12)),
        None => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
    }
}

fn greeting(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = c.u24le()? as usize;
    ensure((8..=1024).contains(&len))?;
    ensure(c.u8()? == 0)?;
    let whole = c.left() >= len;
    let mut c = Cursor::new(&c.rest()[..c.left().min(len)]);
    let step = body(&mut c);
    if whole {
        closed(step)
    } else {
        step
    }
}

fn body(c: &mut Cursor<'_>) -> Step<()> {
    match c.u8()? {
        // An error instead: number, then text ("Host … is not allowed").
        0xff => {
            let code = c.u16le()?;
            ensure((1000..=1999).contains(&code) && c.left() >= 8)?;
            ensure(c.rest().iter().all(|&byte| byte >= 0x20))
        }
        9 | 10 => {
            let version = c.until(0, 100)?;
            ensure(version.len() >= 3 && is_ascii(version) && version.iter().any(u8::is_ascii_digit))?;
            c.skip(4 + 8)?;
            ensure(c.u8()? == 0)?;
            c.skip(2)?;
            if c.is_empty() {
                return Ok(());
            }
            c.skip(3 + 2)?;
            let size = c.u8()?;
            ensure(size == 0 || (8..=64).contains(&size))?;
            // Reserved; MariaDB keeps its own capabilities in the last four of them.
            ensure(c.take(6)? == [0; 6])
        }
        _ => Err(Stop::No),
    }
}

/// A login, or (true) the request to speak TLS first.
fn login(bytes: &[u8]) -> Step<bool> {
    let mut c = Cursor::new(bytes);
    let (len, number) = (c.u24le()?, c.u8()?);
    ensure((5..=65_535).contains(&len) && number == 1)?;
    let capabilities = c.u32le()?;
    if capabilities & 0x200 == 0 {
        return Ok(false); // protocol 320: two bytes of capabilities, then sizes and a name
    }
    ensure(len >= 32)?;
    let (_largest, _charset) = (c.u32le()?, c.u8()?);
    ensure(c.take(19)? == [0; 19])?;
    c.skip(4)?;
    if len == 32 {
        ensure(capabilities & 0x800 != 0)?;
        return Ok(true);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    fn greeting() -> Vec<u8> {
        let body = cat(&[
            b"\x0a8.0.36\0",
            &hex("01000000 0102030405060708 00 fff7 08 0200 ff81 15"),
            &[0; 10],
            &[7; 13],
            b"mysql_native_password\0",
        ]);
        cat(&[&[body.len() as u8, 0, 0, 0], &body])
    }

    #[test]
    fn a_greeting_and_a_login_are_mysql() {
        let login = cat(&[&hex("28000001 8da60f00 00000001 21"), &[0; 23], b"root\0\0\0\0"]);
        tcp().s(greeting()).c(&login).is("mysql");
        tcp().s(greeting()).is("mysql");
        tcp().s(greeting()).c(cat(&[&hex("20000001 8dae0f00 00000001 21"), &[0; 23]])).is("tls/mysql");
    }

    #[test]
    fn near_misses_are_not() {
        let mut odd = greeting();
        odd[3] = 1;
        tcp().s(&odd).is_nothing();
        let mut odd = greeting();
        odd[24] = 1; // the byte between the halves of the salt
        tcp().s(&odd).is_nothing();
        tcp().s(greeting()).c("GET / HTTP/1.1\r\n").label();
    }
}
