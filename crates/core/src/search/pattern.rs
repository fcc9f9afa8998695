//! What is looked for.

use regex::bytes::{Regex, RegexBuilder};

/// Most bytes of a pattern.
pub const LONGEST: usize = 4096;
/// Bytes of a stream that a regular expression sees before a new segment.
pub const WINDOW: usize = 4096;
/// Most memory of a compiled expression, and of its states at work.
const COMPILED: usize = 4 << 20;
/// Groups inside groups.
const NEST: u32 = 64;

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// These bytes; a text is its UTF-8.
    Bytes,
    /// A regular expression over bytes, in the syntax of the `regex` crate. Linear in time, whatever it is.
    Regex,
}

/// A pattern that was understood.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    keep: usize,
}

impl Pattern {
    /// Takes a pattern apart. `ignore_case`: letters of both cases are the same, in bytes that are UTF-8 also
    /// other letters than those of ASCII. The error says what is wrong with it.
    pub fn new(pattern: &[u8], kind: Kind, ignore_case: bool) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("the pattern is empty: it would be found everywhere".to_owned());
        }
        if pattern.len() > LONGEST {
            return Err(format!(
                "the pattern has {} bytes, at most {LONGEST} can be looked for",
                pattern.len()
            ));
        }
        let text = std::str::from_utf8(pattern);
        let (source, unicode, keep) = match (kind, text) {
            (Kind::Regex, Ok(text)) => (text.to_owned(), true, WINDOW),
            (Kind::Regex, Err(e)) => {
                return Err(format!(
                    "the expression is no UTF-8 at byte {}: write bytes as \\xff",
                    e.valid_up_to()
                ))
            }
            // A letter's other case may take three bytes where it takes one.
            (Kind::Bytes, Ok(text)) if ignore_case => (regex::escape(text), true, 3 * pattern.len()),
            (Kind::Bytes, _) => (escaped(pattern), false, pattern.len()),
        };
        let regex = RegexBuilder::new(&source)
            .unicode(unicode)
            .case_insensitive(ignore_case)
            .size_limit(COMPILED)
            .dfa_size_limit(COMPILED)
            .nest_limit(NEST)
            .build()
            .map_err(|error| why(&error))?;
        if regex.is_match(b"") {
            return Err("the expression matches nothing at all, so it would be found everywhere".to_owned());
        }
        Ok(Self { regex, keep: keep - 1 })
    }

    /// Bytes before a new segment that a match may begin in.
    pub fn keep(&self) -> usize {
        self.keep
    }

    /// Begin and end of the first match at or behind `from`.
    pub fn find(&self, bytes: &[u8], mut from: usize) -> Option<(usize, usize)> {
        while from < bytes.len() {
            let found = self.regex.find_at(bytes, from)?;
            if !found.is_empty() {
                return Some((found.start(), found.end()));
            }
            from = found.end() + 1;
        }
        None
    }
}

fn escaped(pattern: &[u8]) -> String {
    use std::fmt::Write;
    let mut source = String::with_capacity(4 * pattern.len() + 8);
    source.push_str("(?-u:");
    for b in pattern {
        let _ = write!(source, "\\x{b:02x}");
    }
    source.push(')');
    source
}

fn why(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(most) => format!(
            "the expression needs more than {most} bytes when compiled: make its repetitions smaller, \
             or say (?-u) when it is about bytes and not about letters of all scripts"
        ),
        // Its last line says what is wrong; those before it draw the place.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("the expression cannot be read: {}", last.trim_start_matches("error: "))
        }
    }
}
