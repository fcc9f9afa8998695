//! The cases that tools differ on, one small test each.

use std::fmt::Write;

use super::script_tests::{bounded, check, first, run, OPEN};
use super::{Anomaly, Limits, Policy};

#[test]
fn in_order_gives_the_bytes_and_the_frame_of_each() {
    let ran = run(Policy::First, &format!("{OPEN}> 100 \"abc\"\n> 103 \"de\"\n< 500 \"xy\""));
    assert_eq!(ran.text, ["abcde", "xy"]);
    assert!(ran.notes.is_empty(), "{:?}", ran.notes);
    assert_eq!(ran.map, [(0, 0, 3, 4, 0), (0, 3, 2, 5, 0), (1, 0, 2, 6, 0)]);
}

#[test]
fn duplicate_and_out_of_order_segments_say_nothing() {
    check("> 103 \"def\"\n> 100 \"abc\"\n> 100 \"abc\"\n> 103 \"def\"", "abcdef", &[]);
}

#[test]
fn partial_overlap_on_either_side_is_taken_once() {
    check("> 100 \"abcd\"\n> 102 \"cdef\"", "abcdef", &[]);
    check("> 104 \"efgh\"\n> 102 \"cdef\"\n> 100 \"abcd\"", "abcdefgh", &[]);
    let ran = run(Policy::First, &format!("{OPEN}> 100 \"abcd\"\n> 102 \"cdef\""));
    assert_eq!(ran.map, [(0, 0, 4, 4, 0), (0, 4, 2, 5, 2)]);
}

#[test]
fn superset_retransmission_adds_only_what_is_new() {
    check("> 102 \"cd\"\n> 106 \"gh\"\n> 100 \"abcdefghij\"", "abcdefghij", &[]);
}

#[test]
fn fin_before_data_ends_the_stream_when_all_is_there() {
    check("> 103 fin\n> 100 \"abc\"", "abc", &["> fin 3"]);
    check("> 103 \"de\" fin\n> 100 \"abc\"", "abcde", &["> fin 5"]);
}

#[test]
fn keep_alive_is_no_conflict_whatever_it_holds() {
    check("> 100 \"abc\"\n< 500 ack 103\n> 102 \"?\"\n< 500 ack 103", "abc", &["> keep_alive 2 ?"]);
    check("> 100 \"abc\"\n< 500 ack 103\n> 102 \"c\"\n> 103 \"d\"", "abcd", &[]);
    check("> 99 \"?\"\n> 100 \"abc\"", "abc", &["> keep_alive -1 ?"]);
}

#[test]
fn one_byte_that_is_not_acknowledged_is_a_conflict() {
    check("> 100 \"abc\"\n< 500 ack 101\n> 102 \"?\"", "abc", &["> overlap 2 c#4 ?#6"]);
}

#[test]
fn zero_window_probe_unanswered_and_answered() {
    let full = "> 100 \"abc\"\n< 500 ack 103 win 0\n";
    let no = "< 500 ack 103 win 0\n";
    check(&format!("{full}{no}> 103 \"d\"\n< 500 ack 103\n> 103 \"def\""), "abcdef", &[]);
    check(&format!("{full}> 103 \"d\"\n< 500 ack 104\n> 104 \"ef\""), "abcdef", &[]);
}

#[test]
fn probe_beyond_every_window_waits_for_the_acknowledgment() {
    let open = "> 99 syn\n< 499 syn ack 100 win 3\n> 100 ack 500\n";
    let (text, notes) =
        first(&format!("{open}> 100 \"abc\"\n> 103 \"d\"\n< 500 ack 104 win 9\n> 104 \"ef\""));
    assert_eq!((text.as_str(), notes.as_str()), ("abcdef", "> taken_by_ack 3"));
}

#[test]
fn sequence_numbers_wrap() {
    let (text, notes) = first("> 4294967292 syn\n> 4294967293 \"abcdef\"\n> 6 \"jk\"\n> 3 \"ghi\"");
    assert_eq!((text.as_str(), notes.as_str()), ("abcdefghijk", ""));
}

#[test]
fn same_range_with_other_bytes_keeps_the_first_and_reports_both() {
    check("> 100 \"AAAA\"\n> 100 \"BBBB\"", "AAAA", &["> overlap 0 AAAA#4 BBBB#5"]);
    check("> 102 \"AA\"\n> 102 \"BB\"\n> 100 \"xx\"", "xxAA", &["> overlap 2 AA#4 BB#5"]);
    check("> 100 \"AAAA\"\n> 102 \"BBBB\"", "AAAABB", &["> overlap 2 AA#4 BB#5"]);
    check("> 100 \"abcdef\"\n> 100 \"abXdXf\"", "abcdef", &["> overlap 2 cde#4 XdX#5"]);
}

#[test]
fn each_version_of_a_range_is_reported() {
    check(
        "> 100 \"A\"\n> 100 \"B\"\n> 100 \"C\"\n> 101 \"z\"\n",
        "Az",
        &["> overlap 0 A#4 B#5", "> overlap 0 A#4 C#6"],
    );
}

#[test]
fn policies_that_let_new_bytes_win_wait_for_the_acknowledgment() {
    let same = format!("{OPEN}> 100 \"AAAA\"\n> 100 \"BBBB\"\n< 500 ack 104");
    let ahead = format!("{OPEN}> 102 \"AA\"\n> 102 \"BB\"\n> 100 \"xx\"");
    let partial = format!("{OPEN}> 100 \"AAAA\"\n> 102 \"BBBB\"");
    let text = |policy, script: &str| run(policy, script).text[0].clone();
    for (policy, want) in [
        (Policy::First, ["AAAA", "xxAA", "AAAABB"]),
        (Policy::Last, ["BBBB", "xxBB", "AABBBB"]),
        (Policy::Linux, ["AAAA", "xxAA", "AAAABB"]),
        (Policy::OldLinux, ["BBBB", "xxBB", "AAAABB"]),
        (Policy::Bsd, ["AAAA", "xxAA", "AAAABB"]),
        (Policy::Windows, ["AAAA", "xxAA", "AAAABB"]),
        (Policy::Solaris, ["BBBB", "xxBB", "AABBBB"]),
        (Policy::Vista, ["AAAA", "xxAA", "AAAABB"]),
    ] {
        let found = [&same, &ahead, &partial].map(|script| text(policy, script));
        assert_eq!(found, want, "{}", policy.name());
    }
    let acked = format!("{OPEN}> 100 \"AAAA\"\n< 500 ack 104\n> 100 \"BBBB\"");
    let ran = run(Policy::Last, &acked);
    assert_eq!((ran.text[0].as_str(), ran.notes), ("AAAA", vec!["> overlap 0 AAAA#4 BBBB#6".to_owned()]));
}

#[test]
fn a_hole_is_a_gap_and_never_in_the_data() {
    check("> 100 \"abc\"\n> 106 \"ghi\"\n< 500 ack 109", "abc[3]ghi", &["> not_captured 3+3"]);
    check("> 100 \"abc\"\n> 106 \"ghi\"", "abc[3]ghi", &["> not_captured 3+3"]);
    check("> 103 \"def\"\n> 106 fin", "[3]def", &["> not_captured 0+3", "> fin 6"]);
    check("> 100 \"abc\"\n> 106 fin", "abc[3]", &["> not_captured 3+3", "> fin 6"]);
}

#[test]
fn what_was_acknowledged_and_not_captured_is_a_gap_at_the_end() {
    let notes = ["> not_captured 3+6", "> fin_or_byte_not_captured 9"];
    check("> 100 \"abc\"\n< 500 ack 110", "abc[6]", &notes);
    check("> 100 \"abc\"\n< 500 ack 104", "abc", &["> fin_or_byte_not_captured 3"]);
}

#[test]
fn snapped_bytes_are_their_own_kind_of_gap() {
    check("> 100 \"abc\" wire 5\n> 105 \"fgh\" wire 9", "abc[2]fgh[6]", &["> snapped 3+2", "> snapped 8+6"]);
    check("> 100 \"abc\" wire 5\n> 100 \"abcde\"", "abcde", &[]);
    check("> 100 \"abc\" wire 5\n> 107 \"hi\"", "abc[2][2]hi", &["> snapped 3+2", "> not_captured 5+2"]);
}

#[test]
fn ethernet_padding_is_not_data() {
    check("> 100 \"abc000\" wire 3\n> 103 \"d\"\n> 104 \"000000\" wire 0", "abcd", &[]);
}

#[test]
fn what_a_policy_cut_is_told_from_what_was_not_captured() {
    let script = "> 100 \"ab\"\n> 104 \"ef\"\ncut 20\n> 112 \"m\" wire 4\n> 120 fin";
    let notes =
        ["> not_captured 2+2", "> cut_by_policy 6+6", "> cut_by_policy 13+7", "> fin 20", "< cut_tail 0"];
    check(script, "ab[2]ef[6]m[7]", &notes);
    check("> 100 \"ab\"\ncut", "ab", &["> cut_tail 2", "< cut_tail 0"]);
}

#[test]
fn more_was_cut_than_sequence_numbers_count() {
    let long = 3 * (1_u64 << 32) + 50;
    let notes =
        [format!("> cut_by_policy 2+{}", long - 2), format!("> fin {long}"), "< cut_tail 0".to_owned()];
    let notes: Vec<_> = notes.iter().map(String::as_str).collect();
    check(&format!("> 100 \"ab\"\ncut {}\n> 150 fin", long + 4000), &format!("ab[{}]", long - 2), &notes);
    let notes =
        ["> length_modulo_4gib 2", "> cut_by_policy 2+4294967244", "> fin 4294967246", "< cut_tail 0"];
    check("> 100 \"ab\"\ncut\n> 50 fin", "ab[4294967244]", &notes);
}

#[test]
fn both_fins_behind_a_cut_nobody_told_of() {
    let script = "> 100 \"ab\"\n< 500 \"xy\" ack 102\n> 900000 fin ack 800000\n< 800000 fin ack 900001";
    let ran = run(Policy::First, &format!("{OPEN}{script}"));
    assert_eq!(ran.text, ["ab[899898]", "xy[799498]"]);
    let taken = ran.notes.iter().filter(|note| note.contains("taken_by_ack")).count();
    assert_eq!(taken, 2, "{:?}", ran.notes);
    check("> 100 \"ab\"\n> 900000 fin ack 500", "ab", &["> outside_window 899900"]);
}

#[test]
fn data_on_syn_is_the_begin_of_the_stream() {
    let (text, notes) = first("> 99 syn \"abc\"\n< 499 syn ack 103\n> 103 \"def\" ack 500");
    assert_eq!((text.as_str(), notes.as_str()), ("abcdef", ""));
    let (text, notes) = first("> 99 syn \"abc\"\n< 499 syn ack 100\n> 100 \"abcdef\" ack 500");
    assert_eq!((text.as_str(), notes.as_str()), ("abcdef", ""));
}

#[test]
fn data_after_fin_is_reported_and_that_before_it_is_not() {
    check("> 100 \"ab\" fin\n> 102 \"xx\"", "ab", &["> fin 2", "> data_after_fin 2 xx"]);
    check("> 104 fin\n> 102 \"cd\"\n> 100 \"ab\"", "abcd", &["> fin 4"]);
    check("> 100 \"ab\" fin\n> 100 \"abcd\"", "ab", &["> fin 2", "> data_after_fin 2 cd"]);
}

#[test]
fn a_fin_that_the_receiver_did_not_take_is_none() {
    let script = "> 100 \"ab\" fin\n> 102 \"cd\"\n< 500 ack 104\n> 104 \"ef\"\n> 106 fin";
    check(script, "abcdef", &["> fin 2", "> fin_not_taken 4", "> taken_by_ack 2", "> fin 6"]);
    check("> 100 \"abcd\"\n> 102 fin", "abcd", &["> fin_misplaced 2"]);
}

#[test]
fn data_after_reset_is_reported() {
    check("> 100 \"ab\"\n< 500 rst ack 102\n> 102 \"cd\"", "ab", &["< reset 0", "> data_after_reset 2 cd"]);
    check("> 100 \"ab\"\n> 102 rst\n> 102 \"cd\"", "ab", &["> reset 2", "> data_after_reset 2 cd"]);
    check("> 100 \"ab\"\n> 102 rst \"why\"", "ab", &["> data_on_reset 2 why", "> reset 2"]);
    check("> 100 \"ab\"\n> 102 rst\n> 100 \"ab\"", "ab", &["> reset 2"]);
}

#[test]
fn a_reset_that_nobody_took_is_none() {
    let script = "> 100 \"ab\"\n> 102 rst\n> 102 \"cd\"\n< 500 ack 104\n> 104 \"ef\"";
    let notes = ["> reset 2", "> reset_not_taken 4", "> taken_by_ack 2"];
    check(script, "abcdef", &notes);
}

#[test]
fn reset_far_outside_of_the_window_does_nothing() {
    check("> 100 \"ab\"\n> 500000 rst\n> 102 \"cd\"", "abcd", &["> reset_outside_window 499900"]);
    check("> 100 \"ab\"\n> 90 rst\n> 102 \"cd\"", "abcd", &["> reset_outside_window -10"]);
}

#[test]
fn data_far_outside_of_the_window_is_not_written() {
    check("> 500000 \"XX\"\n> 100 \"ab\"\n< 500 ack 102", "ab", &["> outside_window 499900 XX"]);
    check("> 2147483648 \"XX\"\n> 100 \"ab\"", "ab", &["> outside_window 2147483548 XX"]);
    check("> 100 \"ab\"\n> 4294967000 \"XX\"", "ab", &["> before_start -396 XX"]);
}

#[test]
fn a_decoy_beyond_the_window_does_not_win_later() {
    let open = "> 99 syn\n< 499 syn ack 100 win 4\n> 100 ack 500\n";
    let (text, notes) = first(&format!(
        "{open}> 110 \"XX\"\n> 100 \"abcd\"\n< 500 ack 104 win 20\n> 104 \"efghijkl\"\n< 500 ack 112"
    ));
    assert_eq!((text.as_str(), notes.as_str()), ("abcdefghijkl", "> overlap 10 kl#7 XX#4"));
}

#[test]
fn a_segment_in_doubt_is_taken_only_if_its_fin_is_acknowledged_too() {
    let script = |acked: u32| {
        format!(
            "> 99 syn\n< 499 syn ack 100 win 4\n> 100 ack 500\n> 110 \"XY\" fin\n> 100 \"abcd\"\n\
             < 500 ack 104 win 6\n> 104 \"efghij\"\n< 500 ack {acked}"
        )
    };
    let (text, notes) = first(&script(113));
    assert_eq!((text.as_str(), notes.as_str()), ("abcdefghijXY", "> taken_by_ack 10\n> fin 12"));
    // Who took these bytes from this segment would have acknowledged its FIN: so it stays in doubt to the end.
    let (text, notes) = first(&script(112));
    assert_eq!((text.as_str(), notes.as_str()), ("abcdefghijXY", "> beyond_window 10\n> fin 12"));
}

#[test]
fn a_window_that_proves_wrong_is_dropped() {
    let mut script = "> 99 syn\n< 499 syn ack 100 win 4\n".to_owned();
    let mut want = String::new();
    for i in 0..400 {
        writeln!(script, "> {} \"{i:04}\"", 100 + 4 * i).unwrap();
        write!(want, "{i:04}").unwrap();
    }
    let (text, notes) = first(&script);
    assert_eq!((text, notes.as_str()), (want, "> window_unknown 4"));
}

#[test]
fn decoys_with_a_bad_checksum_are_told_from_offload() {
    let decoy = "> 100 \"ab\" good\n> 102 \"XX\" bad\n> 102 \"cd\" good\n< 500 ack 104";
    check(decoy, "abcd", &["> bad_checksum 2 XX"]);
    check("> 100 \"XX\" bad\n> 100 \"ab\" good", "ab", &["> bad_checksum 0 XX"]);
    check("> 100 \"ab\" bad\n> 102 \"cd\" bad\n< 500 ack 104", "abcd", &["> checksum_offload 0"]);
    check("> 100 \"ab\" bad\n> 102 \"cd\" bad", "abcd", &["> checksum_offload 0"]);
    check("> 100 \"ab\" good\n> 102 \"cd\" bad\n< 500 ack 104", "abcd", &["> taken_by_ack 2"]);
}

#[test]
fn segments_without_the_ack_flag_are_not_taken() {
    check("> 100 noack \"XX\"\n> 100 \"ab\"", "ab", &["> no_ack_flag 0 XX"]);
}

#[test]
fn simultaneous_open_and_crossing_syns() {
    let script = "> 99 syn\n< 499 syn\n> 99 syn ack 500\n< 499 syn ack 100\n> 100 \"ab\" ack 500\n< 500 \"xy\" ack 102";
    let ran = run(Policy::First, script);
    assert_eq!((ran.text.clone(), ran.notes.len()), (["ab".to_owned(), "xy".to_owned()], 0), "{ran:?}");
}

#[test]
fn syn_ack_before_syn_and_data_before_syn() {
    let (text, notes) = first("< 499 syn ack 100\n> 99 syn\n> 100 \"ab\" ack 500");
    assert_eq!((text.as_str(), notes.as_str()), ("ab", ""));
    let (text, notes) = first("> 102 \"cd\"\n> 100 \"ab\"\n> 99 syn");
    assert_eq!((text.as_str(), notes.as_str()), ("abcd", ""));
    let (text, notes) = first("< 499 syn ack 100\n> 102 \"cd\"");
    assert_eq!((text.as_str(), notes.as_str()), ("[2]cd", "> not_captured 0+2"));
}

#[test]
fn mid_stream_begins_at_the_lowest_byte_also_out_of_order() {
    let (text, notes) = first("> 104 \"ef\"\n< 500 ack 102\n> 102 \"cd\"\n< 500 ack 106\n> 106 \"gh\"");
    assert_eq!((text.as_str(), notes.as_str()), ("cdefgh", "> mid_stream 0"));
    let (text, notes) = first("> 104 \"ef\"\n> 102 \"cd\"");
    assert_eq!((text.as_str(), notes.as_str()), ("cdef", "> mid_stream 0"));
    let (text, notes) = first("> 104 \"ef\"\n< 500 ack 106\n> 102 \"cd\"");
    assert_eq!((text.as_str(), notes.as_str()), ("ef", "> mid_stream 0\n> before_start -2 cd"));
}

#[test]
fn mid_stream_does_not_begin_with_a_keep_alive() {
    let (text, notes) = first("< 500 ack 200\n> 199 \"?\"\n> 200 \"ab\"");
    assert_eq!((text.as_str(), notes.as_str()), ("ab", "> keep_alive 0 ?\n> mid_stream 0"));
}

#[test]
fn half_closed_the_other_end_goes_on() {
    let ran =
        run(Policy::First, &format!("{OPEN}> 100 \"ab\" fin\n< 500 \"xy\" ack 103\n< 502 \"z\" fin ack 103"));
    assert_eq!(ran.text, ["ab", "xyz"]);
    assert_eq!(ran.notes, ["> fin 2", "< fin 3"]);
}

#[test]
fn one_direction_alone_with_a_hole() {
    let (text, notes) = first("> 99 syn\n> 100 \"ab\"\n> 104 \"ef\"\n> 106 fin");
    assert_eq!((text.as_str(), notes.as_str()), ("ab[2]ef", "> not_captured 2+2\n> fin 6"));
    let ran = run(Policy::First, "< 499 syn ack 100\n< 500 ack 120\n< 500 ack 140");
    assert_eq!(ran.text[0], "[39]");
}

#[test]
fn the_ports_are_used_again_by_a_near_number() {
    let script = format!(
        "{OPEN}> 100 \"old\"\n> 150 syn\n< 800 syn ack 151\n> 151 \"new\" ack 801\n< 801 \"yes\" ack 154"
    );
    let ran = run(Policy::First, &script);
    assert_eq!(ran.text, ["oldnew", "yes"]);
    assert_eq!(ran.notes, ["> syn_again 51", "> new_connection 0"]);
    check("> 150 syn\n> 100 \"ab\"", "ab", &["> syn_again 51"]);
}

#[test]
fn a_late_segment_for_a_declared_gap_is_reported() {
    let limits = Limits { acked_hole: Some(3), ..Limits::default() };
    let script = format!("{OPEN}> 102 \"cdef\"\n< 500 ack 106\n> 106 \"g\"\n> 100 \"ab\"");
    let ran = bounded(Policy::First, limits, &script);
    assert_eq!(ran.text[0], "[2]cdefg");
    assert_eq!(ran.notes, ["> not_captured 0+2", "> late 0 ab"]);
}

#[test]
fn names_of_anomalies_and_policies_are_unique() {
    let mut names: Vec<_> = Anomaly::ALL.iter().map(|a| a.name()).collect();
    names.extend(Policy::ALL.iter().map(|p| p.name()));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(Policy::ALL.iter().all(|p| Policy::from_name(p.name()) == Some(*p)));
}
