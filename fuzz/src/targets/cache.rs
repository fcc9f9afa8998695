//! Any bytes as a saved cache.

use flowkeep_core::cache::{Curve, Interface, Loader, Query, Settings, Step, Store, LEAST_MEMORY};
use flowkeep_core::flow::Rules;
use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::record::Walker;

use super::note;
use crate::seeds;

/// A saved store is refused in words, or is a store: within its bound, with what it says it has, going on with new
/// packets, and the same when it is saved and loaded once more.
pub fn cache(data: &[u8], notes: &mut Vec<u64>) {
    let mut store = match load(data) {
        Ok(store) => store,
        Err(why) => {
            assert!(why.chars().all(|c| !c.is_control()) && why.len() < 300, "{why:?}");
            notes.push(note(&why.split(": ").nth(1)));
            return;
        }
    };
    check(&mut store, notes);
    let mut again = load(&save(&store)).expect("what was saved can be loaded");
    let (one, other) = (store.status(), again.status());
    assert_eq!((one.held, one.flows), (other.held, other.flows), "saved and loaded again");
    let time = one.newest.unwrap_or(0);
    let id = again.interface(Interface { link: 1, name: "later".to_owned(), snap_length: 0 });
    for (n, frame) in (0..).zip(seeds::frames()) {
        again.add(id, time.saturating_add(n), frame.len() as u32, &frame);
    }
    check(&mut again, notes);
}

fn check(store: &mut Store, notes: &mut Vec<u64>) {
    let status = store.status();
    assert!(status.used.total() <= status.bound, "{} of {}", status.used.total(), status.bound);
    let reader = store.reader(Query::default()).expect("a reader");
    let mut out = Vec::new();
    while store.read(reader, &mut out) == Step::More {}
    let fares = store.reader_status(reader);
    store.close(reader);
    assert_eq!(fares.matched + fares.lost, status.held.packets, "all that is held is read");
    let mut records = Vec::new();
    let walked = Walker::open(&out).map(|mut walker| walker.walk(&out, 0, true, usize::MAX, &mut records));
    assert!(walked.is_ok_and(|walked| walked.damage.is_none()), "what is read is a capture");
    assert_eq!(records.len() as u64, fares.matched);
    notes.push(note(&(status.flows, status.held.packets, status.interfaces.len())));
    notes.push(note(&status.let_go));
}

fn settings() -> Settings {
    const SECOND: i64 = 1_000_000_000;
    let steps = vec![(60 * SECOND, Curve::ALL), (600 * SECOND, 2_000), (6000 * SECOND, 300)];
    Settings {
        memory: LEAST_MEMORY,
        curve: Curve::new(steps).expect("a curve"),
        rules: Rules::default(),
        options: Options::default(),
        seed: Seed(5, 6),
    }
}

fn load(data: &[u8]) -> Result<Store, String> {
    let mut loader = Loader::new(settings()).map_err(|why| why.0)?;
    let (one, other) = data.split_at(data.len() / 3);
    loader.feed(one).and_then(|()| loader.feed(other)).map_err(|why| why.0)?;
    loader.finish().map_err(|why| why.0)
}

fn save(store: &Store) -> Vec<u8> {
    let mut out = Vec::new();
    store.save_head(&mut out);
    store.save_flows(0..store.chains(), &mut out);
    store.save_end(&mut out);
    out
}

/// Stores of a few packets.
pub fn seeds() -> Vec<Vec<u8>> {
    [1, 3]
        .map(|interfaces: u16| {
            let mut store = Store::new(settings()).expect("a store");
            for (n, frame) in (0_u16..).zip(seeds::frames()) {
                let name = format!("eth{}", n % interfaces);
                let id = store.interface(Interface { link: 1, name, snap_length: 0 });
                store.add(id, i64::from(n) * 50_000_000_000, frame.len() as u32 + u32::from(n % 3), &frame);
                store.dropped(id, 1);
            }
            save(&store)
        })
        .into()
}
