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

#[test]
fn noise_is_not_labelled_by_a_model_of_one_flow() {
    let models = [model_of("acme", &many(1, 7, binary)), model_of("zaphod", &many(1, 7, text))];
    let mut with = engine(&models);
    let mut labelled = 0;
    let mut dice = Dice(0x5eed_0fde_adbe_ef02);
    for flow in 0..super::super::noise_tests::FLOWS {
        let (_, talk) = super::super::noise_tests::talk(&mut dice, flow);
        if let Some(answer) = talk.run(&mut with) {
            labelled += usize::from(with.rule(&answer).starts_with("model."));
        }
    }
    println!("{labelled} of {} labelled", super::super::noise_tests::FLOWS);
    assert!(labelled <= super::super::noise_tests::ALLOWED, "{labelled} labelled");
    assert_eq!(with.room(), 0);
}

#[test]
fn a_rule_that_is_sure_wins_and_one_that_is_as_sure_as_the_model() {
    let http = |dice: &mut Dice| {
        tcp().c(b"GET /abc HTTP/1.1\r\nHost: a.example\r\n\r\n").s([
            b"HTTP/1.1 200 OK\r\n\r\n",
            &dice.bytes(4)[..],
        ]
        .concat())
    };
    let talks = many(10, 3, http);
    let mut engine = engine(&[model_of("mine", &talks)]);
    let answer = talks[0].run(&mut engine).unwrap();
    assert_eq!(engine.path(&answer), "http");
}

#[test]
fn what_is_like_an_example_in_nothing_but_lengths_is_not_it() {
    let mut dice = Dice(5);
    let talk =
        |dice: &mut Dice| udp().c(dice.bytes(77)).s(dice.bytes(33)).c(dice.bytes(55)).s(dice.bytes(111));
    let examples: Vec<Talk> = (0..10).map(|_| talk(&mut dice)).collect();
    let mut engine = engine(&[model_of("lengths", &examples)]);
    assert!((0..20).all(|_| talk(&mut dice).run(&mut engine).is_none()));
}

#[test]
fn whoever_speaks_first_is_the_client_when_the_opening_was_not_seen() {
    let mut engine = engine(&[model_of("acme", &many(4, 7, text))]);
    let talk = text(&mut Dice(50));
    let turned = talk.turned().midway();
    let answer = turned.run(&mut engine).unwrap();
    assert_eq!(engine.path(&answer), "acme");
}

#[test]
fn merging_is_the_same_in_any_order_and_grouping_and_the_same_as_learning_at_once() {
    for make in [binary, text] {
        for seed in 1..6 {
            let talks = many(60, seed, make);
            let mut dice = Dice(seed);
            let (i, j) = (1 + dice.below(29), 30 + dice.below(29));
            let [a, b, c] = [&talks[..i], &talks[i..j], &talks[j..]].map(|talks| model_of("x", talks));
            let m = |x: &Model, y: &Model| merge(&[x.clone(), y.clone()]).unwrap();
            let whole = model_of("x", &talks);
            assert_eq!(m(&m(&a, &b), &c), whole);
            assert_eq!(m(&a, &m(&b, &c)), whole);
            assert_eq!(m(&m(&c, &a), &b), whole);
            assert_eq!(m(&a, &b), m(&b, &a));
            assert_eq!(whole.to_string(), merge(&[b, c, a]).unwrap().to_string());
        }
    }
    let other = model_of("y", &many(1, 1, text));
    assert!(merge(&[model_of("x", &many(1, 1, text)), other]).unwrap_err().contains("named"));
}

#[test]
fn a_file_gives_the_same_model_again() {
    for make in [binary, text] {
        let mixed = [many(6, 1, make), many(3, 2, text), many(1, 3, binary)].concat();
        let model = model_of("acme.v2_x", &mixed);
        let file = model.to_string();
        assert_eq!(Model::parse(file.as_bytes()).unwrap(), model);
        let commented = file.replace('\n', "\r\n").replace("\r\nflows", "\r\n# by hand\r\n\r\nflows");
        assert_eq!(Model::parse(commented.as_bytes()).unwrap(), model);
    }
}

#[test]
fn a_wrong_line_is_named() {
    let file = model_of("acme", &many(4, 1, binary)).to_string();
    let wrong = |from: &str, to: &str| Model::parse(file.replacen(from, to, 1).as_bytes()).unwrap_err();
    let at = |needle: &str| file.lines().position(|line| line.starts_with(needle)).unwrap() + 1;
    for (from, to, line, what) in [
        ("flowkeep-model 1", "flowkeep-model 2", 1, "newer flowkeep"),
        ("flowkeep-model 1", "\x1b[31m", 1, "'\\u{1b}[31m'"),
        ("name acme", "name ../acme", 2, "'../acme'"),
        ("on udp", "on quic", 4, "'quic'"),
        ("flows 4", "flows 0", 5, "1 to"),
        ("flows 4", "flows 2", file.lines().count(), "no more than 2"),
        ("flows 4", "flows 4 5", 5, "'5' follows"),
        ("client 0 a7:4", "client 0 a7:4 a7:1", at("client 0"), "twice"),
        ("client 1 ", "client 2 ", at("client 1"), "1 was needed"),
        ("client 0 a7:4", "client 0 a7:99999999999999999999", at("client 0"), "a count"),
        ("client 0 a7:4", "client 0 a:4", at("client 0"), "pairs of hexadecimal"),
        ("turn 0 c", "turn 0 x", at("turn 0"), "c48"),
        ("threshold ", "threshold 1.000 #", at("threshold"), "at least 40.000"),
        ("threshold ", "thresh ", at("threshold"), "'thresh'"),
        ("held-out 4 of 4", "held-out 4 of 3", at("held-out"), "held out"),
        ("held-out 4 of 4", "held-out 3 of 3", file.lines().count(), "held out were 3"),
    ] {
        let misfit = wrong(from, to);
        assert!(misfit.line == line && misfit.what.contains(what), "{from} → {to}: {misfit}");
    }
    assert_eq!(Model::parse(b"").unwrap_err().line, 1);
    for end in 0..file.len() - 1 {
        assert!(Model::parse(&file.as_bytes()[..end]).is_err(), "{end}");
    }
    assert!(wrong("\nend", "\nend\nend").what.contains("nothing follows"));
}

#[test]
fn names_are_one_each_and_not_those_of_protocols() {
    let [a, b] = [binary, text].map(|make| model_of("acme", &many(1, 1, make)));
    assert!(Models::new(&[a.clone(), b]).unwrap_err().contains("--merge"));
    let tls = Model { name: "tls".to_owned(), ..a.clone() };
    assert!(Models::new(&[tls]).unwrap_err().contains("my-tls"));
    assert!(Models::new(&vec![a; MAX_MODELS + 1]).unwrap_err().contains("too many"));
}

#[test]
fn changed_files_are_refused_or_are_models_again() {
    let mixed = [many(3, 1, binary), many(2, 2, text)].concat();
    let file = model_of("acme", &mixed).to_string().into_bytes();
    let mut dice = Dice(77);
    let mut read = 0;
    for _ in 0..4000 {
        let mut data = file.clone();
        for _ in 0..=dice.below(3) {
            let at = dice.below(data.len());
            match dice.below(4) {
                0 => data[at] = dice.next() as u8,
                1 => data[at] = b"0123456789abcdef :.,-\n"[dice.below(22)],
                2 => _ = data.remove(at),
                _ => data.insert(at, b'0' + dice.below(10) as u8),
            }
        }
        match Model::parse(&data) {
            Ok(model) => {
                read += 1;
                assert_eq!(Model::parse(model.to_string().as_bytes()).as_ref(), Ok(&model));
                assert!(Models::new(std::slice::from_ref(&model)).is_ok() || taken(&model.name).is_some());
                if let Ok(merged) = merge(&[model.clone(), model]) {
                    assert_eq!(Model::parse(merged.to_string().as_bytes()).as_ref(), Ok(&merged));
                }
            }
            Err(misfit) => {
                assert!(misfit.line <= data.split(|&b| b == b'\n').count());
                assert!(misfit.what.chars().all(|c| !c.is_control()), "{misfit}");
            }
        }
    }
    assert!(read > 50, "{read} were read: too few to say anything");
}

#[test]
fn many_models_do_not_hide_each_other() {
    let talks = |seed: u64| {
        let magic = Dice(seed * 77 + 1).bytes(8);
        let mut dice = Dice(seed + 500);
        (0..3)
            .map(|_| tcp().c([&magic[..], &dice.bytes(9)].concat()).s([&magic[..], b"ok"].concat()))
            .collect::<Vec<_>>()
    };
    let models: Vec<Model> = (0..150).map(|seed| model_of(&format!("m{seed}"), &talks(seed)[..2])).collect();
    let mut engine = engine(&models);
    for seed in 0..150 {
        let answer = talks(seed)[2].run(&mut engine).expect("recognised");
        assert_eq!(engine.path(&answer), format!("m{seed}"));
    }
}

#[test]
fn an_end_that_begins_at_random_needs_three_examples() {
    let half = |dice: &mut Dice| {
        udp().c(dice.bytes(40)).s([&b"\xb1\x9e\x77\x05\xc2\x3d\x88\x41"[..], &dice.bytes(9)].concat())
    };
    for (count, found) in [(1, false), (6, true)] {
        let mut engine = engine(&[model_of("half", &many(count, 4, half))]);
        let named = many(50, 5, half).iter().filter(|talk| talk.run(&mut engine).is_some()).count();
        assert!(if found { named >= 45 } else { named < 5 }, "{count} examples: {named} of 50");
    }
}
