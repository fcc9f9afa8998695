//! Chosen packets come out, all of them and no others, on any number of threads and in chunks of any size.

use std::sync::Arc;

use proptest::prelude::*;

use super::pipe_tests::{capture, made, Bytes};
use super::*;
use crate::flow::{Flow, Left, Observer, Packet, Rules, Tracker};
use crate::packet::{Options, Seed};
use crate::select::Chosen;

const SEED: Seed = Seed(1, 2);

/// The flow of every packet, by its position.
#[derive(Default)]
struct FlowOf(Vec<Option<u32>>);

impl FlowOf {
    fn note(&mut self, pos: u64, n: Option<u32>) {
        let pos = pos as usize;
        self.0.resize(self.0.len().max(pos + 1), None);
        self.0[pos] = n;
    }
}

impl Observer for FlowOf {
    fn counted(&mut self, n: u32, _: &Flow, p: &Packet<'_>, _: bool) {
        self.note(p.pos, Some(n));
    }
    fn waits(&mut self, _: &Packet<'_>) {}
    fn aside(&mut self, p: &Packet<'_>, _: bool) {
        self.note(p.pos, None);
    }
}

struct Model {
    tracker: Tracker,
    flows: FlowOf,
}

impl Decide for Model {
    fn decide(&mut self, chunk: &mut Chunk) {
        feed(&mut self.tracker, chunk, &mut self.flows);
    }
}

fn plan(jobs: usize, chunk: usize) -> Plan<'static> {
    Plan { options: Options::default(), filter: None, seed: SEED, jobs, chunk }
}

/// The flows, and the flow of every packet, by a pass over everything.
fn model(files: &[Vec<u8>]) -> Model {
    let tracker = Tracker::new(Rules::default(), Left::Start, SEED);
    let mut model = Model { tracker, flows: FlowOf::default() };
    for file in files {
        let at = Bytes(file);
        let input = Input::At(&at, file.len() as u64);
        let passes = Passes { decide: &mut model, emit: None };
        run(input, &plan(1, 1 << 20), passes, &Control::default()).unwrap();
    }
    model.tracker.finish(&mut model.flows);
    model
}

fn extract(files: &[Vec<u8>], chosen: &Chosen, form: [Form; 2], jobs: usize, chunk: usize) -> Vec<u8> {
    let mut tag = Tag::new(Arc::new(chosen.clone()), Rules::default());
    let mut outlet = Outlet::new(Vec::new());
    for (i, file) in files.iter().enumerate() {
        tag.begin_file();
        outlet.begin_file(form[i.min(1)]);
        let mut deal = Deal::new(&mut outlet);
        let at = Bytes(file);
        let passes = Passes { decide: &mut tag, emit: Some(&mut deal) };
        run(Input::At(&at, file.len() as u64), &plan(jobs, chunk), passes, &Control::default()).unwrap();
        let late = tag.end_file(i + 1 == files.len());
        deal.finish(&late).unwrap();
    }
    outlet.into_inner().0
}

/// The packets of a capture: time, bytes.
fn packets(file: &[u8]) -> Vec<(i64, Vec<u8>)> {
    struct All(Vec<(i64, Vec<u8>)>);
    impl Decide for All {
        fn decide(&mut self, chunk: &mut Chunk) {
            self.0.extend(chunk.records.iter().map(|r| (r.ts, chunk.packet(r).to_vec())));
        }
    }
    let mut all = All(Vec::new());
    let at = Bytes(file);
    let passes = Passes { decide: &mut all, emit: None };
    run(Input::At(&at, file.len() as u64), &plan(1, 1 << 20), passes, &Control::default()).unwrap();
    all.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_chosen_flows_come_out_whole(
        traffic in prop::collection::vec(made(), 0..60),
        choice in any::<u64>(),
        jobs in 1_usize..5,
        chunk in 20_usize..3000,
    ) {
        let files = [capture(&traffic)];
        let model = model(&files);
        let table = model.tracker.table();
        let wanted: Vec<(u32, u32)> = (0..table.len()).filter(|n| choice >> (n % 64) & 1 == 1).map(|n| (n, n)).collect();
        let chosen = Chosen::new(table, &wanted, SEED);
        let is_wanted = |n: &Option<u32>| n.is_some_and(|n| choice >> (n % 64) & 1 == 1);
        let expected: Vec<_> =
            packets(&files[0]).into_iter().zip(&model.flows.0).filter(|(_, n)| is_wanted(n)).map(|(p, _)| p).collect();
        let copied = extract(&files, &chosen, [Form::Copy; 2], jobs, chunk);
        prop_assert_eq!(&packets(&copied), &expected);
        prop_assert_eq!(&copied, &extract(&files, &chosen, [Form::Copy; 2], 1, 1 << 20));
        let section = extract(&files, &chosen, [Form::Section; 2], jobs, chunk);
        prop_assert_eq!(&packets(&section), &expected);
        if !expected.is_empty() {
            let pcap = extract(&files, &chosen, [Form::Pcap { nanoseconds: true }; 2], jobs, chunk);
            prop_assert_eq!(&packets(&pcap), &expected);
        }
    }

    #[test]
    fn files_follow_one_another_in_one_capture(
        first in prop::collection::vec(made_whole(), 0..30),
        second in prop::collection::vec(made_whole(), 0..30),
        choice in any::<u64>(),
    ) {
        let files = [capture(&first), capture(&second)];
        let model = model(&files);
        let wanted: Vec<(u32, u32)> =
            (0..model.tracker.table().len()).filter(|n| choice >> (n % 64) & 1 == 1).map(|n| (n, n)).collect();
        let chosen = Chosen::new(model.tracker.table(), &wanted, SEED);
        let all = files.iter().flat_map(|f| packets(f)).zip(&model.flows.0);
        let expected: Vec<_> =
            all.filter(|(_, n)| n.is_some_and(|n| choice >> (n % 64) & 1 == 1)).map(|(p, _)| p).collect();
        let joined = extract(&files, &chosen, [Form::Copy, Form::Append], 2, 500);
        prop_assert_eq!(packets(&joined), expected.clone());
        let sections = extract(&files, &chosen, [Form::Section; 2], 2, 500);
        prop_assert_eq!(packets(&sections), expected);
    }
}

/// No fragments: those that wait at the end of a file are decided about there.
fn made_whole() -> impl Strategy<Value = super::pipe_tests::Made> {
    (0_u8..3, Just(0_u16), Just(false), prop::collection::vec(any::<u8>(), 0..60))
}

#[test]
fn a_pcap_file_has_one_link_type() {
    let ip = capture(&[(1, 0, false, vec![1; 20])]);
    let mut other = ip.clone();
    other[20] = 228;
    let files = [ip, other];
    let model = model(&files);
    let chosen = Chosen::new(model.tracker.table(), &[(0, 0)], SEED);
    let mut tag = Tag::new(Arc::new(chosen), Rules::default());
    let mut outlet = Outlet::new(Vec::new());
    let mut said = Vec::new();
    for file in &files {
        tag.begin_file();
        outlet.begin_file(Form::Pcap { nanoseconds: false });
        let at = Bytes(file);
        let mut deal = Deal::new(&mut outlet);
        let passes = Passes { decide: &mut tag, emit: Some(&mut deal) };
        let done = run(Input::At(&at, file.len() as u64), &plan(1, 1 << 20), passes, &Control::default());
        said.push(done.map(|_| ()).map_err(|e| e.to_string()));
    }
    assert!(said[0].is_ok());
    assert!(said[1].as_ref().unwrap_err().contains("pcapng holds both"), "{said:?}");
}
