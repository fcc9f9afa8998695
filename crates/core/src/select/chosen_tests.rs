//! Chosen flows are found again, whatever else is in the traffic.

use super::{Chosen, Sessions, UNCHOSEN};
use crate::flow::{Left, Packet, Rules, Silent, Tracker};
use crate::packet::{Class, Facts, Key, Seed};

const SEED: Seed = Seed(3, 4);
const SECOND: i64 = 1_000_000_000;

fn facts(host: u8) -> Facts {
    let key = Key { proto: 17, version: 4, lo_port: 1, hi_port: u16::from(host), ..Key::default() };
    Facts { key, class: Class::Flow, ..Facts::default() }
}

/// (host, second) of every packet; a pause of over 60 s begins a new session.
const TRAFFIC: [(u8, i64); 9] =
    [(1, 0), (2, 1), (1, 2), (3, 100), (1, 101), (2, 102), (1, 103), (3, 300), (1, 301)];

fn feed(tracker: &mut Tracker, host: u8, second: i64) -> (u32, Facts) {
    let facts = facts(host);
    let p = Packet { facts: &facts, ts: second * SECOND, caplen: 60, wirelen: 60, pos: 0, data: &[] };
    tracker.feed(p, facts.key.hash(SEED), None, &mut Silent);
    (tracker.table().latest(&facts.key).unwrap(), facts)
}

#[test]
fn sessions_are_told_apart_in_a_pass_over_the_chosen_keys_alone() {
    let mut whole = Tracker::new(Rules::default(), Left::Start, SEED);
    let mut expected = Vec::new();
    for (host, second) in TRAFFIC {
        expected.push(feed(&mut whole, host, second).0);
    }
    // The second session of host 1 and the first of host 3.
    let wanted = [(expected[4], 70), (expected[3], 80)];
    let chosen = Chosen::new(whole.table(), &wanted, SEED);
    let (mut again, mut sessions) = (Tracker::new(Rules::default(), Left::Start, SEED), Sessions::default());
    for (i, (host, second)) in TRAFFIC.into_iter().enumerate() {
        let key = facts(host).key;
        assert_eq!(chosen.holds(&key), host != 2);
        if !chosen.holds(&key) {
            continue;
        }
        assert!(chosen.may_hold(key.hash(SEED)));
        let (n, _) = feed(&mut again, host, second);
        let tag = sessions.tag(&chosen, n, again.table().flow(n));
        let wanted = wanted.iter().find(|(m, _)| *m == expected[i]).map_or(UNCHOSEN, |(_, tag)| *tag);
        assert_eq!(tag, wanted, "packet {i}");
    }
}

#[test]
fn the_filter_keeps_most_other_hashes_out() {
    let mut tracker = Tracker::new(Rules::default(), Left::Start, SEED);
    let n = feed(&mut tracker, 1, 0).0;
    let chosen = Chosen::new(tracker.table(), &[(n, 0)], SEED);
    let passed = (0..=255).filter(|&host| chosen.may_hold(facts(host).key.hash(SEED))).count();
    assert!(passed < 5, "{passed}");
}
