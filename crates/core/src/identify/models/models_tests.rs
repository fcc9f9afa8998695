//! Models of made protocols: what they recognise and what not, merging, files.

use std::sync::Arc;

use super::super::engine::Engine;
use super::super::registry::FAMILIES;
use super::super::testkit::{tcp, udp, Dice, Talk};
use super::counts::Model;
use super::learn::{learn, merge, Role};
use super::*;

/// A binary protocol: magic, version, length, session, a number, encrypted data.
fn binary(dice: &mut Dice) -> Talk {
    let session = dice.bytes(4);
    let body = 16 + dice.below(40);
    let hello = |kind: u8, body: Vec<u8>| {
        let mut bytes = b"\xa7\x3c\x91\x02".to_vec();
        bytes.extend([0, kind, 0, body.len() as u8]);
        bytes.extend(&session);
        bytes.extend(b"\0\0\x2b\x67");
        bytes.extend(body);
        bytes
    };
    let first = hello(1, dice.bytes(body));
    let second = hello(2, dice.bytes(24));
    udp().c(first).s(second).c(hello(3, dice.bytes(8)))
}

/// A text protocol with words of its own.
fn text(dice: &mut Dice) -> Talk {
    let word = |dice: &mut Dice| (0..5).map(|_| b'a' + dice.below(26) as u8).collect::<Vec<u8>>();
    let greeting = [b"ZAPHOD/7 gate=", &word(dice)[..], b" realm=heart-of-gold\n"].concat();
    let answer = [b"zaphod-ok ticket=", &word(dice)[..], b" quota=77\n"].concat();
    tcp().c(greeting).s(answer).c(b"QUERY ships\n")
}

fn sample(talk: &Talk) -> (Carrier, Sample) {
    let mut sampler = Sampler::default();
    let mut carrier = Carrier::Tcp;
    talk.inputs(|input| {
        carrier = input.transport.into();
        sampler.feed(0, input)
    });
    sampler.finish();
    (carrier, sampler.get(0).unwrap())
}

fn model_of(name: &str, talks: &[Talk]) -> Model {
    let samples: Vec<_> = talks.iter().map(sample).collect();
    learn(name, || samples.iter().map(|(carrier, s)| (Role::Chosen, *carrier, Some(s.clone()))))
        .unwrap()
        .model
}

fn engine(models: &[Model]) -> Engine {
    Engine::with_models(FAMILIES, Arc::new(Models::new(models).unwrap()))
}

fn many(count: usize, seed: u64, make: fn(&mut Dice) -> Talk) -> Vec<Talk> {
    let mut dice = Dice(seed);
    (0..count).map(|_| make(&mut dice)).collect()
}

#[test]
fn one_flow_begins_and_ten_make_it_good() {
    for make in [binary, text] {
        for (count, confidence) in [(1, 50), (10, 90)] {
            let mut engine = engine(&[model_of("acme", &many(count, 7, make))]);
            for talk in many(50, 99, make) {
                let answer = talk.run(&mut engine).expect("recognised");
                assert_eq!(engine.path(&answer), "acme");
                assert_eq!(engine.rule(&answer), "model.acme");
                assert_eq!(answer.confidence, confidence);
            }
            assert_eq!(engine.room(), 0);
        }
    }
}
