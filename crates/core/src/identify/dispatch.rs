//! Which rules are worth asking: sets of rules by the first two bytes of each direction.

use super::rule::{bit, Rule, Starts};
use super::view::{Side, Transport};

/// Rules that fit a set; a compile-time bound, checked when the tables are made.
pub(super) const MAX_RULES: usize = WORDS * 64;
const WORDS: usize = 8;

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set([u64; WORDS]);

impl Set {
    pub const EMPTY: Self = Self([0; WORDS]);
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    #[inline]
    pub fn insert(&mut self, rule: usize) {
        self.0[rule / 64] |= 1 << (rule % 64);
    }

    #[inline]
    pub fn remove(&mut self, rule: usize) {
        self.0[rule / 64] &= !(1 << (rule % 64));
    }

    #[inline]
    pub fn keep(&mut self, other: &Self) {
        for (word, with) in self.0.iter_mut().zip(&other.0) {
            *word &= with;
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// The rules in order of their number.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                if word == 0 {
                    return None;
                }
                let bit = word.trailing_zeros() as usize;
                word &= word - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// Sets for the bytes of one direction: by the first byte alone, and by the pair of both.
///
/// The pair is looked up in two steps, `first` and `second`; a rule with several prefixes may so be asked for a
/// mixture of two of them, which costs a call and no truth.
struct Start {
    first: Box<[Set; 256]>,
    second: Box<[Set; 256]>,
}

impl Start {
    fn new(rules: &[Rule], on: u8, side: fn(&Rule) -> Starts) -> Self {
        let mut start = Self { first: Box::new([Set::EMPTY; 256]), second: Box::new([Set::EMPTY; 256]) };
        for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.on & on != 0) {
            let starts = side(rule);
            for byte in 0..=255u8 {
                if starts.allows(byte, None) {
                    start.first[usize::from(byte)].insert(number);
                }
                let second = match starts {
                    Starts::With(list) => {
                        list.iter().any(|prefix| prefix.get(1).is_none_or(|&want| want == byte))
                    }
                    _ => true,
                };
                if second {
                    start.second[usize::from(byte)].insert(number);
                }
            }
        }
        start
    }

    #[inline]
    fn narrow(&self, set: &mut Set, side: &Side<'_>) {
        if let Some(&first) = side.bytes.first() {
            set.keep(&self.first[usize::from(first)]);
        }
        if let Some(&second) = side.first().ok().and_then(|bytes| bytes.get(1)) {
            set.keep(&self.second[usize::from(second)]);
        }
    }
}

/// The tables of one transport.
struct Table {
    all: Set,
    client: Start,
    server: Start,
}

/// The tables of all transports.
pub(super) struct Dispatch([Table; 4]);

impl Dispatch {
    pub fn new(rules: &[Rule]) -> Self {
        assert!(rules.len() <= MAX_RULES, "{} rules; raise WORDS in dispatch.rs", rules.len());
        Self([0, 1, 2, 3].map(|index| {
            let on = 1 << index;
            let mut all = Set::EMPTY;
            for (number, _) in rules.iter().enumerate().filter(|(_, rule)| rule.on & on != 0) {
                all.insert(number);
            }
            Table {
                all,
                client: Start::new(rules, on, |rule| rule.client),
                server: Start::new(rules, on, |rule| rule.server),
            }
        }))
    }

    /// Leaves those rules in `set` that fit how the two directions begin.
    #[inline]
    pub fn narrow(&self, set: &mut Set, transport: Transport, client: &Side<'_>, server: &Side<'_>) {
        let table = &self.0[bit(transport).trailing_zeros() as usize];
        set.keep(&table.all);
        table.client.narrow(set, client);
        table.server.narrow(set, server);
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Stop;
    use super::*;

    const fn rule(client: Starts, server: Starts) -> Rule {
        Rule { label: "x", name: "x", on: super::super::rule::TCP, client, server, check: |_| Err(Stop::No) }
    }

    #[test]
    fn rules_are_chosen_by_the_first_two_bytes_of_both_directions() {
        let rules = [
            rule(Starts::With(&[b"GE", b"PO"]), Starts::Any),
            rule(Starts::Any, Starts::With(&[b"2"])),
            rule(Starts::Byte(|byte| byte >= 0x80), Starts::Any),
        ];
        let dispatch = Dispatch::new(&rules);
        let chosen = |client: &[u8], server: &[u8]| {
            let mut set = Set::ALL;
            let side = |bytes| Side { bytes, grams: &[] };
            dispatch.narrow(&mut set, Transport::Tcp, &side(client), &side(server));
            set.iter().collect::<Vec<_>>()
        };
        assert_eq!(chosen(b"GET", b""), [0, 1]);
        assert_eq!(chosen(b"GX", b""), [1]);
        assert_eq!(chosen(b"G", b"1"), [0]);
        assert_eq!(chosen(b"\x80", b"22"), [1, 2]);
    }
}
