//! What is written is read back.

use proptest::prelude::*;

use super::{write, Interface, Record, TsResol, Walker};

type Made = (i64, Vec<u8>, u32);

fn made() -> impl Strategy<Value = Vec<Made>> {
    let time = 0_i64..4_000_000_000 * 1_000_000_000;
    prop::collection::vec((time, prop::collection::vec(any::<u8>(), 0..90), 0_u32..200), 0..12)
}

fn read(file: &[u8]) -> (Vec<Record>, Vec<Interface>) {
    let mut walker = Walker::open(file).unwrap();
    let (head, mut records) = (walker.header_len(), Vec::new());
    let walked = walker.walk(&file[head..], head as u64, true, usize::MAX, &mut records);
    assert_eq!(walked.damage, None);
    for record in &mut records {
        record.data += head as u32;
    }
    (records, walker.interfaces().to_vec())
}

fn same(file: &[u8], records: &[Record], made: &[Made], unit: i64) {
    assert_eq!(records.len(), made.len());
    for (record, (ts, data, more)) in records.iter().zip(made) {
        let at = record.data as usize;
        assert_eq!(&file[at..at + record.caplen as usize], &data[..]);
        assert_eq!((record.ts, record.wirelen), (ts / unit * unit, data.len() as u32 + more));
    }
}

proptest! {
    #[test]
    fn a_written_pcap_is_read_back(packets in made(), nanoseconds: bool) {
        let mut file = Vec::new();
        write::pcap_header(&mut file, 113, write::SNAPLEN, nanoseconds);
        for (ts, data, more) in &packets {
            write::pcap_packet(&mut file, *ts, data, data.len() as u32 + more, nanoseconds).unwrap();
        }
        let (records, interfaces) = read(&file);
        same(&file, &records, &packets, if nanoseconds { 1 } else { 1000 });
        prop_assert_eq!((interfaces[0].link, interfaces[0].snaplen), (113, write::SNAPLEN));
    }

    #[test]
    fn a_written_pcapng_is_read_back(packets in made(), raw in 0_u8..=255, name in "[a-z]{0,9}") {
        let one = Interface {
            link: 147, snaplen: 96, name: (!name.is_empty()).then_some(name), ts_resol: TsResol::from_raw(raw),
            ts_offset: 0, section: 0,
        };
        let resolution = write::resolution(&one);
        let mut file = Vec::new();
        write::section(&mut file);
        write::interface(&mut file, &one);
        for (ts, data, more) in &packets {
            write::packet(&mut file, 0, resolution, *ts, data, data.len() as u32 + more);
        }
        let (records, interfaces) = read(&file);
        prop_assert_eq!(&interfaces, &vec![Interface { ts_resol: resolution, ..one }]);
        for (record, (ts, data, _)) in records.iter().zip(&packets) {
            prop_assert!(record.ts >= *ts && resolution.from_ns(*ts) == resolution.from_ns(record.ts));
            prop_assert_eq!(record.caplen as usize, data.len());
        }
    }
}

#[test]
fn a_time_that_pcap_cannot_hold_is_refused() {
    let mut out = Vec::new();
    let late = 1_i64 << 62;
    assert_eq!(write::pcap_packet(&mut out, late, &[], 0, true), Err(write::TimeOutOfRange(late)));
    assert_eq!(write::pcap_packet(&mut out, -1, &[], 0, true), Err(write::TimeOutOfRange(-1)));
    assert!(out.is_empty());
}
