//! What is kept and what goes: allowances, floods, elephants, clocks, readers.

use super::query::{Format, Pattern, Query, Step, Wanted};
use super::store_tests::{packets, tcp, udp};
use super::*;
use crate::flow::Rules;
use crate::packet::{Options, Seed};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;
const MB: u64 = 1 << 20;

fn store(memory: u64, steps: &[(i64, u64)]) -> (Store, InterfaceId) {
    let settings = Settings {
        memory,
        curve: Curve::new(steps.to_vec()).unwrap(),
        rules: Rules::default(),
        options: Options::default(),
        seed: Seed(1, 2),
    };
    let mut store = Store::new(settings).unwrap();
    let id = store.interface(Interface { link: 1, name: "test0".to_owned(), snap_length: 0 });
    (store, id)
}

const STEPS: [(i64, u64); 4] =
    [(60 * SECOND, Curve::ALL), (600 * SECOND, 100_000), (6000 * SECOND, 10_000), (60_000 * SECOND, 1_000)];

/// A question and an answer of so many bytes: a flow of its own.
fn talk(store: &mut Store, id: InterfaceId, time: i64, client: u32, payload: usize) {
    for (n, from_server) in [(0, false), (1, true)] {
        let data = if from_server {
            udp(7, client, (53, 9999), &vec![1; payload])
        } else {
            udp(client, 7, (9999, 53), &[1; 30])
        };
        store.add(id, time + n * 1_000_000, data.len() as u32, &data);
    }
}

fn read(store: &mut Store, query: Query) -> Vec<(i64, Vec<u8>)> {
    let id = store.reader(query).unwrap();
    let mut out = Vec::new();
    while store.read(id, &mut out) == Step::More {}
    store.close(id);
    packets(&out)
}

fn invariants(store: &mut Store) {
    let status = store.status();
    assert!(status.used.total() <= status.bound, "{:?} of {}", status.used, status.bound);
    let gone = status.let_go.total();
    assert_eq!(status.received.packets, status.held.packets + gone.packets);
    assert_eq!(status.received.bytes, status.held.bytes + gone.bytes);
    let held = read(store, Query::default());
    assert_eq!(held.len() as u64, status.held.packets);
    assert!(held.is_sorted_by_key(|p| p.0));
}

/// Many flows of two sizes for hours: the younger a flow, the more is held of it, always from its beginning.
#[test]
fn the_older_a_flow_the_less_is_left_and_always_its_beginning() {
    let (mut store, id) = store(4 * MB, &STEPS);
    let (mut time, mut sent) = (START, Vec::new());
    for flow in 0..400_u32 {
        time += 20 * SECOND;
        let begin = time;
        let mut packets = Vec::new();
        for n in 0..40_u32 {
            let (from, to, ports) =
                if n % 2 == 0 { (flow, 9999, (1000, 80)) } else { (9999, flow, (80, 1000)) };
            let data = tcp(from, to, ports, 0x18, n, &[n as u8; 1000]);
            store.add(id, time, data.len() as u32, &data);
            packets.push((time, data));
            time += 10_000_000;
        }
        sent.push((begin, packets));
    }
    invariants(&mut store);
    let held = read(&mut store, Query::default());
    let mut left = Vec::new();
    for (flow, (_, packets)) in sent.iter().enumerate() {
        let mine: Vec<_> = held
            .iter()
            .filter(|p| {
                p.1[26..30] == (flow as u32).to_be_bytes() || p.1[30..34] == (flow as u32).to_be_bytes()
            })
            .cloned()
            .collect();
        assert_eq!(mine[..], packets[..mine.len()], "flow {flow}: what is held is its beginning");
        left.push(mine.len());
    }
    assert_eq!(left[399], 40, "the last flow is whole");
    // Within a bucket of the calendar flows count as of one age.
    for (older, younger) in left.iter().zip(&left[8..]) {
        assert!(older <= younger, "{left:?}");
    }
    assert!(left[0] < 40 && left.iter().filter(|&&n| n > 0).count() > 350, "{left:?}");
    let status = store.status();
    assert!(status.stretch > 0.0);
    assert!(status.used.total() > status.bound * 9 / 10, "memory is used: {:?}", status.used);
}

#[test]
fn a_flood_of_new_flows_does_not_push_the_history_out() {
    for (what, flood) in [
        (
            "SYN",
            (|n: u32| tcp(n.wrapping_mul(2_654_435_761), 7, (n as u16, 443), 2, n, &[]))
                as fn(u32) -> Vec<u8>,
        ),
        ("UDP", |n| udp(n.wrapping_mul(2_654_435_761), 7, (n as u16, 53), &[0; 20])),
        ("SYN and SYN/ACK", |n| {
            let host = (n / 2).wrapping_mul(2_654_435_761);
            if n % 2 == 0 {
                tcp(host, 7, (n as u16, 443), 2, n, &[])
            } else {
                tcp(7, host, (443, n as u16 - 1), 0x12, n, &[])
            }
        }),
    ] {
        let (mut store, id) = store(4 * MB, &STEPS);
        for n in 0..2000_u32 {
            talk(&mut store, id, START + i64::from(n) * SECOND, n + 100, 200);
        }
        let before = store.status();
        // Half a second of a million a second.
        for n in 0..500_000_u32 {
            let data = flood(n);
            store.add(id, START + 2000 * SECOND + i64::from(n) * 1000, data.len() as u32, &data);
        }
        invariants(&mut store);
        let held: Vec<_> =
            read(&mut store, Query { until: Some(START + 2000 * SECOND - 1), ..Query::default() });
        assert_eq!(held.len(), 4000, "{what}: all that was known before is there");
        let status = store.status();
        assert_eq!(before.let_go.total().packets, 0);
        assert!(
            status.let_go.0[Reason::Unanswered as usize].packets > 450_000,
            "{what}: {:?}",
            status.let_go
        );
        // And who comes afterwards finds room.
        for n in 0..1000_u32 {
            talk(&mut store, id, START + (3000 + i64::from(n)) * SECOND, n + 9_000_000, 200);
        }
        let held = read(&mut store, Query { since: Some(START + 3000 * SECOND), ..Query::default() });
        assert_eq!(held.len(), 2000, "{what}");
        invariants(&mut store);
    }
}

#[test]
fn a_backup_keeps_its_beginning_and_its_last_minutes_and_others_keep_theirs() {
    let (mut store, id) = store(4 * MB, &STEPS);
    for n in 0..1000_u32 {
        talk(&mut store, id, START + i64::from(n) * SECOND, n + 100, 500);
    }
    let begin = START + 1000 * SECOND;
    let mut sent = Vec::new();
    for n in 0..20_000_u32 {
        let data = tcp(1, 2, (1000, 445), 0x18, n, &[n as u8; 1400]);
        let time = begin + i64::from(n) * 100_000_000;
        store.add(id, time, data.len() as u32, &data);
        sent.push((time, data));
        if n % 50 == 0 {
            let answer = tcp(2, 1, (445, 1000), 0x10, n, &[]);
            store.add(id, time, answer.len() as u32, &answer);
        }
    }
    invariants(&mut store);
    let talks = read(&mut store, Query { until: Some(begin - 1), ..Query::default() });
    assert_eq!(talks.len(), 2000, "a backup of seven times the memory pushed out nothing");
    let backup: Vec<_> = read(&mut store, Query { since: Some(begin), ..Query::default() })
        .into_iter()
        .filter(|p| p.1.len() > 1000)
        .collect();
    let gap = backup.iter().zip(&sent).take_while(|(a, b)| a == b).count();
    assert!((60..=80).contains(&gap), "{gap} packets are 100 kB");
    let tail = &backup[gap..];
    assert!(tail.len() > 500, "{}", tail.len());
    assert_eq!(tail, &sent[sent.len() - tail.len()..], "the present is whole");
}

#[test]
fn a_download_of_seconds_does_not_cost_what_is_known_of_hours() {
    let (mut store, id) = store(4 * MB, &STEPS);
    for n in 0..1500_u32 {
        talk(&mut store, id, START + i64::from(n) * 5 * SECOND, n + 100, 500);
    }
    let begin = START + 7500 * SECOND;
    for n in 0..20_000_u32 {
        let data = tcp(1, 2 + n % 50, (1000, 443), 0x18, n, &[n as u8; 1400]);
        store.add(id, begin + i64::from(n) * 100_000, data.len() as u32, &data);
    }
    invariants(&mut store);
    let talks = read(&mut store, Query { until: Some(begin - 1), ..Query::default() });
    assert_eq!(talks.len(), 3000);
}

#[test]
fn packets_of_no_flow_and_icmp_have_small_shares() {
    let (mut store, id) = store(4 * MB, &STEPS);
    for n in 0..1500_u32 {
        talk(&mut store, id, START + i64::from(n) * SECOND, n + 100, 300);
    }
    let mut arp = vec![0xff; 12];
    arp.extend([8, 6]);
    arp.resize(60, 0);
    for n in 0..200_000_u32 {
        let time = START + 1500 * SECOND + i64::from(n) * 1000;
        store.add(id, time, 60, &arp);
        let mut ping = udp(n, 8, (0, 0), &[0; 30]);
        ping[23] = 1; // ICMP
        store.add(id, time, ping.len() as u32, &ping);
    }
    invariants(&mut store);
    let held = read(&mut store, Query { until: Some(START + 1500 * SECOND - 1), ..Query::default() });
    assert_eq!(held.len(), 3000);
    let status = store.status();
    assert!(status.let_go.0[Reason::Icmp as usize].packets > 150_000);
    assert!(status.let_go.0[Reason::NoFlow as usize].packets > 150_000);
}

#[test]
fn clocks_that_jump_cost_nothing_but_order() {
    let (mut store, id) = store(2 * MB, &STEPS);
    for n in 0..20_000_u32 {
        // A century ahead, back, before the epoch, all over the place.
        let time = match n % 500 {
            7 => START + 100 * 365 * 86_400 * SECOND,
            9 => -5,
            11 => i64::MAX,
            13 => i64::MIN,
            k if n % 3 == 0 => {
                START + i64::from(n.wrapping_mul(2_654_435_761) % 1_000_000) * SECOND + i64::from(k)
            }
            _ => START + i64::from(n) * SECOND,
        };
        talk(&mut store, id, time.saturating_sub(SECOND), n + 1, (n % 700) as usize);
        if n % 1000 == 0 {
            let status = store.status();
            assert!(status.used.total() <= status.bound);
        }
    }
    let held = store.status().held.packets;
    let reader = store.reader(Query { format: Format::Pcap, ..Query::default() }).unwrap();
    let mut out = Vec::new();
    while store.read(reader, &mut out) == Step::More {}
    assert_eq!(store.reader_status(reader).matched, held);
}

#[test]
fn packets_of_all_sizes_fit_and_too_long_ones_are_shortened() {
    let (mut store, id) = store(2 * MB, &STEPS);
    let long = vec![0x55; 300_000];
    for n in 0..60_u32 {
        store.add(id, START + i64::from(n), 0, &[]);
        let mut data = udp(n % 5, 3, (1, 2), &long[..262_144 - 42]);
        assert_eq!(data.len(), 262_144);
        data[16..18].copy_from_slice(&[0xff, 0xff]);
        store.add(id, START + i64::from(n), 400_000, &data);
        store.add(id, START + i64::from(n), 300_000, &long);
    }
    invariants(&mut store);
    assert_eq!(store.status().shortened, 60);
    assert!(store.status().held.packets > 2);
}

#[test]
fn fragments_follow_their_datagram() {
    let (mut store, id) = store(2 * MB, &STEPS);
    let fragment = |offset: u16, more: bool, number: u16| {
        let mut data = udp(5, 6, (1111, 2222), &[9; 64]);
        data[18..20].copy_from_slice(&number.to_be_bytes());
        data[20..22].copy_from_slice(&(offset / 8 + if more { 0x2000 } else { 0 }).to_be_bytes());
        data
    };
    let (first, later) = (fragment(0, true, 77), fragment(72, false, 77));
    store.add(id, START, first.len() as u32, &first);
    store.add(id, START + 1, later.len() as u32, &later);
    let flows = store.flows();
    assert_eq!(flows.len(), 1);
    assert_eq!((flows[0].0.packets(), flows[0].1.packets, flows[0].0.key.lo_port), (2, 2, 1111));
    // Nothing but later fragments: a flow of the two addresses.
    for n in 0..5000 {
        let orphan = fragment(72, false, n);
        store.add(id, START + 2, orphan.len() as u32, &orphan);
    }
    assert_eq!(store.flows().len(), 2);
    invariants(&mut store);
}

fn filled() -> (Store, InterfaceId) {
    let (mut store, id) = store(2 * MB, &STEPS);
    for n in 0..3000_u32 {
        talk(&mut store, id, START + i64::from(n) * SECOND, n + 100, 400);
    }
    (store, id)
}

#[test]
fn a_snapshot_is_what_was_held_when_it_was_taken() {
    let (mut store, id) = filled();
    let expected = read(&mut store, Query::default());
    let reader = store.reader(Query::default()).unwrap();
    let (mut out, mut n) = (Vec::new(), 5000);
    // What is the oldest goes before the reader has come to it.
    for _ in 0..40 {
        n += 1;
        talk(&mut store, id, START + i64::from(n) * SECOND, n + 100, 400);
    }
    assert!(store.status().used.readers > 0);
    // For every piece that is read a few packets come and others go; some come with the time of old ones.
    while store.read(reader, &mut out) == Step::More {
        for _ in 0..20 {
            n += 1;
            let time =
                if n % 3 == 0 { START + i64::from(n - 4000) * SECOND } else { START + i64::from(n) * SECOND };
            talk(&mut store, id, time, n + 100, 400);
        }
    }
    let status = store.reader_status(reader);
    assert_eq!((status.lost, status.matched), (0, expected.len() as u64));
    assert!(store.status().let_go.total().packets > 0);
    let mut got = packets(&out);
    assert!(got.is_sorted_by_key(|p| p.0));
    let mut expected = expected;
    got.sort();
    expected.sort();
    assert!(got == expected);
    store.close(reader);
    assert_eq!(store.status().used.readers, 0);
}

#[test]
fn a_reader_that_stops_takes_no_more_than_its_bound_and_is_told() {
    let (mut store, id) = filled();
    let held = store.status().held.packets;
    let readers: Vec<u32> = (0..100).map(|_| store.reader(Query::default()).unwrap()).collect();
    for n in 0..20_000_u32 {
        talk(&mut store, id, START + i64::from(3000 + n) * SECOND, n + 10_000, 400);
    }
    let status = store.status();
    assert!(status.used.readers <= status.bound / 32 && status.used.readers > 0);
    assert!(status.used.total() <= status.bound);
    let mut lost = 0;
    for reader in readers {
        let mut out = Vec::new();
        while store.read(reader, &mut out) == Step::More {}
        let status = store.reader_status(reader);
        assert_eq!(status.lost + status.matched, held, "each packet was read or lost");
        assert_eq!(packets(&out).len() as u64, status.matched);
        lost += status.lost;
        if status.lost > 0 {
            assert!(out.windows(8).any(|w| w == b"were let"), "the capture says it");
        }
        store.close(reader);
    }
    assert!(lost > 0);
    assert_eq!(store.status().used.readers, 0);
}

#[test]
fn who_follows_gets_everything_once_and_ends_when_stopped() {
    let (mut store, id) = filled();
    let reader = store.reader(Query { follow: true, ..Query::default() }).unwrap();
    let (mut out, before) = (Vec::new(), store.status().held.packets);
    while store.read(reader, &mut out) == Step::More {}
    for n in 0..500_u32 {
        // Two interfaces whose packets come in turns, a little out of order.
        let time = START + i64::from(4000 + n) * SECOND;
        talk(&mut store, id, time, n + 10_000, 100);
        talk(&mut store, id, time - 500_000, n + 20_000, 100);
        if n % 100 == 0 {
            while store.read(reader, &mut out) == Step::More {}
        }
    }
    store.stop(reader);
    talk(&mut store, id, START + 9000 * SECOND, 1, 100);
    while store.read(reader, &mut out) == Step::More {}
    let status = store.reader_status(reader);
    assert!(status.ended);
    assert_eq!((status.matched, status.lost), (before + 2000, 0));
    let mut got = packets(&out);
    got.sort();
    got.dedup();
    assert_eq!(got.len() as u64, before + 2000);
}

#[test]
fn queries_choose_by_time_and_by_flow() {
    let (mut store, _) = filled();
    let all = read(&mut store, Query::default());
    let (since, until) = (START + 2500 * SECOND, START + 2600 * SECOND);
    let some = read(&mut store, Query { since: Some(since), until: Some(until), ..Query::default() });
    let expected: Vec<_> = all.iter().filter(|p| p.0 >= since && p.0 <= until).cloned().collect();
    assert!(!some.is_empty());
    assert_eq!(some, expected);
    let address = |n: u32| {
        let mut out = [0; 16];
        out[..4].copy_from_slice(&n.to_be_bytes());
        out
    };
    let pattern =
        Pattern { proto: Some(17), version: 4, ends: [(address(7), Some(53)), (address(3000), None)] };
    let wanted = Wanted { patterns: vec![pattern], ..Wanted::default() };
    let flow = read(&mut store, Query { flows: Some(wanted), ..Query::default() });
    assert_eq!(flow.len(), 2);
    let number = store.flows().last().unwrap().0.first;
    let wanted = Wanted { numbers: [number].into(), ..Wanted::default() };
    assert_eq!(read(&mut store, Query { flows: Some(wanted), ..Query::default() }).len(), 2);
    let nothing = Query { flows: Some(Wanted::default()), ..Query::default() };
    assert_eq!(read(&mut store, nothing).len(), 0);
}

#[test]
fn what_is_saved_is_loaded_and_less_memory_keeps_less() {
    let (mut store, id) = filled();
    let mut arp = vec![0xff; 12];
    arp.extend([8, 6, 1, 2, 3]);
    store.add(id, START + 2000 * SECOND, 17, &arp);
    let mut saved = Vec::new();
    store.save_head(&mut saved);
    for from in 0..store.chains() {
        store.save_flows(from..from + 1, &mut saved);
    }
    store.save_end(&mut saved);
    for piece in [1, 7, 1000, usize::MAX] {
        if piece == 1 && cfg!(debug_assertions) {
            continue;
        }
        let mut loader = Loader::new(store.settings().clone()).unwrap();
        for bytes in saved.chunks(piece.min(saved.len())) {
            loader.feed(bytes).unwrap();
        }
        let mut loaded = loader.finish().unwrap();
        invariants(&mut loaded);
        assert_eq!(loaded.status().received, store.status().received);
        assert_eq!(loaded.flows(), store.flows());
        assert_eq!(read(&mut loaded, Query::default()), read(&mut store, Query::default()));
        if piece > 1000 {
            // It goes on where it was.
            for n in 0..500_u32 {
                talk(&mut loaded, id, START + i64::from(3000 + n) * SECOND, n + 90_000, 400);
            }
            invariants(&mut loaded);
        }
    }
    let mut loader = Loader::new(Settings { memory: MB, ..store.settings().clone() }).unwrap();
    loader.feed(&saved).unwrap();
    let mut smaller = loader.finish().unwrap();
    invariants(&mut smaller);
    assert_eq!(smaller.status().received, store.status().received);
    assert!(smaller.status().held.packets < store.status().held.packets);
    // The damaged is refused, and nothing panics.
    for at in (0..saved.len()).step_by(saved.len() / 200 + 1) {
        let mut broken = saved.clone();
        broken[at] ^= 0xff;
        let mut loader = Loader::new(store.settings().clone()).unwrap();
        if loader.feed(&broken).is_ok() {
            if let Ok(mut loaded) = loader.finish() {
                let status = loaded.status();
                assert!(status.used.total() <= status.bound);
                let _ = read(&mut loaded, Query::default());
            }
        }
    }
    let mut loader = Loader::new(store.settings().clone()).unwrap();
    loader.feed(&saved[..saved.len() - 1]).unwrap();
    assert!(loader.finish().is_err());
}

#[test]
fn flows_that_leave_as_a_whole_are_handed_over_within_a_bound() {
    let (mut store, id) = store(2 * MB, &STEPS);
    store.keep_gone(64 << 10);
    let (mut flows, mut packets, mut lost) = (0, 0, 0);
    for n in 0..20_000_u32 {
        talk(&mut store, id, START + i64::from(n) * SECOND, n + 100, 400);
        if n % 50 == 0 {
            let (gone, missed) = store.take_gone();
            flows += gone.len();
            packets += gone.iter().map(|g| g.packets.len() as u64).sum::<u64>();
            lost += missed;
            for g in &gone {
                assert_eq!(g.bytes.len() as u64, g.packets.iter().map(|p| u64::from(p.3)).sum::<u64>());
            }
        }
    }
    let (gone, missed) = store.take_gone();
    packets += gone.iter().map(|g| g.packets.len() as u64).sum::<u64>();
    lost += missed;
    let status = store.status();
    let old = status.let_go.0[Reason::Old as usize].packets;
    assert!(flows > 1000);
    assert_eq!(lost + packets, old);
    assert!(status.used.total() <= status.bound);
    store.keep_gone(0);
    invariants(&mut store);
}
