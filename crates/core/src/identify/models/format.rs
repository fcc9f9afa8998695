//! Model files: text, one fact a line. docs/formats/model.md defines them.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::str::FromStr;

use super::counts::{hash, Derived, Model, Part, Tally, EXAMPLES, NO_SCORE};
use super::learn::LEAST;
use super::sample::{Carrier, Sample, Token, LONG, POSITIONS, TURNS};
use super::score::START;

/// Bytes of the longest file that is read.
pub const MAX_FILE: usize = 4 << 20;
/// Characters of the longest name.
pub const MAX_NAME: usize = 32;
/// No flow scores more, in thousandths of a bit.
const MAX_SCORE: i32 = 10_000_000;
/// A count is smaller.
pub const MAX_COUNT: u64 = 1 << 48;
const HEAD: &str = "flowkeep-model";
const VERSION: &str = "1";

/// What is wrong with a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Line, from 1 on.
    pub line: usize,
    /// What was needed and what was there.
    pub what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Whether a name may be a model's.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if starts && name.len() <= MAX_NAME && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "a name has 1 to {MAX_NAME} of a-z, 0-9, -, . and _ and begins with a letter or figure; here is {}",
        shown(name)
    ))
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Sctp => f.write_str("sctp"),
            Self::Ip(number) => write!(f, "ip-{number}"),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.server { 's' } else { 'c' }, self.len)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD} {VERSION}\nname {}", self.name)?;
        self.parts.iter().try_for_each(|(carrier, part)| write_part(f, *carrier, part))?;
        writeln!(f, "\nend")
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, carrier: Carrier, part: &Part) -> fmt::Result {
    let count = |n: u64| n.min(MAX_COUNT - 1);
    writeln!(f, "\non {carrier}\nflows {}", count(part.flows))?;
    write!(f, "others {}", count(part.others))?;
    if part.highest != NO_SCORE {
        write!(f, " highest {}", bits(part.highest))?;
    }
    let Derived { threshold, floors, starts, held, of } = part.derived;
    writeln!(f, "\nthreshold {}", bits(threshold))?;
    writeln!(f, "floors {} {}", bits(floors[0]), bits(floors[1]))?;
    writeln!(f, "starts {} {}", starts[0], starts[1])?;
    writeln!(f, "held-out {held} of {of}")?;
    for (at, tally) in part.turns.iter().enumerate() {
        write!(f, "turn {at}")?;
        tally.iter().try_for_each(|(token, n)| write!(f, " {token}:{}", count(*n)))?;
        f.write_char('\n')?;
    }
    for (end, tallies) in ["client", "server"].iter().zip(&part.sides) {
        for (at, tally) in tallies.iter().enumerate() {
            write!(f, "{end} {at}")?;
            tally.iter().try_for_each(|(byte, n)| write!(f, " {byte:02x}:{}", count(*n)))?;
            f.write_char('\n')?;
        }
    }
    for ((_, sample), &n) in &part.examples {
        let turns: Vec<String> = sample.turns.iter().map(ToString::to_string).collect();
        let [client, server] = [0, 1].map(|end| hex(&sample.sides[end]));
        writeln!(f, "example {} {} {client} {server}", count(n), turns.join(","))?;
    }
    Ok(())
}

/// Thousandths of a bit as bits.
pub fn bits(milli: i32) -> String {
    let sign = if milli < 0 { "-" } else { "" };
    let size = milli.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1000, size % 1000)
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().fold(String::new(), |mut out, byte| {
        _ = write!(out, "{byte:02x}");
        out
    })
}

/// A word of the file, short and harmless.
fn shown(word: &str) -> String {
    let short: String = word.chars().take(40).collect();
    format!("'{}'{}", short.escape_default(), if short.len() < word.len() { " …" } else { "" })
}

type Read<T> = Result<T, String>;

/// The fields of a line.
struct Words<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Words<'a> {
    fn next(&mut self, needed: &str) -> Read<&'a str> {
        self.0.next().ok_or_else(|| format!("{needed} is missing at the end of the line"))
    }

    fn word(&mut self, word: &str) -> Read<()> {
        let there = self.next(word)?;
        if there == word {
            Ok(())
        } else {
            Err(format!("'{word}' was needed, here is {}", shown(there)))
        }
    }

    fn number<T: FromStr + PartialOrd + fmt::Display>(&mut self, needed: &str, least: T, most: T) -> Read<T> {
        number(self.next(needed)?, needed, least, most)
    }

    fn bits(&mut self, needed: &str) -> Read<i32> {
        let word = self.next(needed)?;
        parse_bits(word).ok_or_else(|| format!("{needed} is bits such as 45.250, here is {}", shown(word)))
    }

    fn end(&mut self) -> Read<()> {
        self.0
            .next()
            .map_or(Ok(()), |word| Err(format!("the line should end here, and {} follows", shown(word))))
    }
}

#[allow(clippy::needless_pass_by_value)] // bounds are numbers
fn number<T: FromStr + PartialOrd + fmt::Display>(word: &str, needed: &str, least: T, most: T) -> Read<T> {
    let plain = word.bytes().all(|b| b.is_ascii_digit());
    match word.parse::<T>() {
        Ok(n) if plain && n >= least && n <= most => Ok(n),
        _ => Err(format!("{needed} is a number from {least} to {most}, here is {}", shown(word))),
    }
}

fn parse_bits(word: &str) -> Option<i32> {
    let (sign, size) = word.strip_prefix('-').map_or((1, word), |size| (-1, size));
    let (whole, part) = size.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || whole.len() > 6 || !digits(part) || part.len() != 3 {
        return None;
    }
    Some(sign * (whole.parse::<i32>().ok()? * 1000 + part.parse::<i32>().ok()?))
}

fn token(word: &str) -> Read<Token> {
    let needed = || format!("a packet is c or s and its length, such as c48, here is {}", shown(word));
    let server = match word.as_bytes().first() {
        Some(b'c') => false,
        Some(b's') => true,
        _ => return Err(needed()),
    };
    Ok(Token { server, len: number(&word[1..], "the length of a packet", 1, LONG)? })
}

fn unhex(word: &str) -> Read<Vec<u8>> {
    let needed = || {
        format!(
            "bytes are 1 to {POSITIONS} pairs of hexadecimal figures, or - for none, here is {}",
            shown(word)
        )
    };
    if word == "-" {
        return Ok(Vec::new());
    }
    let figures = word.bytes().all(|b| b.is_ascii_hexdigit());
    if !figures || !word.len().is_multiple_of(2) || word.len() / 2 > POSITIONS {
        return Err(needed());
    }
    (0..word.len() / 2)
        .map(|at| u8::from_str_radix(&word[2 * at..2 * at + 2], 16).map_err(|_| needed()))
        .collect()
}

fn byte(word: &str) -> Read<u8> {
    match unhex(word)?[..] {
        [byte] => Ok(byte),
        _ => Err(format!("a byte is two hexadecimal figures, here is {}", shown(word))),
    }
}

/// `value:count` to the end of the line.
fn tally<T: Ord>(words: &mut Words<'_>, value: fn(&str) -> Read<T>) -> Read<Tally<T>> {
    let mut tally = BTreeMap::new();
    for word in words.0.by_ref() {
        let (first, count) = word.split_once(':').ok_or_else(|| {
            format!("a count is a value, a colon and how often it was seen, here is {}", shown(word))
        })?;
        let count = number(count, "a count", 1, MAX_COUNT - 1)?;
        if tally.insert(value(first)?, count).is_some() {
            return Err(format!("{} is counted twice in this line", shown(first)));
        }
    }
    if tally.is_empty() {
        return Err("counts are missing at the end of the line".to_owned());
    }
    Ok(tally)
}

/// A part while it is read.
#[derive(Default)]
struct Reading {
    part: Part,
    seen: Vec<String>,
}

impl Reading {
    fn once(&mut self, key: &str) -> Read<()> {
        if self.seen.iter().any(|seen| seen == key) {
            return Err(format!("'{key}' is there twice"));
        }
        self.seen.push(key.to_owned());
        Ok(())
    }

    fn line(&mut self, key: &str, words: &mut Words<'_>) -> Read<()> {
        let part = &mut self.part;
        match key {
            "flows" => {
                part.flows = words.number("the number of flows", 1, MAX_COUNT - 1)?;
                self.once(key)?;
            }
            "others" => {
                part.others = words.number("the number of other flows", 0, MAX_COUNT - 1)?;
                if part.others > 0 && words.0.clone().next().is_some() {
                    words.word("highest")?;
                    part.highest = words.bits("the highest score")?;
                    if part.highest > MAX_SCORE {
                        return Err(format!("no flow scores more than {} bits", bits(MAX_SCORE)));
                    }
                }
                self.once(key)?;
            }
            "threshold" => {
                part.derived.threshold = words.bits("the threshold")?;
                if part.derived.threshold < LEAST {
                    return Err(format!("a threshold is at least {} bits", bits(LEAST)));
                }
                self.once(key)?;
            }
            "floors" => {
                part.derived.floors = [words.bits("the client's floor")?, words.bits("the server's floor")?];
                self.once(key)?;
            }
            "starts" => {
                let most = START as u8;
                part.derived.starts =
                    [words.number("the client's start", 0, most)?, words.number("the server's start", 0, most)?];
                self.once(key)?;
            }
            "held-out" => {
                part.derived.held = words.number("the examples recognised", 0, EXAMPLES as u32)?;
                words.word("of")?;
                let least = part.derived.held;
                part.derived.of = words.number("the examples held out", least, EXAMPLES as u32)?;
                self.once(key)?;
            }
            "turn" => next(&mut part.turns, words, TURNS, token)?,
            "client" => next(&mut part.sides[0], words, POSITIONS, byte)?,
            "server" => next(&mut part.sides[1], words, POSITIONS, byte)?,
            "example" => example(part, words)?,
            _ => {
                return Err(format!(
                "a line begins with on, flows, others, threshold, floors, starts, held-out, turn, client, server or \
                     example, or is end; here is {}",
                shown(key)
            ))
            }
        }
        words.end()
    }

    /// What cannot be told from one line.
    fn check(&self) -> Read<()> {
        for key in ["flows", "others", "threshold", "floors", "starts", "held-out"] {
            if !self.seen.iter().any(|seen| seen == key) {
                return Err(format!("before this line, '{key}' is missing"));
            }
        }
        let part = &self.part;
        if part.turns.is_empty() || part.examples.is_empty() {
            return Err(
                "before this line, 'turn' and 'example' are missing: a model has at least one of each".into(),
            );
        }
        let sums = |tally: &Tally<u8>| tally.values().sum::<u64>();
        for (end, tallies) in ["client", "server"].iter().zip(&part.sides) {
            descends(end, part.flows, tallies.iter().map(sums))?;
        }
        descends("turn", part.flows, part.turns.iter().map(|tally| tally.values().sum()))?;
        let examples: u64 = part.examples.values().sum();
        if examples > part.flows {
            return Err(format!("before this line, {examples} examples are more than {} flows", part.flows));
        }
        let (of, there) = (part.derived.of as usize, part.examples.len());
        if of != if there < 2 { 0 } else { there } {
            return Err(format!(
                "before this line, there are {there} different examples, and held out were {of}"
            ));
        }
        Ok(())
    }
}

/// A flow that has a byte here has all before it.
fn descends(key: &str, flows: u64, sums: impl Iterator<Item = u64>) -> Read<()> {
    let mut most = flows;
    for (at, sum) in sums.enumerate() {
        if sum > most {
            return Err(format!(
                "before this line, '{key} {at}' counts {sum}, and no more than {most} are possible"
            ));
        }
        most = sum;
    }
    Ok(())
}

fn next<T: Ord>(
    list: &mut Vec<Tally<T>>,
    words: &mut Words<'_>,
    end: usize,
    value: fn(&str) -> Read<T>,
) -> Read<()> {
    let at: usize = words.number("a position", 0, end - 1)?;
    if at != list.len() {
        return Err(format!("positions count up from 0: {} was needed, here is {at}", list.len()));
    }
    list.push(tally(words, value)?);
    Ok(())
}

fn example(part: &mut Part, words: &mut Words<'_>) -> Read<()> {
    if part.examples.len() >= EXAMPLES {
        return Err(format!("there are more than {EXAMPLES} examples"));
    }
    let count = words.number("how often the example was seen", 1, MAX_COUNT - 1)?;
    let turns: Vec<Token> = words.next("the packets")?.split(',').map(token).collect::<Read<_>>()?;
    let sides = [unhex(words.next("the client's bytes")?)?, unhex(words.next("the server's bytes")?)?];
    if turns.len() > TURNS {
        return Err(format!("an example has at most {TURNS} packets, here are {}", turns.len()));
    }
    let sample = Sample { turns, sides };
    if part.examples.insert((hash(&sample), sample), count).is_some() {
        return Err("this example is there twice".to_owned());
    }
    Ok(())
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// The first line that is wrong, and what was needed there.
    pub fn parse(data: &[u8]) -> Result<Self, Misfit> {
        if data.len() > MAX_FILE {
            return Err(Misfit { line: 1, what: format!("a model file has at most {MAX_FILE} bytes") });
        }
        let mut model = Self { name: String::new(), parts: BTreeMap::new() };
        let mut reading: Option<(Carrier, Reading)> = None;
        let (mut number, mut headed, mut ended) = (0, false, false);
        for line in data.split(|&b| b == b'\n') {
            number += 1;
            let misfit = |what| Misfit { line: number, what };
            let text = std::str::from_utf8(line)
                .map_err(|_| misfit("this is no text in UTF-8: not a model file, or damaged".to_owned()))?;
            let mut words = Words(text.split_ascii_whitespace());
            let Some(key) = words.0.next().filter(|key| !key.starts_with('#')) else { continue };
            let read = if ended {
                Err(format!("nothing follows 'end', here is {}", shown(key)))
            } else if !headed {
                headed = true;
                head(key, &mut words)
            } else if model.name.is_empty() {
                named(&mut model.name, key, &mut words)
            } else if key == "end" {
                ended = true;
                finish(&mut model, reading.take(), &mut words)
            } else if key == "on" {
                begin(&mut model, &mut reading, &mut words)
            } else if let Some((_, reading)) = &mut reading {
                reading.line(key, &mut words)
            } else {
                Err(format!("'on tcp', 'on udp' or another carrier was needed, here is {}", shown(key)))
            };
            read.map_err(misfit)?;
        }
        let end = |what| Misfit { line: number, what };
        if !headed {
            return Err(end(format!("the file is empty: '{HEAD} {VERSION}' was needed")));
        }
        if !ended {
            return Err(end("'end' was needed: the file was cut".to_owned()));
        }
        Ok(model)
    }
}

fn head(key: &str, words: &mut Words<'_>) -> Read<()> {
    if key != HEAD {
        return Err(format!("a model file begins with '{HEAD} {VERSION}', here is {}", shown(key)));
    }
    let version = words.next("the version")?;
    if version != VERSION {
        return Err(format!(
            "the version of the format is {VERSION}, here is {}: a newer flowkeep wrote it",
            shown(version)
        ));
    }
    words.end()
}

fn named(name: &mut String, key: &str, words: &mut Words<'_>) -> Read<()> {
    if key != "name" {
        return Err(format!("'name' was needed, here is {}", shown(key)));
    }
    let word = words.next("the name")?;
    check_name(word)?;
    word.clone_into(name);
    words.end()
}

fn begin(model: &mut Model, reading: &mut Option<(Carrier, Reading)>, words: &mut Words<'_>) -> Read<()> {
    if let Some((carrier, reading)) = reading.take() {
        close(model, carrier, reading)?;
    }
    let word = words.next("the carrier")?;
    let carrier = match word {
        "tcp" => Carrier::Tcp,
        "udp" => Carrier::Udp,
        "sctp" => Carrier::Sctp,
        _ => match word.strip_prefix("ip-") {
            Some(proto) => Carrier::Ip(number(proto, "an IP protocol", 0, 255)?),
            None => return Err(format!("a carrier is tcp, udp, sctp or ip-NUMBER, here is {}", shown(word))),
        },
    };
    if model.parts.contains_key(&carrier) {
        return Err(format!("'on {carrier}' is there twice"));
    }
    *reading = Some((carrier, Reading::default()));
    words.end()
}

fn finish(model: &mut Model, reading: Option<(Carrier, Reading)>, words: &mut Words<'_>) -> Read<()> {
    let (carrier, reading) = reading.ok_or("before this line, 'on' is missing: the file holds no counts")?;
    close(model, carrier, reading)?;
    words.end()
}

fn close(model: &mut Model, carrier: Carrier, reading: Reading) -> Read<()> {
    reading.check()?;
    model.parts.insert(carrier, reading.part);
    Ok(())
}
