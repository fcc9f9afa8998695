//! The models that an engine asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::super::registry::registry;
use super::super::rule::{Protocol, IP, SCTP, TCP, UDP};
use super::super::verdict::Match;
use super::super::view::{View, Who};
use super::chance::Chance;
use super::counts::Model;
use super::sample::{Carrier, Seen};
use super::score::{Scorer, START};

/// Models that an engine takes.
pub const MAX_MODELS: usize = 256;

/// Models by name, ready to be asked.
#[derive(Debug, Default)]
pub struct Models {
    list: Vec<Protocol>,
    scorers: BTreeMap<Carrier, Vec<Group>>,
}

/// Up to 64 models of one carrier, a bit each.
#[derive(Debug, Default)]
struct Group {
    scorers: Vec<(usize, Scorer)>,
    /// Those whose examples have this byte at this place of an end.
    hits: [Vec<[u64; 256]>; 2],
    /// Those that need nothing of an end's start, one byte, and more.
    need: [[u64; 3]; 2],
}

impl Group {
    fn push(&mut self, number: usize, scorer: Scorer) {
        let bit = 1 << self.scorers.len();
        for end in 0..2 {
            self.hits[end].resize(START, [0; 256]);
            for (at, byte) in scorer.starting(end) {
                self.hits[end][at][usize::from(byte)] |= bit;
            }
            self.need[end][usize::from(scorer.derived.starts[end].min(2))] |= bit;
        }
        self.scorers.push((number, scorer));
    }

    /// Those that a flow's first bytes leave possible: a superset of those whose [`Scorer::may`] holds.
    #[inline]
    fn possible(&self, seen: &Seen<'_>) -> u64 {
        let mut left = u64::MAX >> (64 - self.scorers.len());
        for end in 0..2 {
            // Of a shorter start less is needed: left to the scorer.
            let bytes = seen.sides[end];
            if bytes.len() >= 2 {
                let (mut one, mut two) = (0, 0);
                for (hits, &byte) in self.hits[end].iter().zip(bytes) {
                    let here = hits[usize::from(byte)];
                    two |= one & here;
                    one |= here;
                }
                let [none, some, more] = self.need[end];
                left &= none | some & one | more & two;
            }
        }
        left
    }

    #[inline]
    fn candidates(&self, seen: &Seen<'_>) -> impl Iterator<Item = &(usize, Scorer)> {
        let mut left = self.possible(seen);
        std::iter::from_fn(move || {
            let at = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            self.scorers.get(at as usize)
        })
    }
}

impl Models {
    /// Weighs models.
    ///
    /// # Errors
    /// Which name is there twice or is that of a protocol that is built in, or that there are too many.
    pub fn new(models: &[Model]) -> Result<Self, String> {
        if models.len() > MAX_MODELS {
            return Err(format!("{} models are too many: at most {MAX_MODELS}", models.len()));
        }
        let mut sorted: Vec<&Model> = models.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(format!(
                "two models are named {}: make one of them with flowkeep learn --merge, or give one",
                pair[0].name
            ));
        }
        let chance = Chance::default();
        let mut set = Self::default();
        for (number, model) in sorted.into_iter().enumerate() {
            if let Some(why) = taken(&model.name) {
                return Err(why);
            }
            let mut on = 0;
            for (&carrier, part) in &model.parts {
                on |= match carrier {
                    Carrier::Tcp => TCP,
                    Carrier::Udp => UDP,
                    Carrier::Sctp => SCTP,
                    Carrier::Ip(_) => IP,
                };
                let groups = set.scorers.entry(carrier).or_default();
                if groups.last().is_none_or(|group| group.scorers.len() == 64) {
                    groups.push(Group::default());
                }
                if let Some(group) = groups.last_mut() {
                    group.push(number, Scorer::new(part, &chance));
                }
            }
            let label = interned(&model.name);
            set.list.push(Protocol { label, title: "learnt by example", on, ports: &[], spec: "a model" });
        }
        Ok(set)
    }

    /// What can be named.
    pub fn protocols(&self) -> &[Protocol] {
        &self.list
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether any of them may still name this flow.
    #[inline]
    pub(in super::super) fn may(&self, view: &View<'_>) -> bool {
        if self.list.is_empty() {
            return false;
        }
        let Some(groups) = self.scorers.get(&view.transport.into()) else { return false };
        [*view, view.flipped()].iter().any(|view| {
            let seen = Seen::of(view);
            groups.iter().flat_map(|group| group.candidates(&seen)).any(|(_, scorer)| scorer.may(&seen))
        })
    }

    /// The model that names this flow most surely, its number, and the ends as it took them.
    pub(in super::super) fn judge<'a>(&self, view: &View<'a>) -> Option<(Match, usize, View<'a>)> {
        let groups = self.scorers.get(&view.transport.into())?;
        let mut best: Option<((u8, i32), Match, usize, View<'a>)> = None;
        for view in [*view, view.flipped()] {
            let seen = Seen::of(&view);
            for (number, scorer) in groups.iter().flat_map(|group| group.candidates(&seen)) {
                let Some(score) = scorer.accepts(&seen) else { continue };
                let rank = (scorer.confidence(&score), score.total());
                if best.as_ref().is_some_and(|best| best.0 >= rank) {
                    continue;
                }
                let end = usize::from(score.sides[1].unwrap_or(0) > score.sides[0].unwrap_or(0));
                let who = [Who::Client, Who::Server][end];
                let at = scorer.telling(end, seen.sides[end]);
                let found = Match::new(rank.0).named(self.list[*number].label).at(who, at, 8);
                best = Some((rank, found, *number, view));
            }
        }
        best.map(|(_, found, number, view)| (found, number, view))
    }
}

/// Why a name cannot be a model's, if it is a protocol's.
pub fn taken(name: &str) -> Option<String> {
    registry().any(|(_, protocol)| protocol.label == name).then(|| {
        format!(
            "{name} is the name of a protocol that is built in: give the model another, such as my-{name}"
        )
    })
}

/// The name, for as long as the program runs: answers hold names that live on. Each name is held once.
fn interned(name: &str) -> &'static str {
    static NAMES: OnceLock<Mutex<BTreeMap<String, &'static str>>> = OnceLock::new();
    let mut names = NAMES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(name.to_owned()).or_insert_with(|| Box::leak(name.to_owned().into_boxed_str()))
}
