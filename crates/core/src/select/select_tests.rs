//! Programs written by hand, hostile programs, and any programs against a slow and obvious model.

use proptest::prelude::*;

use super::*;

pub(super) type Raw = (u16, u8, u8, u32);

pub(super) fn bytes(code: &[Raw]) -> Vec<u8> {
    code.iter()
        .flat_map(|&(code, jt, jf, k)| {
            let [c0, c1] = code.to_le_bytes();
            let [k0, k1, k2, k3] = k.to_le_bytes();
            [c0, c1, jt, jf, k0, k1, k2, k3]
        })
        .collect()
}

pub(super) fn program(code: &[Raw]) -> Program {
    Program::decode(&bytes(code)).unwrap()
}

fn refused(code: &[Raw]) -> BadProgram {
    Program::decode(&bytes(code)).unwrap_err()
}

pub(super) const ACCEPT: Raw = (0x06, 0, 0, 262_144);
pub(super) const REJECT: Raw = (0x06, 0, 0, 0);
pub(super) const RETURN_A: Raw = (0x16, 0, 0, 0);

/// What the program returns for a packet of ten bytes, 0 to 9, that was 100 bytes long.
fn run(code: &[Raw]) -> u32 {
    program(code).run(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 100)
}

/// `tcp dst port 80` on Ethernet, IPv4 and IPv6.
fn tcp_dst_port_80() -> Program {
    program(&[
        (0x28, 0, 0, 12),
        (0x15, 0, 4, 0x86dd),
        (0x30, 0, 0, 20),
        (0x15, 0, 11, 6),
        (0x28, 0, 0, 56),
        (0x15, 8, 9, 80),
        (0x15, 0, 8, 0x800),
        (0x30, 0, 0, 23),
        (0x15, 0, 6, 6),
        (0x28, 0, 0, 20),
        (0x45, 4, 0, 0x1fff),
        (0xb1, 0, 0, 14),
        (0x48, 0, 0, 16),
        (0x15, 0, 1, 80),
        ACCEPT,
        REJECT,
    ])
}

/// An IPv4 packet on Ethernet with an option, so that its header has 24 bytes.
fn tcp_packet(port: u16, fragment: u16) -> Vec<u8> {
    let mut p = vec![0; 12];
    p.extend([8, 0, 0x46, 0, 0, 44, 0, 1]);
    p.extend(fragment.to_be_bytes());
    p.extend([64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 1, 0x9c, 0x40]);
    p.extend(port.to_be_bytes());
    p.extend([0; 16]);
    p
}

#[test]
fn a_port_is_found_behind_a_header_of_any_length() {
    let filter = tcp_dst_port_80();
    assert_ne!(filter.run(&tcp_packet(80, 0), 58), 0);
    assert_eq!(filter.run(&tcp_packet(81, 0), 58), 0);
    assert_ne!(filter.run(&tcp_packet(80, 0x2000), 58), 0, "a first fragment has ports");
    assert_eq!(filter.run(&tcp_packet(80, 7), 58), 0, "a later one has none");
}

#[test]
fn a_load_that_is_not_wholly_inside_rejects() {
    let packet = tcp_packet(80, 0);
    let filter = tcp_dst_port_80();
    for cut in 0..packet.len() {
        // The last byte that is looked at is the second one of the port.
        assert_eq!(filter.run(&packet[..cut], 58) != 0, cut >= 42, "{cut}");
    }
    for (code, last) in [(0x20, 6), (0x28, 8), (0x30, 9)] {
        assert_eq!(run(&[(code, 0, 0, last), ACCEPT]), 262_144);
        assert_eq!(run(&[(code, 0, 0, last + 1), ACCEPT]), 0);
        assert_eq!(run(&[(0x01, 0, 0, 2), (code + 0x20, 0, 0, last - 2), ACCEPT]), 262_144);
        assert_eq!(run(&[(0x01, 0, 0, 3), (code + 0x20, 0, 0, last - 2), ACCEPT]), 0);
    }
    assert_eq!(run(&[(0xb1, 0, 0, 9), ACCEPT]), 262_144);
    assert_eq!(run(&[(0xb1, 0, 0, 10), ACCEPT]), 0);
    assert_eq!(program(&[(0x30, 0, 0, 0), ACCEPT]).run(&[], 0), 0);
}

#[test]
fn index_and_constant_do_not_wrap_around() {
    assert_eq!(run(&[(0x01, 0, 0, u32::MAX), (0x50, 0, 0, 3), RETURN_A]), 0);
    assert_eq!(run(&[(0x01, 0, 0, 3), (0x50, 0, 0, u32::MAX), RETURN_A]), 0);
    assert_eq!(run(&[(0x30, 0, 0, 0xffff_efff), ACCEPT]), 0);
}

#[test]
fn loads_are_big_endian_and_the_length_is_that_on_the_wire() {
    assert_eq!(run(&[(0x20, 0, 0, 1), RETURN_A]), 0x0102_0304);
    assert_eq!(run(&[(0x28, 0, 0, 1), RETURN_A]), 0x0102);
    assert_eq!(run(&[(0x30, 0, 0, 7), RETURN_A]), 7);
    assert_eq!(run(&[(0x80, 0, 0, 0), RETURN_A]), 100);
    assert_eq!(run(&[(0x81, 0, 0, 0), (0x87, 0, 0, 0), RETURN_A]), 100);
    assert_eq!(run(&[(0xb1, 0, 0, 7), (0x87, 0, 0, 0), RETURN_A]), 28);
}

#[test]
fn arithmetic_is_unsigned_and_wraps() {
    let of = |code, a, k| run(&[(0x00, 0, 0, a), (code, 0, 0, k), RETURN_A]);
    assert_eq!(of(0x04, u32::MAX, 2), 1);
    assert_eq!(of(0x14, 1, 2), u32::MAX);
    assert_eq!(of(0x24, 1 << 31, 2), 0);
    assert_eq!(of(0x34, u32::MAX, 2), u32::MAX / 2);
    assert_eq!(of(0x94, 17, 5), 2);
    assert_eq!(of(0xa4, 0b1100, 0b1010), 0b0110);
    assert_eq!(of(0x64, 1, 31), 1 << 31);
    assert_eq!(of(0x64, 1, 32), 0);
    assert_eq!(of(0x74, u32::MAX, 31), 1);
    assert_eq!(of(0x74, u32::MAX, 200), 0);
    assert_eq!(of(0x84, 1, 0), u32::MAX);
}

#[test]
fn division_by_an_index_of_zero_rejects() {
    for code in [0x3c, 0x9c] {
        assert_eq!(run(&[(0x00, 0, 0, 9), (code, 0, 0, 0), ACCEPT]), 0);
        assert_eq!(run(&[(0x00, 0, 0, 9), (0x01, 0, 0, 2), (code, 0, 0, 0), ACCEPT]), 262_144);
    }
}

#[test]
fn memory_begins_with_zeros_for_every_packet() {
    let counts = program(&[(0x60, 0, 0, 15), (0x04, 0, 0, 1), (0x02, 0, 0, 15), (0x60, 0, 0, 15), RETURN_A]);
    assert_eq!((counts.run(&[], 0), counts.run(&[], 0)), (1, 1));
}

#[test]
fn comparisons_are_unsigned() {
    let of = |code, k| run(&[(0x00, 0, 0, 0x8000_0000), (code, 0, 1, k), ACCEPT, REJECT]) != 0;
    assert!(of(0x25, 1) && !of(0x25, 0x8000_0000) && of(0x35, 0x8000_0000) && !of(0x35, 0x8000_0001));
    assert!(of(0x15, 0x8000_0000) && !of(0x15, 0) && of(0x45, 0xc000_0000) && !of(0x45, 0x4000_0000));
}

#[test]
fn hostile_programs_are_refused_and_say_which_instruction() {
    assert_eq!(Program::decode(&[]), Err(BadProgram::Length(0)));
    assert_eq!(Program::decode(&[6, 0, 0, 0, 0, 0, 0]), Err(BadProgram::Length(7)));
    assert_eq!(refused(&vec![REJECT; MAX_INSTRUCTIONS + 1]), BadProgram::TooLong(MAX_INSTRUCTIONS + 1));
    assert_eq!(program(&vec![REJECT; MAX_INSTRUCTIONS]).len(), MAX_INSTRUCTIONS);
    assert_eq!(refused(&[(0x00, 0, 0, 0)]), BadProgram::NoReturn);
    assert_eq!(refused(&[ACCEPT, (0x05, 0, 0, 0)]), BadProgram::Jump(1));
    for back in [u32::MAX, 0xffff_fffe, 2] {
        assert_eq!(refused(&[REJECT, (0x05, 0, 0, back), REJECT, REJECT]), BadProgram::Jump(1), "{back}");
    }
    assert_eq!(refused(&[(0x15, 1, 0, 0), REJECT]), BadProgram::Jump(0));
    assert_eq!(refused(&[(0x1d, 0, 255, 0), REJECT]), BadProgram::Jump(0));
    for code in [0x02, 0x03, 0x60, 0x61] {
        assert_eq!(refused(&[(code, 0, 0, 16), REJECT]), BadProgram::Memory(0));
        program(&[(code, 0, 0, 15), REJECT]);
    }
    assert_eq!(refused(&[(0x34, 0, 0, 0), REJECT]), BadProgram::DivisionByZero(0));
    assert_eq!(refused(&[(0x94, 0, 0, 0), REJECT]), BadProgram::DivisionByZero(0));
    for code in [0x20, 0x28, 0x30] {
        assert_eq!(refused(&[REJECT, (code, 0, 0, 0xffff_f004), REJECT]), BadProgram::Ancillary(1));
    }
}

#[test]
fn only_the_operations_of_classic_bpf_exist() {
    let known = (0..=u16::MAX).filter(|&code| {
        Program::decode(&bytes(&[(code, 0, 0, 1), REJECT])) != Err(BadProgram::Operation { at: 0, code })
    });
    // `ja 1` is known, too: it is refused for its target.
    assert_eq!(known.count(), OPERATIONS.len());
}

#[test]
fn a_filter_has_a_rule_for_each_link_type() {
    let longer = |k| program(&[(0x80, 0, 0, 0), (0x25, 0, 1, k), ACCEPT, REJECT]);
    let filter = Filter::new([
        (1, Rule::Program(longer(10))),
        (105, Rule::Refused("no".to_owned())),
        (101, Rule::Program(longer(20))),
        (101, Rule::Program(longer(30))),
        (0, Rule::Family { little: longer(10), big: longer(20) }),
    ]);
    let says = |link, wirelen| filter.verdict(link, &[2, 0, 0, 0], wirelen);
    assert_eq!((says(1, 10), says(1, 11)), (Verdict::NoMatch, Verdict::Match));
    assert_eq!((says(101, 30), says(101, 31)), (Verdict::NoMatch, Verdict::Match));
    assert_eq!(
        (says(105, 99), says(113, 99), says(65535, 99)),
        (Verdict::Refused, Verdict::Refused, Verdict::Refused)
    );
    assert_eq!((filter.refusal(1), filter.refusal(105)), (None, Some("no")));
    assert!(filter.refusal(113).is_some());
    assert_eq!(filter.verdict(0, &[2, 0, 0, 0], 15), Verdict::Match);
    assert_eq!(filter.verdict(0, &[0, 0, 0, 2], 15), Verdict::NoMatch);
    assert_eq!(filter.verdict(0, &[0, 0, 0, 2], 25), Verdict::Match);
    assert_eq!(filter.verdict(0, &[0, 0], 15), Verdict::Match);
}

/// The model: reads the fields of each code as the paper defines them and counts instructions one by one.
fn model(code: &[Raw], packet: &[u8], wirelen: u32) -> u32 {
    let (mut a, mut x, mut pc) = (0_u32, 0_u32, 0_usize);
    let mut memory = [0_u32; 16];
    loop {
        let (code, jt, jf, k) = code[pc];
        pc += 1;
        let (class, size, mode, op, source) = (code & 7, code & 0x18, code & 0xe0, code & 0xf0, code & 8);
        let operand = if source == 8 { x } else { k };
        match class {
            0 | 1 => {
                let start = match mode {
                    0x20 => Some(u128::from(k)),
                    0x40 => Some(u128::from(k) + u128::from(x)),
                    0xa0 => Some(u128::from(k)),
                    _ => None,
                };
                let value = if let Some(start) = start {
                    let width = match size {
                        0 => 4,
                        8 => 2,
                        _ => 1,
                    };
                    if start + width > packet.len() as u128 {
                        return 0;
                    }
                    let part = &packet[start as usize..(start + width) as usize];
                    part.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b))
                } else {
                    match mode {
                        0 => k,
                        0x60 => memory[k as usize],
                        _ => wirelen,
                    }
                };
                if mode == 0xa0 {
                    x = 4 * (value & 15);
                } else if class == 0 {
                    a = value;
                } else {
                    x = value;
                }
            }
            2 => memory[k as usize] = a,
            3 => memory[k as usize] = x,
            4 => {
                let (l, r) = (u64::from(a), u64::from(operand));
                let result = match op {
                    0x00 => l + r,
                    0x10 => l + (1 << 32) - r,
                    0x20 => l * r,
                    0x30 | 0x90 if r == 0 => return 0,
                    0x30 => l / r,
                    0x40 => l | r,
                    0x50 => l & r,
                    0x60 => {
                        if r < 32 {
                            l << r
                        } else {
                            0
                        }
                    }
                    0x70 => {
                        if r < 32 {
                            l >> r
                        } else {
                            0
                        }
                    }
                    0x80 => (1 << 32) - l,
                    0x90 => l % r,
                    _ => l ^ r,
                };
                a = (result % (1 << 32)) as u32;
            }
            5 => {
                let holds = match op {
                    0x00 => {
                        pc += k as usize;
                        continue;
                    }
                    0x10 => a == operand,
                    0x20 => a > operand,
                    0x30 => a >= operand,
                    _ => a & operand != 0,
                };
                pc += usize::from(if holds { jt } else { jf });
            }
            6 => return if code & 0x18 == 0x10 { a } else { k },
            _ => {
                if code & 0xf8 == 0x80 {
                    a = x;
                } else {
                    x = a;
                }
            }
        }
    }
}

/// All operations of classic BPF.
pub(super) const OPERATIONS: [u16; 49] = [
    0x00, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x80, 0x01, 0x61, 0x81, 0xb1, 0x02, 0x03, 0x04, 0x14,
    0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0x94, 0xa4, 0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c,
    0x9c, 0xac, 0x05, 0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d, 0x06, 0x16, 0x07, 0x87,
];

pub(super) fn constant() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0_u32..40, 2 => any::<u32>(), 1 => Just(u32::MAX), 1 => Just(0x8000_0000_u32)]
}

fn instruction() -> impl Strategy<Value = Raw> {
    // Returns are rare, so that programs run for a while.
    let op = prop::sample::select(&OPERATIONS[..]).prop_filter("a return", |op| op & 7 != 6);
    let op = prop_oneof![20 => op, 1 => Just(0x06_u16), 1 => Just(0x16_u16)];
    (op, any::<u8>(), any::<u8>(), constant())
}

/// Makes of any instructions a program that verifies.
pub(super) fn tamed(mut code: Vec<Raw>, last: Raw) -> Vec<Raw> {
    code.push(last);
    let len = code.len();
    for (at, (op, jt, jf, k)) in code.iter_mut().enumerate() {
        let behind = (len - at - 1).max(1);
        match *op {
            0x05 => *k %= behind as u32,
            0x02 | 0x03 | 0x60 | 0x61 => *k %= 16,
            0x34 | 0x94 => *k = (*k).max(1),
            0x20 | 0x28 | 0x30 => *k %= 0xffff_f000,
            op if op & 7 == 5 => {
                *jt = (usize::from(*jt) % behind) as u8;
                *jf = (usize::from(*jf) % behind) as u8;
            }
            _ => {}
        }
    }
    code
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn any_program_returns_what_the_model_says(
        code in prop::collection::vec(instruction(), 0..60),
        last in prop::sample::select(vec![ACCEPT, RETURN_A]),
        packet in prop::collection::vec(any::<u8>(), 0..60),
        wirelen: u32,
    ) {
        let code = tamed(code, last);
        prop_assert_eq!(program(&code).run(&packet, wirelen), model(&code, &packet, wirelen), "{:x?}", code);
    }

    #[test]
    fn any_bytes_are_refused_or_run_to_an_end(
        code in prop::collection::vec((0_u16..0x100, any::<u8>(), any::<u8>(), constant()), 0..12),
        packet in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut code: Vec<Raw> = code.into_iter().map(|(op, jt, jf, k)| (op, jt % 8, jf % 8, k)).collect();
        code.push(RETURN_A);
        if let Ok(good) = Program::decode(&bytes(&code)) {
            prop_assert_eq!(good.run(&packet, 60), model(&code, &packet, 60), "{:x?}", code);
        }
    }
}
