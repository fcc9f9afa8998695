//! One pass on any number of threads, in chunks of any size, from a file or a pipe: always the same.

use proptest::prelude::*;

use super::*;
use crate::cut::Policy;
use crate::error::DamageKind;
use crate::flow::Rules;
use crate::packet::{Options, Seed};
use crate::select::{Filter, Program, Rule};

pub struct Bytes<'a>(pub &'a [u8]);

impl ReadAt for Bytes<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = &self.0[(offset as usize).min(self.0.len())..];
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// A datagram or a fragment of one: (pair of hosts, offset in eights, more follow, payload).
pub type Made = (u8, u16, bool, Vec<u8>);

fn packet((pair, offset, more, payload): &Made) -> Vec<u8> {
    let mut p = vec![0x45, 0];
    p.extend((28 + payload.len() as u16).to_be_bytes());
    p.extend([0, 7]);
    p.extend((offset | if *more { 0x2000 } else { 0 }).to_be_bytes());
    p.extend([64, 17, 0, 0, 10, 0, 0, *pair, 10, 0, 1, 1]);
    if *offset == 0 {
        p.extend([0x9c, 0x40, 0, 53]);
        p.extend((8 + payload.len() as u16).to_be_bytes());
        p.extend([0, 0]);
    } else {
        p.extend([0; 8]);
    }
    p.extend(payload);
    p
}

pub fn capture(packets: &[Made]) -> Vec<u8> {
    let mut file: Vec<u8> =
        [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 101].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (i, made) in packets.iter().enumerate() {
        let data = packet(made);
        let len = data.len() as u32;
        file.extend([i as u32, 0, len, len].iter().flat_map(|v| v.to_le_bytes()));
        file.extend(data);
    }
    file
}

struct Result {
    out: Vec<u8>,
    flows: Vec<String>,
    stats: Stats,
    damage: Option<crate::error::Damage>,
    kept: u64,
}

fn trim(file: &[u8], jobs: usize, chunk: usize, stream: bool) -> Result {
    sifted(file, None, jobs, chunk, stream)
}

fn sifted(file: &[u8], filter: Option<&Filter>, jobs: usize, chunk: usize, stream: bool) -> Result {
    let policy = Policy { cutoff: 150, ..Policy::default() };
    let mut state = Trim::new(Rules::default(), Seed(1, 2), policy, false);
    state.begin_file();
    let mut writer = Writer::new(Vec::new());
    let plan = Plan { options: Options::default(), filter, seed: Seed(1, 2), jobs, chunk };
    let at = Bytes(file);
    let mut pipe = file;
    let input = if stream { Input::Stream(&mut pipe) } else { Input::At(&at, file.len() as u64) };
    let passes = Passes { decide: &mut state, emit: Some(&mut writer) };
    let end = run(input, &plan, passes, &Control::default()).unwrap();
    let late = state.end_file(true);
    let kept = state.cutter.tally().packets_kept;
    let (out, _) = writer.finish(&late).unwrap();
    let flows = state.tracker.into_table().iter().map(|f| format!("{f:?}")).collect();
    Result { out, flows, stats: end.stats, damage: end.damage, kept }
}

/// Lets through the packets whose byte `at` has a bit of `bits`.
fn bit_filter(at: u8, bits: u8) -> Filter {
    let code = [
        [0x30, 0, 0, 0, at, 0, 0, 0],
        [0x45, 0, 0, 1, bits, 0, 0, 0],
        [6, 0, 0, 0, 1, 0, 0, 0],
        [6, 0, 0, 0, 0, 0, 0, 0],
    ];
    Filter::new([(101, Rule::Program(Program::decode(&code.concat()).unwrap()))])
}

pub fn made() -> impl Strategy<Value = Made> {
    (0_u8..3, 0_u16..3, any::<bool>(), prop::collection::vec(any::<u8>(), 0..60))
}

#[test]
fn fates_told_late_are_obeyed_in_the_same_chunk() {
    // The later fragments come first; the datagram is larger than the cutoff.
    let file = capture(&[
        (1, 20, false, vec![1; 100]),
        (1, 10, true, vec![2; 100]),
        (1, 0, true, vec![3; 100]),
        (1, 0, false, vec![4; 10]),
    ]);
    let result = trim(&file, 1, 1 << 20, false);
    let kept = trim(&result.out, 1, 1 << 20, false).stats.packets;
    assert_eq!((result.stats.packets, result.kept, kept), (4, 1, 1));
}

#[test]
fn packets_of_a_link_type_without_a_rule_are_filtered_and_counted() {
    let file = capture(&[(1, 0, false, vec![1; 50]), (2, 0, false, vec![2; 10])]);
    let result = sifted(&file, Some(&Filter::default()), 1, 1 << 20, false);
    assert_eq!(result.out, file[..24]);
    let stats = result.stats;
    assert_eq!((stats.packets, stats.filtered, stats.filtered_bytes), (0, 2, 78 + 38));
    assert_eq!(stats.refused, [(101, 2)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_does_not_match_is_as_if_it_were_not_there(
        packets in prop::collection::vec(made(), 0..60),
        at in prop::sample::select(vec![6_u8, 7, 15, 19, 23, 28, 40, 99]),
        bits: u8,
        jobs in 1_usize..9,
        chunk in 20_usize..3000,
        stream: bool,
    ) {
        let filter = bit_filter(at, bits);
        let file = capture(&packets);
        let many = sifted(&file, Some(&filter), jobs, chunk, stream);
        // The records keep their times, so they are taken over one by one.
        let (mut left, mut offset, mut gone) = (file[..24].to_vec(), 24, (0, 0));
        for made in &packets {
            let data = packet(made);
            let record = &file[offset..offset + 16 + data.len()];
            offset += record.len();
            if data.get(usize::from(at)).is_some_and(|byte| byte & bits != 0) {
                left.extend(record);
            } else {
                gone = (gone.0 + 1, gone.1 + data.len() as u64);
            }
        }
        let one = trim(&left, 1, 1 << 20, false);
        prop_assert_eq!(&one.out, &many.out);
        prop_assert_eq!(&one.flows, &many.flows);
        prop_assert_eq!(one.kept, many.kept);
        prop_assert_eq!((many.stats.filtered, many.stats.filtered_bytes), gone);
        prop_assert_eq!(many.stats.packets + gone.0, packets.len() as u64);
        prop_assert_eq!(&many.stats.refused, &vec![]);
        let mut rest = many.stats;
        (rest.filtered, rest.filtered_bytes) = (0, 0);
        prop_assert_eq!(one.stats, rest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn threads_chunks_and_pipes_change_nothing(
        packets in prop::collection::vec(made(), 0..60),
        jobs in 1_usize..9,
        chunk in 20_usize..3000,
        stream: bool,
        cut in 0_usize..40,
    ) {
        let mut file = capture(&packets);
        file.truncate((file.len() - cut.min(file.len())).max(24));
        let one = trim(&file, 1, 1 << 20, false);
        let many = trim(&file, jobs, chunk, stream);
        prop_assert_eq!(&one.out, &many.out);
        prop_assert_eq!(&one.flows, &many.flows);
        prop_assert_eq!(&one.stats, &many.stats);
        prop_assert_eq!(&one.damage, &many.damage);
        prop_assert_eq!(one.kept, many.kept);
        if let Some(damage) = &one.damage {
            prop_assert_eq!(damage.kind, DamageKind::Truncated);
        }
        // What the tally says is what is there.
        let again = trim(&one.out, 1, 1 << 20, false);
        prop_assert_eq!(again.stats.packets, one.kept);
    }
}
