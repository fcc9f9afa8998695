//! The law again, for summaries that are split, joined, restricted and taken apart.

use proptest::prelude::*;

use super::law_tests::{pieces, rules, run, summary, traffic, Made};
use super::{Flow, Left, Rules, Silent, Summary};
use crate::cut::{Cutter, Fate, Policy};
use crate::packet::Seed;

fn open(piece: &[Made], rules: Rules) -> Summary {
    Summary::of(summary(piece, Left::Open, rules, Seed(5, 6)))
}

/// Of no traffic, from which a fold begins.
fn start(rules: Rules) -> Summary {
    Summary::new(rules, Left::Start, Seed(3, 4))
}

/// All that is known of the flows, in order of their first packets, and their ids.
fn named(summary: &Summary) -> Vec<(Flow, u64)> {
    let all: Vec<_> = summary.flows().collect();
    summary
        .table()
        .order()
        .into_iter()
        .map(|n| (Flow { older: 0, ..all[n as usize].0 }, all[n as usize].1))
        .collect()
}

/// The same without ids, when the traffic ends here.
fn ended(summary: &Summary) -> Vec<Flow> {
    let mut summary = summary.clone();
    summary.finish();
    named(&summary).into_iter().map(|(flow, _)| flow).collect()
}

/// Made again from all that a file would hold of it.
fn again(summary: &Summary) -> Summary {
    Summary::assemble(summary.parts(), summary.flows(), Seed(9, 10)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_was_taken_apart_is_the_same_again(
        packets in traffic(90),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 2),
    ) {
        let rules = Rules::default();
        let mut plain = start(rules);
        let mut kept = start(rules);
        for piece in pieces(&packets, &cuts) {
            let piece = open(piece, rules);
            prop_assert_eq!(again(&piece).parts(), piece.parts());
            plain.merge(piece.clone()).unwrap();
            kept.merge(again(&piece)).unwrap();
            kept = again(&kept);
            prop_assert_eq!(named(&kept), named(&plain));
            prop_assert_eq!(kept.parts(), plain.parts());
        }
        prop_assert_eq!(ended(&kept), ended(&plain));
    }

    #[test]
    fn shards_merge_for_themselves(
        packets in traffic(120),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
        tcp_idle: bool,
        n in 1..5_u32,
    ) {
        let rules = rules(tcp_idle);
        let mut whole = start(rules);
        let mut shards = start(rules).split(n).unwrap();
        for piece in pieces(&packets, &cuts) {
            let piece = open(piece, rules);
            for (shard, part) in shards.iter_mut().zip(piece.split(n).unwrap()) {
                shard.merge(part).unwrap();
            }
            let joined = Summary::join(&piece.split(n).unwrap()).unwrap();
            prop_assert_eq!(joined.parts().fragments.undecided.len(), piece.parts().fragments.undecided.len());
            whole.merge(joined).unwrap();
        }
        let joined = Summary::join(&shards).unwrap();
        prop_assert_eq!(joined.tracker().packets(), packets.len() as u64);
        prop_assert_eq!(ended(&joined), ended(&whole));
        prop_assert_eq!(joined.parts().fragments.waiting, whole.parts().fragments.waiting);
        // Each flow has an id of its own, and keeps it.
        let mut ids: Vec<u64> = named(&joined).into_iter().map(|(_, id)| id).collect();
        for (shard, at) in shards.iter().zip(0..) {
            prop_assert!(shard.ids().iter().all(|id| id % u64::from(n) == at));
        }
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), joined.ids().len());
    }

    #[test]
    fn a_restricted_carry_is_as_good_as_a_whole_one(
        packets in traffic(120),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
        cutoff in 0..2_000_u64,
        tcp_idle: bool,
    ) {
        let rules = rules(tcp_idle);
        let policy = Policy { cutoff, ..Policy::default() };
        let cut = |tracker: &mut super::Tracker, piece: &[Made]| {
            let start = tracker.packets();
            let mut cutter = Cutter::new(policy, true);
            cutter.begin_file(start);
            run(tracker, piece, &mut cutter);
            let mut fates: Vec<Fate> = std::mem::take(&mut cutter.fates);
            for late in cutter.late.drain(..) {
                fates[(late.pos - start) as usize] = late.fate;
            }
            let mut shares = crate::cut::ledger::rows(tracker, cutter.shares().unwrap());
            for row in &mut shares {
                row.flow.older = 0;
            }
            (fates, shares)
        };
        let mut carry = start(rules);
        let mut one = super::Tracker::new(rules, Left::Start, Seed(1, 2));
        for piece in pieces(&packets, &cuts) {
            let summary = open(piece, rules);
            let little = carry.restrict(&summary).unwrap();
            // A pass from it is the pass of one machine.
            let mut tracker = little.tracker().clone();
            prop_assert_eq!(cut(&mut tracker, piece), cut(&mut one, piece));
            // It comes to what the merge comes to, and every flow has the id that it has in the whole.
            let gone_on = little.clone().gone_on(tracker);
            let (before, mut merged) = (named(&carry), little);
            merged.merge(summary.clone()).unwrap();
            carry.merge(summary).unwrap();
            prop_assert_eq!(named(&gone_on), named(&merged));
            let known = named(&merged);
            for flow in named(&carry) {
                prop_assert!(known.contains(&flow) || before.contains(&flow), "{flow:?} is missing");
            }
            prop_assert_eq!(merged.next_id(), carry.next_id());
            // With the counters of the whole it is a part of it.
            let grown = merged.grown(&carry).unwrap();
            prop_assert_eq!(named(&grown), known);
        }
        let mut one_ended = one;
        one_ended.finish(&mut Silent);
        prop_assert_eq!(ended(&carry), named(&Summary::of(one_ended)).into_iter().map(|(flow, _)| flow).collect::<Vec<_>>());
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let rules = Rules::default();
    let mut carry = start(rules);
    let why = carry.merge(start(rules)).unwrap_err();
    assert!(why.contains("begins at the start"), "{why}");
    let other = Rules { idle_ns: 1, ..rules };
    let why = carry.merge(Summary::new(other, Left::Open, Seed(0, 0))).unwrap_err();
    assert!(why.contains("different rules"), "{why}");
    let why = Summary::join(&[]).unwrap_err();
    assert!(why.contains("nothing to join"), "{why}");
    let why = start(rules).restrict(&start(rules)).unwrap_err();
    assert!(why.contains("restricted"), "{why}");
}
