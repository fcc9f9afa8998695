//! What a rule answers.

use super::view::Who;

/// Why a rule, or a step of it, has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is something else, whatever may follow.
    No,
    /// The bytes end too early to tell; ask again when there are more.
    More,
}

/// A step of a rule: a value, or why there is none. Combines with `?`.
pub type Step<T> = Result<T, Stop>;

/// The answer of a rule.
pub type Verdict = Step<Match>;

/// How sure a match is, by what was seen. The names say when to use which.
pub mod confidence {
    /// Request and response fit each other, or as much was seen. Ends the search.
    pub const ANSWERED: u8 = 100;
    /// One direction, by accident less often than once in 2^64. Ends the search.
    pub const SURE: u8 = 95;
    /// It holds, but more packets may say more about it (a sub-protocol). Does not end the search.
    pub const HELD: u8 = 90;
    /// One direction, by accident less often than once in 2^40.
    pub const STRONG: u8 = 80;
    /// One direction, by accident less often than once in 2^24.
    pub const LIKELY: u8 = 70;
    /// Consistent, by accident less often than once in 2^20; given only when the flow's start is over.
    pub const WEAK: u8 = 50;
    /// From here on the search ends.
    pub const FINAL: u8 = SURE;
}

/// A rule says yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The label if it is not the rule's own.
    pub label: Option<&'static str>,
    /// The protocol that carries it, as `tls` for SMTP in TLS.
    pub parent: Option<&'static str>,
    /// 0 to 100, one of [`confidence`].
    pub confidence: u8,
    /// Who sent the bytes that tell.
    pub who: Who,
    /// Where they are in that direction's bytes.
    pub offset: u16,
    /// How many they are.
    pub len: u16,
    /// So many bytes of that direction hold everything worth reading (a whole hello); 0 if nothing is awaited.
    pub want: u32,
}

impl Match {
    /// A match whose evidence is the first bytes of the client.
    pub const fn new(confidence: u8) -> Self {
        Self { label: None, parent: None, confidence, who: Who::Client, offset: 0, len: 8, want: 0 }
    }

    /// With another label than the rule's own; it must be listed in a family.
    #[must_use]
    pub const fn named(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// Inside another protocol.
    #[must_use]
    pub const fn under(mut self, parent: &'static str) -> Self {
        self.parent = Some(parent);
        self
    }

    /// With the bytes that tell.
    #[must_use]
    pub const fn at(mut self, who: Who, offset: usize, len: usize) -> Self {
        self.who = who;
        self.offset = if offset > u16::MAX as usize { u16::MAX } else { offset as u16 };
        self.len = if len > u16::MAX as usize { u16::MAX } else { len as u16 };
        self
    }

    /// Asks for more bytes, though the label is known.
    #[must_use]
    pub const fn want(mut self, bytes: usize) -> Self {
        self.want = bytes as u32;
        self
    }
}

/// Goes on if `holds`, else it is something else.
#[inline]
pub fn ensure(holds: bool) -> Step<()> {
    if holds {
        Ok(())
    } else {
        Err(Stop::No)
    }
}

/// `More` becomes `No`: for bytes of which no more will come, as a whole datagram.
#[inline]
pub fn closed<T>(step: Step<T>) -> Step<T> {
    step.map_err(|_| Stop::No)
}

/// `More` becomes `None`: for what may come later and is not needed.
#[inline]
pub fn maybe<T>(step: Step<T>) -> Step<Option<T>> {
    match step {
        Ok(value) => Ok(Some(value)),
        Err(Stop::More) => Ok(None),
        Err(Stop::No) => Err(Stop::No),
    }
}
