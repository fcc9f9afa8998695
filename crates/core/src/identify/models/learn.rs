//! Makes models of examples: counts them, and finds by what is held out when a flow gets the name.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::counts::{Derived, Model, Part, NO_SCORE};
use super::format::MAX_COUNT;
use super::sample::{Carrier, Sample, Token};
use super::score::{Score, Scorer, BYTES, START};

/// The lowest threshold, in thousandths of a bit.
pub const LEAST: i32 = 40_000;
/// The lowest threshold of a model that rests on fewer than [`FEW`] different examples.
const LEAST_OF_FEW: i32 = 48_000;
const FEW: usize = 3;
/// So much a threshold is above what other protocols and noise reached.
const MARGIN: i32 = 8_000;
/// The lowest floor of an end.
const FLOOR: i32 = -16_000;
/// Of a model of few examples: bytes of an end's first [`START`] that must be as in an example.
const START_OF_FEW: u8 = 2;
/// Made flows of each kind of noise.
const NOISE: usize = 192;

/// A model and what it was made of.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The model.
    pub model: Model,
    /// Chosen flows without payload.
    pub silent: u64,
    /// Flows that were not chosen, that nobody else names, and that the model names.
    pub alike: u64,
    /// Flows whose start was not kept because there was no room.
    pub left_out: u64,
}

/// What a flow is to learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An example.
    Chosen,
    /// Of another protocol, as a built-in rule says.
    Other,
    /// Not chosen, and of a protocol that chosen flows have, too.
    Known,
    /// Not chosen, and of no known protocol: it may be one of these.
    Open,
}

/// Makes a model of flows that `flows` gives again at each call: what each is, its carrier, its sample.
///
/// # Errors
/// That no chosen flow has payload.
pub fn learn<I>(name: &str, flows: impl Fn() -> I) -> Result<Learnt, String>
where
    I: Iterator<Item = (Role, Carrier, Option<Sample>)>,
{
    let mut model = Model { name: name.to_owned(), parts: BTreeMap::new() };
    let (mut silent, mut chosen) = (0, 0_u64);
    for (_, carrier, sample) in flows().filter(|flow| flow.0 == Role::Chosen) {
        chosen += 1;
        match sample {
            Some(sample) => model.parts.entry(carrier).or_default().add(&sample),
            None => silent += 1,
        }
    }
    if model.parts.is_empty() {
        return Err(if chosen == 0 {
            "no flow was chosen".to_owned()
        } else {
            format!("none of the {chosen} chosen flows has payload, and there is nothing else to learn from")
        });
    }
    let chance = Chance::default();
    let scorers = |model: &Model| -> BTreeMap<Carrier, Scorer> {
        model.parts.iter().map(|(&carrier, part)| (carrier, Scorer::new(part, &chance))).collect()
    };
    let first = scorers(&model);
    for (_, carrier, sample) in flows().filter(|flow| flow.0 == Role::Other) {
        if let (Some(part), Some(sample)) = (model.parts.get_mut(&carrier), sample) {
            part.others = part.others.saturating_add(1);
            part.highest = part.highest.max(highest(&first[&carrier], &sample));
        }
    }
    derive(&mut model);
    let last = scorers(&model);
    let alike = flows()
        .filter(|flow| flow.0 == Role::Open)
        .filter(|(_, carrier, sample)| {
            let both = |sample: &Sample| [sample.clone(), flipped(sample)];
            match (last.get(carrier), sample) {
                (Some(scorer), Some(sample)) => {
                    both(sample).iter().any(|s| scorer.accepts(&s.seen()).is_some())
                }
                _ => false,
            }
        })
        .count() as u64;
    Ok(Learnt { model, silent, alike, left_out: 0 })
}

fn flipped(sample: &Sample) -> Sample {
    let [client, server] = sample.sides.clone();
    let turns = sample.turns.iter().map(|t| Token { server: !t.server, ..*t }).collect();
    Sample { turns, sides: [server, client] }
}

/// The score of what is not the protocol, whichever end is taken for the client.
fn highest(scorer: &Scorer, sample: &Sample) -> i32 {
    let of = |score: Score| if score.bytes() < BYTES { NO_SCORE } else { score.total() };
    of(scorer.score(&sample.seen())).max(of(scorer.score(&flipped(sample).seen())))
}

/// Merges models of one name.
///
/// # Errors
/// That the names differ, or that there is no model.
pub fn merge(models: &[Model]) -> Result<Model, String> {
    let Some((first, rest)) = models.split_first() else {
        return Err("there is no model to merge".to_owned());
    };
    let mut merged = first.clone();
    for model in rest {
        if model.name != merged.name {
            return Err(format!(
                "one model is named {}, another {}: only models of one protocol merge",
                merged.name, model.name
            ));
        }
        for (&carrier, part) in &model.parts {
            let sum = merged.parts.entry(carrier).or_default();
            sum.merge(part);
            if sum.flows >= MAX_COUNT {
                return Err(format!("{} flows are more than a model counts", sum.flows));
            }
        }
    }
    derive(&mut merged);
    Ok(merged)
}

/// Finds thresholds anew from counts, examples and what others reached.
pub fn derive(model: &mut Model) {
    let chance = Chance::default();
    for part in model.parts.values_mut() {
        part.derived = thresholds(part, &chance);
    }
}

fn thresholds(part: &Part, chance: &Chance) -> Derived {
    let distinct = part.examples.len();
    let few = distinct < FEW;
    let held: Vec<(Scorer, &Sample, Score)> = part
        .examples
        .iter()
        .filter(|_| distinct > 1)
        .map(|((_, sample), &count)| {
            let rest = Scorer::new(&part.without(sample, count), chance);
            let score = rest.score(&sample.seen());
            (rest, sample, score)
        })
        .collect();
    let floors = [0, 1].map(|end| {
        let least = held.iter().filter_map(|(_, _, score)| score.sides[end]).min();
        match least {
            Some(least) if !few && least > 0 => least / 2,
            Some(least) if !few => (least - 4000).max(FLOOR),
            _ => FLOOR,
        }
    });
    let starts = [0, 1].map(|end| {
        let heard = held.iter().filter(|(_, sample, _)| sample.sides[end].len() >= START);
        let least = heard.map(|(scorer, sample, _)| scorer.start(end, &sample.sides[end])).min();
        match least {
            _ if few => START_OF_FEW,
            Some(least) => least.saturating_sub(1) as u8,
            None => 0,
        }
    });
    let whole = Scorer::new(part, chance);
    let noise = noise().iter().map(|sample| highest(&whole, sample)).max().unwrap_or(NO_SCORE);
    let above = noise.max(part.highest);
    let mut threshold = (if few { LEAST_OF_FEW } else { LEAST }).max(above.saturating_add(MARGIN));
    if !few {
        // In the middle between others and the weakest examples, of which a tenth may be odd ones.
        let mut totals: Vec<i32> = held.iter().map(|(_, _, score)| score.total()).collect();
        totals.sort_unstable();
        let low = totals[totals.len() / 10];
        if low > above {
            threshold = threshold.max(i32::midpoint(above.max(0), low));
        }
    }
    let mut derived = Derived { threshold, floors, starts, held: 0, of: held.len() as u32 };
    for (mut scorer, sample, _) in held {
        scorer.derived = derived;
        derived.held += u32::from(scorer.accepts(&sample.seen()).is_some());
    }
    derived
}

/// What is none of the user's protocol: noise, text, and starts like those of common protocols. The same each time.
fn noise() -> Vec<Sample> {
    let mut dice = Dice(0x6d6f_6465_6c73_2121);
    let kinds: [Make; 7] = [
        |dice| [dice.bytes(), dice.bytes()],
        |dice| [dice.text(), dice.text()],
        |dice| [dice.small(), dice.small()],
        |dice| [[dice.next(), dice.next()].repeat(32), vec![dice.next(); 64]],
        |dice| {
            let verb = [&b"GET /"[..], b"POST /", b"HEAD /", b"OPTIONS "][dice.below(4)];
            let answer =
                [&b"HTTP/1.1 200 OK\r\nServer: "[..], b"HTTP/1.0 404 Not Found\r\nDate: "][dice.below(2)];
            [
                [verb, &dice.word(), b" HTTP/1.1\r\nHost: ", &dice.text()].concat(),
                [answer, &dice.text()].concat(),
            ]
        },
        |dice| {
            let hello = |dice: &mut Dice, kind, len: u8| {
                let head = [0x16, 3, dice.below(2) as u8 + 1, 0, len, kind, 0, 0, len - 4, 3, 3];
                [&head[..], &dice.bytes(), &dice.bytes()].concat()
            };
            [hello(dice, 1, 0xf8), hello(dice, 2, 0x5a)]
        },
        |dice| {
            let hello = [&b"EHLO "[..], b"USER ", b"NICK ", b"LOGIN "][dice.below(4)];
            let greeting = [&b"220 "[..], b"+OK ", b"* OK ", b":"][dice.below(4)];
            [[hello, &dice.word(), b"\r\n"].concat(), [greeting, &dice.word(), b" ready\r\n"].concat()]
        },
    ];
    let mut all = Vec::with_capacity(kinds.len() * NOISE);
    for make in kinds {
        for _ in 0..NOISE {
            let mut sides = make(&mut dice);
            let turns =
                (0..=dice.below(5)).map(|at| Token { server: at % 2 == 1, len: dice.length() }).collect();
            for side in &mut sides {
                side.truncate(super::POSITIONS);
            }
            all.push(Sample { turns, sides });
        }
    }
    all
}

/// Makes what client and server begin with.
type Make = fn(&mut Dice) -> [Vec<u8>; 2];

/// A reproducible stream of numbers (xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    }

    fn below(&mut self, end: usize) -> usize {
        (usize::from(self.next()) << 8 | usize::from(self.next())) % end
    }

    fn length(&mut self) -> u16 {
        match self.below(3) {
            0 => 1 + self.below(64) as u16,
            1 => 1 + self.below(600) as u16,
            _ => super::sample::LONG,
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..64).map(|_| self.next()).collect()
    }

    fn text(&mut self) -> Vec<u8> {
        const CHARS: &[u8] = b"etaoinshrdlucmfwyp ETAOIN 0123456789 .,:;-/=\"\r\n";
        (0..64).map(|_| CHARS[self.below(CHARS.len())]).collect()
    }

    fn word(&mut self) -> Vec<u8> {
        (0..3 + self.below(12)).map(|_| b'a' + self.below(26) as u8).collect()
    }

    fn small(&mut self) -> Vec<u8> {
        (0..64).map(|_| if self.below(3) == 0 { self.below(20) as u8 } else { 0 }).collect()
    }
}
