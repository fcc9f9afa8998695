//! What a rule sees of a flow: the first bytes of both directions and the first packets' order.

use super::verdict::confidence::ANSWERED;
use super::verdict::{closed, maybe, Match, Step, Stop, Verdict};

/// What carries the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP: a stream in order of sequence numbers.
    Tcp,
    /// UDP or UDP-Lite: datagrams.
    Udp,
    /// SCTP: payload of data chunks, as datagrams.
    Sctp,
    /// Any other IP protocol, by its number: payloads as datagrams.
    Ip(u8),
}

/// An end of the conversation, as the rule takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Who asks.
    Client,
    /// Who answers.
    Server,
}

/// One kept datagram (or, for TCP, nothing: a stream has no datagrams).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gram {
    /// Where it begins in the direction's bytes.
    pub start: u16,
    /// How many bytes of it are there.
    pub kept: u16,
    /// How long it was.
    pub len: u32,
}

/// One packet with payload, in the order of capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The caller's number of the direction, 0 or 1.
    pub dir: u8,
    /// Length of the payload.
    pub len: u32,
}

/// The first bytes of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// TCP: the stream's start without holes. Else: the kept datagrams one after another.
    pub bytes: &'a [u8],
    /// The datagrams; empty for TCP.
    pub grams: &'a [Gram],
}

impl<'a> Side<'a> {
    /// Nothing was heard from this end yet.
    pub const SILENT: Self = Self { bytes: &[], grams: &[] };

    /// Nothing was heard from this end.
    #[inline]
    pub fn is_silent(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The stream's start, or the first datagram; `More` when there is nothing yet.
    #[inline]
    pub fn first(&self) -> Step<&'a [u8]> {
        let bytes = match self.grams.first() {
            Some(gram) => &self.bytes[..usize::from(gram.kept)],
            None => self.bytes,
        };
        if bytes.is_empty() {
            Err(Stop::More)
        } else {
            Ok(bytes)
        }
    }

    /// True length of the first datagram; of a stream, what is there.
    #[inline]
    pub fn first_len(&self) -> usize {
        self.grams.first().map_or(self.bytes.len(), |gram| gram.len as usize)
    }

    /// The first datagram is there to its last byte.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.grams.first().is_some_and(|gram| u32::from(gram.kept) == gram.len)
    }

    /// The kept datagrams with their true lengths.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = (&'a [u8], usize)> + 'a {
        let bytes = self.bytes;
        self.grams.iter().map(move |gram| {
            let start = usize::from(gram.start);
            (&bytes[start..start + usize::from(gram.kept)], gram.len as usize)
        })
    }

    /// Reads every kept datagram with `read`, which also gets its true length; how many there were. What is
    /// missing of a datagram that was cut is forgiven.
    #[inline]
    pub fn each(&self, mut read: impl FnMut(&'a [u8], usize) -> Step<()>) -> Step<usize> {
        let mut count = 0;
        for (bytes, len) in self.datagrams() {
            match read(bytes, len) {
                Ok(()) => count += 1,
                Err(Stop::More) if bytes.len() < len => {}
                _ => return Err(Stop::No),
            }
        }
        Ok(count)
    }

    /// Reads the stream's start or the first datagram with `read`. What is missing at the end of a whole
    /// datagram will never come, so `More` is `No` there. Silence is `More`.
    #[inline]
    pub fn parse<T>(&self, read: impl FnOnce(&'a [u8]) -> Step<T>) -> Step<T> {
        let step = read(self.first()?);
        if self.is_whole() {
            closed(step)
        } else {
            step
        }
    }
}

/// A flow's start, with one of its ends taken for the client.
///
/// When the opener of the flow is not known the engine asks each rule twice, with the ends exchanged.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What carries it.
    pub transport: Transport,
    /// What the client sent.
    pub client: Side<'a>,
    /// What the server sent.
    pub server: Side<'a>,
    /// The first packets with payload, see [`View::turns`].
    pub(super) order: &'a [Turn],
    /// The caller's number of the client's direction.
    pub(super) client_dir: u8,
    /// Nothing more will be shown: say now what there is to say.
    pub done: bool,
}

impl<'a> View<'a> {
    /// Who sent how much, packet by packet; at most [`super::engine::MAX_PACKETS`].
    pub fn turns(&self) -> impl ExactSizeIterator<Item = (Who, usize)> + 'a {
        let client = self.client_dir;
        self.order
            .iter()
            .map(move |turn| (if turn.dir == client { Who::Client } else { Who::Server }, turn.len as usize))
    }

    /// Who sent the first payload.
    pub fn first_speaker(&self) -> Who {
        self.turns().next().map_or(Who::Client, |turn| turn.0)
    }

    /// What one end sent.
    pub fn side(&self, who: Who) -> &Side<'a> {
        match who {
            Who::Client => &self.client,
            Who::Server => &self.server,
        }
    }

    /// The same with the ends exchanged.
    pub(super) fn flipped(&self) -> Self {
        Self { client: self.server, server: self.client, client_dir: 1 - self.client_dir, ..*self }
    }

    /// The usual rule: a request, a response, and whether they fit.
    ///
    /// Both read and fit: [`ANSWERED`]. One of them read, the other not there yet or not whole: `alone`.
    /// One of them is something else, or they do not fit: `No`.
    pub fn pair<Q, R>(
        &self,
        alone: u8,
        request: impl FnOnce(&'a [u8]) -> Step<Q>,
        response: impl FnOnce(&'a [u8]) -> Step<R>,
        fits: impl FnOnce(&Q, &R) -> bool,
    ) -> Verdict {
        let asked = maybe(self.client.parse(request))?;
        let answered = maybe(self.server.parse(response))?;
        match (asked, answered) {
            (Some(q), Some(r)) if fits(&q, &r) => Ok(Match::new(ANSWERED)),
            (Some(_), Some(_)) => Err(Stop::No),
            (Some(_), None) => Ok(Match::new(alone)),
            (None, Some(_)) => Ok(Match::new(alone).at(Who::Server, 0, 8)),
            (None, None) => Err(Stop::More),
        }
    }

    /// Like [`Self::pair`], for a response that tells nothing without its request.
    pub fn asked<Q, R>(
        &self,
        alone: u8,
        request: impl FnOnce(&'a [u8]) -> Step<Q>,
        response: impl FnOnce(&'a [u8]) -> Step<R>,
        fits: impl FnOnce(&Q, &R) -> bool,
    ) -> Verdict {
        match self.pair(alone, request, response, fits) {
            Ok(found) if found.who == Who::Server => Err(Stop::More),
            verdict => verdict,
        }
    }

    /// Like [`Self::pair`], for what one direction alone does not tell.
    pub fn both<Q, R>(
        &self,
        request: impl FnOnce(&'a [u8]) -> Step<Q>,
        response: impl FnOnce(&'a [u8]) -> Step<R>,
        fits: impl FnOnce(&Q, &R) -> bool,
    ) -> Verdict {
        match self.pair(0, request, response, fits) {
            Ok(found) if found.confidence == 0 => Err(Stop::More),
            verdict => verdict,
        }
    }

    /// The usual rule for messages that nobody answers: every datagram, from whichever end, is one. A single
    /// one gives `alone` (0 if that is too little), more of them `repeated`.
    pub fn alike(
        &self,
        alone: u8,
        repeated: u8,
        mut read: impl FnMut(&'a [u8], usize) -> Step<()>,
    ) -> Verdict {
        let asked = self.client.each(&mut read)?;
        let confidence = match asked + self.server.each(&mut read)? {
            0 => return Err(Stop::More),
            1 if alone == 0 => return Err(Stop::More),
            1 => alone,
            _ => repeated,
        };
        let who = if asked == 0 { Who::Server } else { Who::Client };
        Ok(Match::new(confidence).at(who, 0, 8))
    }
}
