//! Helpers for protocols made of text.

use super::cursor::Cursor;
use super::verdict::{ensure, Step};

/// Printable ASCII, tab, or bytes above 0x7f (UTF-8 and older charsets).
pub fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || byte == 0x1b || (byte >= 0x20 && byte != 0x7f))
}

/// Printable ASCII and space only.
pub fn is_ascii(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| (0x20..0x7f).contains(&byte))
}

/// Like [`is_ascii`], with line ends and tabs.
pub fn is_ascii_lines(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| matches!(byte, b'\r' | b'\n' | b'\t' | 0x20..=0x7e))
}

/// The bytes as text if [`printable`] would change nothing; only ASCII is looked for.
pub fn plain(bytes: &[u8]) -> Option<&str> {
    let plain = bytes.iter().all(|&byte| (0x20..0x7f).contains(&byte) && byte != b'\\');
    plain.then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// Bytes from a capture as text that shows no more than it says: control characters, backslashes and what is
/// not UTF-8 become `\\xNN`.
pub fn printable(bytes: &[u8]) -> String {
    use std::fmt::Write;
    if let Some(text) = plain(bytes) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '\\' {
                let mut raw = [0; 4];
                for byte in letter.encode_utf8(&mut raw).bytes() {
                    _ = write!(out, "\\x{byte:02x}");
                }
            } else {
                out.push(letter);
            }
        }
        for byte in chunk.invalid() {
            _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// One or more letters, digits, or the marks of a token (RFC 9110 §5.6.2).
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A decimal number of one to nine digits.
pub fn decimal(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 9 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(bytes.iter().fold(0, |value, &digit| value * 10 + u32::from(digit - b'0')))
}

/// `bytes` begin with `prefix` in upper or lower case.
pub fn has_prefix(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.len() >= prefix.len() && bytes[..prefix.len()].eq_ignore_ascii_case(prefix)
}

/// `needle` is in `bytes`, in upper or lower case. Costs their product: for short bytes.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    find(bytes, needle).is_some()
}

/// Where `needle` is in `bytes`, in upper or lower case.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}

/// The word before the first space of a line, and the rest.
pub fn word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|&byte| byte == b' ') {
        Some(end) => (&line[..end], &line[end + 1..]),
        None => (line, &[]),
    }
}

/// `word` is one of `list`, in upper or lower case.
pub fn is_one_of(word: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The value of a header field (RFC 9112 §5) in lines of text; the first one of that name.
pub fn header<'a>(lines: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut cursor = Cursor::new(lines);
    while let Ok(line) = cursor.line(lines.len()) {
        if line.is_empty() {
            return None;
        }
        if has_prefix(line, name) && line.get(name.len()) == Some(&b':') {
            return Some(line[name.len() + 1..].trim_ascii());
        }
    }
    None
}

/// A reply line as in FTP, SMTP and NNTP (RFC 5321 §4.2): three digits, then space, `-` or the line's end, then text.
pub fn reply(cursor: &mut Cursor<'_>) -> Step<(u32, bool)> {
    let head = cursor.rest();
    ensure(head.iter().take(3).all(u8::is_ascii_digit))?;
    ensure(head.get(3).is_none_or(|mark| b" -\r\n".contains(mark)))?;
    let shown = head.iter().take(512).position(|&byte| byte == b'\n').unwrap_or(head.len().min(512));
    ensure(is_text(head[..shown].strip_suffix(b"\r").unwrap_or(&head[..shown])))?;
    let line = cursor.line(2048)?;
    let code = line.get(..3).and_then(decimal).ok_or(super::verdict::Stop::No)?;
    ensure((100..700).contains(&code))?;
    Ok((code, line.get(3) == Some(&b'-')))
}

/// A reply of one or more lines; its code.
pub fn replies(cursor: &mut Cursor<'_>) -> Step<u32> {
    let (code, mut more) = reply(cursor)?;
    while more {
        let head = cursor.rest();
        if head.len() >= 4 && head[..3].iter().all(u8::is_ascii_digit) {
            let (next, goes_on) = reply(cursor)?;
            ensure(next == code)?;
            more = goes_on;
        } else {
            ensure(is_text(cursor.line(2048)?))?;
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Stop;
    use super::*;

    #[test]
    fn replies_of_many_lines_have_one_code() {
        assert_eq!(replies(&mut Cursor::new(b"220-a\r\n220 b\r\n")), Ok(220));
        assert_eq!(replies(&mut Cursor::new(b"220-a\r\n221 b\r\n")), Err(Stop::No));
        assert_eq!(replies(&mut Cursor::new(b"220-a\r\n")), Err(Stop::More));
        assert_eq!(replies(&mut Cursor::new(b"22")), Err(Stop::More));
        assert_eq!(replies(&mut Cursor::new(b"22x")), Err(Stop::No));
        assert_eq!(replies(&mut Cursor::new(b"999 x\r\n")), Err(Stop::No));
    }

    #[test]
    fn a_header_is_found_in_any_case_and_only_before_the_empty_line() {
        let lines = b"Host: a.example \r\n\r\nX: y\r\n";
        assert_eq!(header(lines, b"host"), Some(&b"a.example"[..]));
        assert_eq!(header(lines, b"x"), None);
    }
}
