//! Start lines and fields of HTTP/1 (RFC 9112) and its relatives.

use super::super::cursor::Cursor;
use super::super::text::{decimal, header, is_text, is_token};
use super::super::verdict::{ensure, Step, Stop};

/// Longest start line that is read to its end.
pub const MAX_LINE: usize = 2040;

/// A request: method, target, protocol (`HTTP/1.1`), and the field lines that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a [u8],
    /// The target.
    pub target: &'a [u8],
    /// Name and version of the protocol; empty when the line does not end in what is there.
    pub protocol: &'a [u8],
    /// What follows the start line.
    pub fields: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a start line; a line longer than what is there gives an empty protocol when method and target
    /// look like a request's.
    pub fn read(bytes: &'a [u8]) -> Step<Self> {
        let most = bytes.len().min(MAX_LINE);
        let shown = bytes[..most].iter().position(|&byte| byte == b'\n');
        let line = &bytes[..shown.unwrap_or(most)];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        ensure(is_text(line))?;
        let Some(space) = line.iter().take(33).position(|&byte| byte == b' ') else {
            ensure(shown.is_none() && line.len() <= 32 && (line.is_empty() || is_token(line)))?;
            return Err(Stop::More);
        };
        let (method, rest) = (&line[..space], &line[space + 1..]);
        ensure(is_token(method))?;
        if shown.is_none() {
            if bytes.len() >= MAX_LINE {
                return Ok(Self { method, target: rest, protocol: &[], fields: &[] });
            }
            return Err(Stop::More);
        }
        let cut = rest.iter().rposition(|&byte| byte == b' ').ok_or(Stop::No)?;
        let (target, protocol) = (&rest[..cut], &rest[cut + 1..]);
        ensure(!target.is_empty() && !protocol.is_empty())?;
        Ok(Self { method, target, protocol, fields: &bytes[line.len()..] }.trimmed())
    }

    fn trimmed(mut self) -> Self {
        let mut c = Cursor::new(self.fields);
        if c.line(2).is_ok() {
            self.fields = c.rest();
        }
        self
    }

    /// The `Host` field (RFC 9110 §7.2), as sent.
    pub fn host(&self) -> Option<&'a [u8]> {
        header(self.fields, b"Host")
    }
}

/// A response's protocol, status, and the field lines that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// Name and version of the protocol.
    pub protocol: &'a [u8],
    /// The status code.
    pub status: u32,
    /// What follows the start line.
    pub fields: &'a [u8],
}

impl<'a> Response<'a> {
    /// Reads a status line.
    pub fn read(bytes: &'a [u8]) -> Step<Self> {
        let mut c = Cursor::new(bytes);
        let head = &bytes[..bytes.len().min(12)];
        ensure(is_text(&head[..head.iter().position(|&b| b == b'\r' || b == b'\n').unwrap_or(head.len())]))?;
        let line = c.line(MAX_LINE)?;
        ensure(is_text(line))?;
        let (protocol, rest) = super::super::text::word(line);
        let status = rest.get(..3).and_then(decimal).ok_or(Stop::No)?;
        ensure((100..1000).contains(&status) && rest.get(3).is_none_or(|&byte| byte == b' '))?;
        Ok(Self { protocol, status, fields: c.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gives_method_target_and_host() {
        let r = Request::read(b"GET /a b HTTP/1.1\r\nHost: x.example\r\n\r\n").unwrap();
        assert_eq!((r.method, r.target, r.protocol), (&b"GET"[..], &b"/a b"[..], &b"HTTP/1.1"[..]));
        assert_eq!(r.host(), Some(&b"x.example"[..]));
        assert_eq!(Request::read(b"GET /a"), Err(Stop::More));
        assert_eq!(Request::read(b"GET\x00/a"), Err(Stop::No));
        assert_eq!(Request::read(b"hello\r\n"), Err(Stop::No));
    }

    #[test]
    fn a_status_line_needs_three_digits() {
        assert_eq!(Response::read(b"HTTP/1.1 204\r\nA: b\r\n").map(|r| r.status), Ok(204));
        assert_eq!(Response::read(b"HTTP/1.1 20x OK\r\n"), Err(Stop::No));
        assert_eq!(Response::read(b"HTTP/1.1 200 OK"), Err(Stop::More));
    }
}
