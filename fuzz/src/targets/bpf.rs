//! Any bytes as a BPF program, and as packets that it is run over.

use flowkeep_core::select::{Known, Partly, Program};

use super::note;

const TAKES_HEADER_AS_KNOWN: u8 = 0xb1;

/// A program is refused or ends on every packet; what it says of a packet known in part is true of the whole.
///
/// The first byte is the length of a packet; that many bytes follow, then a mask as long, then the program.
pub fn bpf(data: &[u8], notes: &mut Vec<u64>) {
    let Some((&len, rest)) = data.split_first() else { return };
    let len = usize::from(len).min(rest.len() / 2);
    let ((packet, rest), wirelen) = (rest.split_at(len), u32::from(data[0]));
    let (mask, code) = rest.split_at(len);
    let program = match Program::decode(code) {
        Ok(program) => program,
        Err(why) => {
            notes.push(note(&why.to_string().split_whitespace().last()));
            return;
        }
    };
    let whole = program.run(packet, wirelen);
    let partly = program.run_partly(Known { data: packet, unknown: mask });
    notes.push(note(&(program.len().min(16), whole == 0, std::mem::discriminant(&partly))));
    notes.extend(code.chunks(8).map(|i| note(&(i[0], whole == 0))));
    if code.chunks(8).any(|i| i[0] == TAKES_HEADER_AS_KNOWN) {
        return;
    }
    let filled: Vec<u8> = packet.iter().zip(mask).map(|(byte, mask)| byte & !mask | mask & 0x5a).collect();
    for (data, wirelen) in [(packet, wirelen), (&filled[..], !wirelen)] {
        let matches = program.run(data, wirelen) != 0;
        match partly {
            Partly::Match => assert!(matches, "a match that is none"),
            Partly::NoMatch => assert!(!matches, "a match that was denied"),
            Partly::Undecided(_) => {}
        }
    }
}

/// Programs with every kind of instruction.
pub fn seeds() -> Vec<Vec<u8>> {
    let programs: [&[(u8, u8, u8, u32)]; 5] = [
        &[(0x80, 0, 0, 0), (0x35, 0, 1, 60), (6, 0, 0, 1), (6, 0, 0, 0)],
        &[(0x28, 0, 0, 12), (0x15, 0, 1, 0x800), (6, 0, 0, 1), (6, 0, 0, 0)],
        &[(0xb1, 0, 0, 14), (0x48, 0, 0, 16), (0x15, 0, 1, 80), (6, 0, 0, 1), (6, 0, 0, 0)],
        &[
            (0x30, 0, 0, 3),
            (0x54, 0, 0, 15),
            (0x02, 0, 0, 1),
            (0x61, 0, 0, 1),
            (0x0c, 0, 0, 0),
            (0x64, 0, 0, 2),
            (0x07, 0, 0, 0),
            (0x50, 0, 0, 1),
            (0x3c, 0, 0, 0),
            (0x16, 0, 0, 0),
        ],
        &[
            (0x20, 0, 0, 0),
            (0x94, 0, 0, 7),
            (0xa4, 0, 0, 9),
            (0x45, 1, 0, 3),
            (5, 0, 0, 1),
            (6, 0, 0, 1),
            (6, 0, 0, 0),
        ],
    ];
    let packet: Vec<u8> = (0..40).map(|n| if n == 14 { 0x45 } else { n }).collect();
    let make = |code: &&[(u8, u8, u8, u32)]| {
        let mut data = vec![40];
        data.extend(&packet);
        data.extend((0..40).map(|n| if n % 3 == 0 { 0xf0 } else { 0_u8 }));
        for &(op, yes, no, k) in *code {
            data.extend([op, 0, yes, no]);
            data.extend(k.to_le_bytes());
        }
        data
    };
    programs.iter().map(make).collect()
}
