//! Hellos of TLS and DTLS (RFC 8446 §4.1, RFC 5246 §7.4, RFC 6347 §4.2), certificates (bytes only).

use super::super::cursor::Cursor;
use super::super::verdict::{closed, ensure, Step, Stop};

/// Largest hello that is read.
pub const MAX_HELLO: usize = 16_384;

/// What a ClientHello says. Lists are the bytes of the message: two a value, most significant first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// `legacy_version`.
    pub version: u16,
    /// The cookie of DTLS is not kept; the session id is.
    pub session_id: &'a [u8],
    /// Cipher suites, two bytes each.
    pub ciphers: &'a [u8],
    /// All extensions as they stand: type, length, value.
    pub extensions: &'a [u8],
    /// Host name of the server_name extension (RFC 6066 §3), as sent.
    pub sni: Option<&'a [u8]>,
    /// The list inside the ALPN extension (RFC 7301): one byte of length and a name, again and again.
    pub alpn: &'a [u8],
    /// The list inside supported_versions, two bytes each.
    pub versions: &'a [u8],
}

/// What a ServerHello says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// `legacy_version`, or what supported_versions says.
    pub version: u16,
    /// The chosen cipher suite.
    pub cipher: u16,
    /// All extensions as they stand.
    pub extensions: &'a [u8],
    /// The chosen application protocol.
    pub alpn: Option<&'a [u8]>,
}

/// Type, version and fragment of a TLS record whose fragment is there.
pub fn record<'a>(c: &mut Cursor<'a>) -> Step<(u8, u16, &'a [u8])> {
    let (kind, version, len) = record_head(c)?;
    Ok((kind, version, c.take(len)?))
}

/// Type, version and length of a TLS record.
pub fn record_head(c: &mut Cursor<'_>) -> Step<(u8, u16, usize)> {
    let kind = c.u8()?;
    ensure((20..=24).contains(&kind))?;
    let version = c.u16()?;
    ensure((0x0300..=0x0304).contains(&version))?;
    let len = usize::from(c.u16()?);
    // RFC 5246 §6.2.3: 2^14 and up to 2048 for encryption; only application data may be empty.
    ensure(len <= 16_384 + 2048 && (len > 0 || kind == 23))?;
    ensure(kind != 20 || len == 1 || version == 0x0304)?;
    Ok((kind, version, len))
}

/// Length of the handshake message that begins a stream, with how many bytes of the stream hold it when it
/// lies in records as large as the first.
pub fn hello_span(bytes: &[u8]) -> Step<usize> {
    let mut c = Cursor::new(bytes);
    let (kind, _, first) = record_head(&mut c)?;
    ensure(kind == 22)?;
    ensure(first >= 4)?;
    c.skip(1)?;
    let len = c.u24()? as usize + 4;
    ensure(len <= MAX_HELLO)?;
    Ok(len + 5 * len.div_ceil(first))
}

/// Where a ClientHello begins that may follow what another protocol says before (STARTTLS and its like), in the first 2 KiB.
pub fn hello_at(bytes: &[u8]) -> Option<usize> {
    bytes[..bytes.len().min(2048)].windows(6).position(|start| matches!(start, [22, 3, 0..=4, _, _, 1]))
}

/// The first handshake message of a stream of records, put together in `room` if it lies in several; at most
/// [`MAX_HELLO`] bytes. Gives type and body; the body may be cut (second value false).
pub fn handshake<'a>(bytes: &'a [u8], room: &'a mut Vec<u8>) -> Step<(u8, &'a [u8], bool)> {
    let mut c = Cursor::new(bytes);
    let (kind, _, first) = record_head(&mut c)?;
    ensure(kind == 22 && first >= 4)?;
    let head = c.clone().take(4)?;
    let len = Cursor::new(&head[1..]).u24()? as usize;
    ensure(len <= MAX_HELLO)?;
    if len + 4 <= first {
        let body = &c.rest()[4..];
        let shown = body.len().min(len);
        return Ok((head[0], &body[..shown], shown == len));
    }
    room.clear();
    let mut part = first;
    loop {
        let shown = c.left().min(part);
        room.extend_from_slice(c.take(shown)?);
        if shown < part || room.len() >= len + 4 {
            break;
        }
        match record_head(&mut c) {
            Ok((22, _, next)) => part = next,
            Ok(_) | Err(Stop::No) => return Err(Stop::No),
            Err(Stop::More) => break,
        }
    }
    let whole = room.len() >= len + 4;
    let end = room.len().min(len + 4);
    Ok((head[0], &room[4..end], whole))
}

impl<'a> ClientHello<'a> {
    /// Reads the body of the message; `dtls` has a cookie after the session id.
    ///
    /// A cut body gives what was read if it reaches the cipher suites; else `More`.
    pub fn read(body: &'a [u8], whole: bool, dtls: bool) -> Step<Self> {
        let mut hello = Self::default();
        let mut c = Cursor::new(body);
        hello.version = c.u16()?;
        ensure(if dtls {
            matches!(hello.version, 0xfeff | 0xfefd | 0xfefc | 0x0100)
        } else {
            (0x0300..=0x0304).contains(&hello.version)
        })?;
        c.skip(32)?;
        hello.session_id = c.counted(1)?;
        ensure(hello.session_id.len() <= 32)?;
        if dtls {
            c.counted(1)?;
        }
        let len = usize::from(c.u16()?);
        ensure(len >= 2 && len.is_multiple_of(2))?;
        hello.ciphers = c.take(len)?;
        let rest = hello.rest(&mut c);
        match rest {
            Err(Stop::More) if whole => Err(Stop::No),
            Err(Stop::No) => Err(Stop::No),
            _ => {
                ensure(!whole || c.is_empty())?;
                Ok(hello)
            }
        }
    }

    fn rest(&mut self, c: &mut Cursor<'a>) -> Step<()> {
        let compressions = c.counted(1)?;
        ensure(!compressions.is_empty() && compressions.contains(&0))?;
        if c.is_empty() {
            return Ok(()); // RFC 5246 §7.4.1.2: extensions may be absent
        }
        let len = usize::from(c.u16()?);
        let there = c.left().min(len);
        let mut list = Cursor::new(&c.rest()[..there]);
        while !list.is_empty() {
            let before = list.position();
            let kind = list.u16()?;
            let value = list.counted(2)?;
            self.extension(kind, value)?;
            self.extensions = &c.rest()[..before + 4 + value.len()];
        }
        c.skip(len)
    }

    fn extension(&mut self, kind: u16, value: &'a [u8]) -> Step<()> {
        let mut v = Cursor::new(value);
        match kind {
            0 if !value.is_empty() => closed({
                let mut names = Cursor::new(v.counted(2)?);
                if names.u8()? == 0 {
                    let name = names.counted(2)?;
                    self.sni = (!name.is_empty()).then_some(name);
                }
                Ok(())
            }),
            16 => {
                self.alpn = closed(v.counted(2))?;
                Ok(())
            }
            43 => {
                self.versions = closed(v.counted(1))?;
                ensure(self.versions.len().is_multiple_of(2))
            }
            _ => Ok(()),
        }
    }

    /// The offered application protocols.
    pub fn protocols(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut list = Cursor::new(self.alpn);
        std::iter::from_fn(move || list.counted(1).ok())
    }
}

impl<'a> ServerHello<'a> {
    /// Reads the body of the message.
    pub fn read(body: &'a [u8], whole: bool, dtls: bool) -> Step<Self> {
        let mut hello = Self::default();
        let mut c = Cursor::new(body);
        hello.version = c.u16()?;
        ensure(if dtls {
            matches!(hello.version, 0xfeff | 0xfefd | 0xfefc | 0x0100)
        } else {
            (0x0300..=0x0304).contains(&hello.version) || (hello.version >> 8) == 0x7f
            // drafts of TLS 1.3
        })?;
        c.skip(32)?;
        if hello.version >> 8 != 0x7f {
            ensure(c.counted(1)?.len() <= 32)?;
        }
        hello.cipher = c.u16()?;
        if hello.version >> 8 != 0x7f {
            ensure(c.u8()? <= 1 || dtls)?;
        }
        if c.is_empty() {
            return Ok(hello);
        }
        let Ok(list) = c.counted(2) else { return if whole { Err(Stop::No) } else { Ok(hello) } };
        hello.extensions = list;
        closed(Cursor::new(list).tlvs((2, 2), |kind, value| {
            let mut v = Cursor::new(value);
            match kind {
                16 => hello.alpn = Some(Cursor::new(v.counted(2)?).counted(1)?),
                43 => hello.version = v.u16()?,
                _ => {}
            }
            Ok(())
        }))?;
        ensure(!whole || c.is_empty())?;
        Ok(hello)
    }
}

/// The certificates of a Certificate message of TLS 1.2 and before (RFC 5246 §7.4.2), each as DER.
pub fn certificates(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut list = Cursor::new(body);
    let mut inner = Cursor::new(list.counted(3).unwrap_or(&[]));
    std::iter::from_fn(move || inner.counted(3).ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A ClientHello message body with this name and these protocols.
    pub(crate) fn client_hello(sni: &str, alpn: &[&str]) -> Vec<u8> {
        let mut list = Vec::new();
        let name = sni.len() as u8;
        list.extend([0, 0, 0, name + 5, 0, name + 3, 0, 0, name]);
        list.extend(sni.bytes());
        let names: Vec<u8> = alpn.iter().flat_map(|p| [&[p.len() as u8], p.as_bytes()].concat()).collect();
        if !names.is_empty() {
            let len = names.len() as u8;
            list.extend([0, 16, 0, len + 2, 0, len]);
            list.extend(names);
        }
        list.extend([0, 43, 0, 5, 4, 3, 4, 3, 3]);
        let mut body = vec![3, 3];
        body.extend([0x5a; 32]);
        body.extend([0, 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0, 0, list.len() as u8]);
        body.extend(list);
        body
    }

    /// A record with one handshake message.
    pub(crate) fn in_record(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = body.len();
        let mut out = vec![22, 3, 1, ((len + 4) >> 8) as u8, (len + 4) as u8];
        out.extend([kind, 0, (len >> 8) as u8, len as u8]);
        out.extend(body);
        out
    }

    #[test]
    fn a_client_hello_gives_name_protocols_and_versions() {
        let body = client_hello("a.example", &["h2", "http/1.1"]);
        let hello = ClientHello::read(&body, true, false).unwrap();
        assert_eq!(hello.sni, Some(&b"a.example"[..]));
        assert_eq!(hello.protocols().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
        assert_eq!(hello.versions, [3, 4, 3, 3]);
        assert_eq!(hello.ciphers, [0x13, 1, 0xc0, 0x2f]);
    }

    #[test]
    fn lengths_that_lie_are_refused_and_cuts_are_told() {
        let body = client_hello("a.example", &[]);
        for len in 0..body.len() {
            let cut = ClientHello::read(&body[..len], false, false);
            assert_ne!(cut, Err(Stop::No), "cut at {len}");
            // Extensions may be absent, so a body may end before them.
            assert_eq!(ClientHello::read(&body[..len], true, false).is_ok(), len == 43, "cut at {len}");
        }
        let mut odd = body.clone();
        odd[36] = 5; // cipher suites of odd length
        assert_eq!(ClientHello::read(&odd, true, false), Err(Stop::No));
    }

    #[test]
    fn a_hello_in_several_records_is_put_together() {
        let body = client_hello("a.example", &["h2"]);
        let whole = in_record(1, &body);
        let message = &whole[5..];
        let mut split = vec![22, 3, 1, 0, 10];
        split.extend(&message[..10]);
        split.extend([22, 3, 1, 0, (message.len() - 10) as u8]);
        split.extend(&message[10..]);
        let mut room = Vec::new();
        assert_eq!(handshake(&split, &mut room), Ok((1, &body[..], true)));
        assert_eq!(handshake(&split[..40], &mut room).map(|(kind, _, whole)| (kind, whole)), Ok((1, false)));
    }

    #[test]
    fn certificates_are_cut_out() {
        let body = [0, 0, 9, 0, 0, 2, 7, 8, 0, 0, 1, 9];
        assert_eq!(certificates(&body).collect::<Vec<_>>(), [&[7u8, 8][..], &[9]]);
    }
}
