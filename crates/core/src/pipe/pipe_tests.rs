//! One pass on any number of threads, in chunks of any size, from a file or a pipe: always the same.

use proptest::prelude::*;

use super::*;
use crate::cut::Policy;
use crate::error::DamageKind;
use crate::flow::Rules;
use crate::packet::{Options, Seed};

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
    let policy = Policy { cutoff: 150, ..Policy::default() };
    let mut state = Trim::new(Rules::default(), Seed(1, 2), policy, false);
    state.begin_file();
    let mut writer = Writer::new(Vec::new());
    let plan = Plan { options: Options::default(), seed: Seed(1, 2), jobs, chunk };
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
