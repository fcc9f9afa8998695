//! The store against a plain list of all packets, and its own invariants.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::flow::{Left, Packet, Rules, Silent, Tracker};
use super::*;
use crate::packet::{self, Options, Seed};

const SECOND: i64 = 1_000_000_000;

fn settings(memory: u64, steps: &[(i64, u64)]) -> Settings {
    Settings {
        memory,
        curve: Curve::new(steps.to_vec()).unwrap(),
        rules: Rules::default(),
        options: Options::default(),
        seed: Seed(3, 4),
    }
}

const STEPS: [(i64, u64); 4] =
    [(60 * SECOND, Curve::ALL), (600 * SECOND, 20_000), (6000 * SECOND, 3_000), (60_000 * SECOND, 300)];

fn store(memory: u64) -> (Store, InterfaceId) {
    let mut store = Store::new(settings(memory, &STEPS)).unwrap();
    let id = store.interface(Interface { link: 1, name: "test".to_owned(), snap_length: 0 });
    (store, id)
}

/// An Ethernet frame of UDP between two hosts named by numbers.
pub(super) fn udp(from: u32, to: u32, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    frame(
        17,
        from,
        to,
        &[
            &ports.0.to_be_bytes()[..],
            &ports.1.to_be_bytes(),
            &((payload.len() + 8) as u16).to_be_bytes(),
            &[0; 2],
            payload,
        ]
        .concat(),
    )
}

/// TCP with these flags.
pub(super) fn tcp(from: u32, to: u32, ports: (u16, u16), flags: u8, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut segment = [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes()].concat();
    segment.extend(seq.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    frame(6, from, to, &segment)
}

fn frame(proto: u8, from: u32, to: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![2; 12];
    out.extend([8, 0, 0x45, 0]);
    out.extend(((payload.len() + 20) as u16).to_be_bytes());
    out.extend([0, 0, 0, 0, 64, proto, 0, 0]);
    out.extend(from.to_be_bytes());
    out.extend(to.to_be_bytes());
    out.extend(payload);
    out
}

fn all(store: &mut Store, query: Query) -> Vec<(i64, Vec<u8>)> {
    let id = store.reader(query).unwrap();
    let mut out = Vec::new();
    while store.read(id, &mut out) == Step::More {}
    assert_eq!(store.reader_status(id).lost, 0);
    store.close(id);
    packets(&out)
}

/// The packets of a pcapng capture.
pub(super) fn packets(capture: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let mut walker = crate::record::Walker::open(capture).unwrap();
    let mut records = Vec::new();
    let walked = walker.walk(&capture[walker.header_len()..], 0, true, usize::MAX, &mut records);
    assert_eq!(walked.damage, None);
    records.iter().map(|r| (r.ts, capture[r.data as usize..(r.data + r.caplen) as usize].to_vec())).collect()
}

/// The list in the order of time is whole in both directions, and holds what is held.
fn check_order(store: &Store) {
    let (mut n, mut place, mut before) = (0, store.order.first(), 0);
    while place != 0 {
        let header = store.pool.header(place);
        assert_eq!(header.prev, before);
        (before, place, n) = (place, header.next, n + 1);
    }
    assert_eq!(before, store.order.last());
    assert_eq!(
        n,
        store.held.packets,
        "{:?} {:?} first {} last {}",
        store.let_go,
        store.cells,
        store.order.first(),
        store.order.last()
    );
}

/// What can be said of a store at any time.
fn check(store: &mut Store, came: &[(i64, Vec<u8>)]) -> Vec<(i64, Vec<u8>)> {
    let status = store.status();
    assert!(status.used.total() <= status.bound, "{:?}", status.used);
    assert_eq!(status.received.packets, came.len() as u64);
    let gone = status.let_go.total();
    assert_eq!(status.received.packets, status.held.packets + gone.packets);
    assert_eq!(status.received.bytes, status.held.bytes + gone.bytes);
    let cells: u32 = store.cells.iter().sum();
    assert_eq!(
        cells,
        store.pool.len() - store.pool.free(),
        "after {}: every cell belongs to a flow or is free",
        came.len()
    );
    let mut queued = vec![0; store.queues.len()];
    for cell in store.cells_of(0..store.chains()) {
        let r = store.pool.record(cell);
        queued[usize::from(r.queue)] += r.cells;
    }
    assert_eq!(queued, store.queued);
    let held = all(store, Query::default());
    assert_eq!(held.len() as u64, status.held.packets);
    assert_eq!(held.iter().map(|p| p.1.len() as u64).sum::<u64>(), status.held.bytes);
    assert!(held.is_sorted_by_key(|p| p.0), "in the order of time");
    held
}

fn flow_of(data: &[u8]) -> packet::Key {
    let facts = packet::read(1, data, data.len() as u32, &Options::default());
    facts.key
}

/// One step of a made day.
#[derive(Clone, Debug)]
struct Event {
    /// Seconds since the one before.
    wait: i64,
    flow: u8,
    from_server: bool,
    len: usize,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let wait = prop_oneof![8 => Just(0_i64), 4 => 0..20_i64, 1 => 20..4000_i64, 1 => -500..0_i64];
    let len = prop_oneof![3 => 0..100_usize, 3 => 100..1500_usize, 1 => 1500..9000_usize];
    let event = (wait, 0..40_u8, any::<bool>(), len).prop_map(|(wait, flow, from_server, len)| Event {
        wait,
        flow,
        from_server,
        len,
    });
    proptest::collection::vec(event, 1..1500)
}

fn packet_of(n: usize, e: &Event) -> Vec<u8> {
    let payload = vec![n as u8; e.len];
    let (from, to) = (u32::from(e.flow), 1000);
    if e.flow < 25 {
        if e.from_server {
            udp(to, from, (53, 4000), &payload)
        } else {
            udp(from, to, (4000, 53), &payload)
        }
    } else if e.flow < 28 {
        let mut arp = vec![3; 12];
        arp.extend([8, 6]);
        arp.extend(payload);
        arp
    } else if e.flow < 30 {
        frame(1, from, to, &[&[8, 0, 0, 0, 0, 0, 0, 0], &payload[..]].concat())
    } else if e.from_server {
        tcp(to, from, (80, 4000), 0x10, n as u32, &payload)
    } else {
        tcp(from, to, (4000, 80), 0x10, n as u32, &payload)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Bound, accounting, order; of every flow what is held is among what came, in its order; a flow that had no more than it
    /// may have is whole; true totals are true.
    #[test]
    fn the_store_keeps_what_a_plain_list_says(events in events()) {
        let (mut store, id) = store(LEAST_MEMORY + (1 << 18));
        let mut tracker = Tracker::new(Rules::default(), Left::Start, Seed(3, 4));
        let (mut came, mut time) = (Vec::new(), 1_700_000_000 * SECOND);
        for (n, e) in events.iter().enumerate() {
            time += e.wait * SECOND;
            let data = packet_of(n, e);
            store.add(id, time, data.len() as u32, &data);
            check_order(&store);
            let facts = packet::read(1, &data, data.len() as u32, &Options::default());
            let p = Packet { facts: &facts, ts: time, caplen: data.len() as u32, wirelen: data.len() as u32, pos: 0, data: &data };
            tracker.feed(p, facts.key.hash(Seed(3, 4)), None, &mut Silent);
            came.push((time, data));
            if n % 200 < 9 {
                check(&mut store, &came);
            }
        }
        let held = check(&mut store, &came);
        // All that is held came, each packet once.
        let mut left: BTreeMap<_, u32> = BTreeMap::new();
        for p in &came {
            *left.entry(p.clone()).or_default() += 1;
        }
        for p in &held {
            let n = left.get_mut(p).expect("nothing that did not come");
            prop_assert!(*n > 0);
            *n -= 1;
        }
        // Totals are those of the flow table, of the flows that were never let go as a whole.
        let flows = store.flows();
        let mut by_key: BTreeMap<packet::Key, (u64, u64)> = BTreeMap::new();
        for (flow, totals) in &flows {
            prop_assert!(totals.packets <= flow.packets() && totals.bytes <= flow.bytes());
            let sum = by_key.entry(flow.key).or_default();
            sum.0 += totals.packets;
            sum.1 += totals.bytes;
        }
        let mut held_by_key: BTreeMap<packet::Key, (u64, u64)> = BTreeMap::new();
        for (_, data) in &held {
            let sum = held_by_key.entry(flow_of(data)).or_default();
            sum.0 += 1;
            sum.1 += data.len() as u64;
        }
        held_by_key.remove(&packet::Key::default());
        prop_assert_eq!(&by_key, &held_by_key);
        if store.status().let_go.total().packets == 0 {
            let mut expected: Vec<_> = came.clone();
            expected.sort_by_key(|p| p.0);
            prop_assert_eq!(&held, &expected);
            let mut known: Vec<_> = tracker.table().iter().copied().collect();
            known.sort_by_key(|f| (f.key, f.head_ts));
            let mut mine: Vec<_> = flows.iter().map(|f| f.0).collect();
            mine.sort_by_key(|f| (f.key, f.head_ts));
            prop_assert_eq!(known.len(), mine.len());
            for (a, b) in known.iter().zip(&mine) {
                prop_assert_eq!((a.key, a.side, a.first_ts, a.last_ts, a.flags), (b.key, b.side, b.first_ts, b.last_ts, b.flags));
            }
        }
    }
}

#[test]
fn a_light_load_is_kept_whole() {
    let (mut store, id) = store(LEAST_MEMORY);
    let mut came = Vec::new();
    for n in 0..500_u32 {
        let data = udp(n % 7, 99, (1000, 53), &[n as u8; 100]);
        store.add(id, i64::from(n) * SECOND * 1000, 142, &data);
        came.push((i64::from(n) * SECOND * 1000, data));
    }
    assert_eq!(check(&mut store, &came), came);
}
