//! From the bytes of a classic BPF program to instructions that are safe to run.
//!
//! The instruction set is that of McCanne and Jacobson, "The BSD Packet Filter" (USENIX Winter 1993), §3.3, with
//! `mod` and `xor`, which libpcap has added.

use std::fmt;

/// More instructions than any filter has that a person or a program writes in earnest.
pub const MAX_INSTRUCTIONS: usize = 1 << 16;

/// Bytes of an instruction.
const SIZE: usize = 8;

/// Words of scratch memory.
pub(super) const MEMORY: usize = 16;

/// Absolute loads from here on ask the Linux kernel for what it knows of a packet besides its bytes.
const ANCILLARY: u32 = 0xffff_f000;

/// Why bytes are no program that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadProgram {
    /// The length is no multiple of eight bytes, or zero.
    Length(usize),
    /// There are more than [`MAX_INSTRUCTIONS`].
    TooLong(usize),
    /// An instruction has an operation that does not exist.
    Operation {
        /// Number of the instruction, from 0.
        at: usize,
        /// Its operation code.
        code: u16,
    },
    /// An instruction jumps behind the last one. Jumps back look like this, too.
    Jump(usize),
    /// An instruction uses scratch memory that does not exist.
    Memory(usize),
    /// An instruction divides by a constant zero.
    DivisionByZero(usize),
    /// An instruction loads what only the kernel knows.
    Ancillary(usize),
    /// The last instruction does not return.
    NoReturn,
}

impl fmt::Display for BadProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(n) => {
                write!(f, "a program is one or more instructions of {SIZE} bytes, here are {n} bytes")
            }
            Self::TooLong(n) => {
                write!(
                    f,
                    "the filter needs {n} instructions, at most {MAX_INSTRUCTIONS} are run: write a shorter one"
                )
            }
            Self::Operation { at, code } => write!(f, "instruction {at}: there is no operation {code:#06x}"),
            Self::Jump(at) => write!(
                f,
                "instruction {at} jumps back or past the end: filters with loops (protochain) are not run"
            ),
            Self::Memory(at) => write!(f, "instruction {at}: scratch memory has {MEMORY} words"),
            Self::DivisionByZero(at) => write!(f, "instruction {at} divides by zero"),
            Self::Ancillary(at) => write!(
                f,
                "instruction {at} asks for what only the kernel knows while it captures (interface, direction and \
                 such); a saved packet does not have it"
            ),
            Self::NoReturn => f.write_str("the last instruction is not a return"),
        }
    }
}

impl std::error::Error for BadProgram {}

/// What an instruction does. `A` is the accumulator, `X` the index, `K` the constant, `M` the memory, `P` the
/// packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    // A or X := …
    LoadWord,
    LoadHalf,
    LoadByte,
    LoadWordAtX,
    LoadHalfAtX,
    LoadByteAtX,
    LoadImm,
    LoadMem,
    LoadLen,
    LoadXImm,
    LoadXMem,
    LoadXLen,
    /// X := 4 · (P\[K\] & 15), the length of an IPv4 header.
    LoadXHeader,
    Store,
    StoreX,
    // A := A op …
    AddK,
    SubK,
    MulK,
    DivK,
    ModK,
    AndK,
    OrK,
    XorK,
    ShiftLeftK,
    ShiftRightK,
    AddX,
    SubX,
    MulX,
    DivX,
    ModX,
    AndX,
    OrX,
    XorX,
    ShiftLeftX,
    ShiftRightX,
    Negate,
    Jump,
    // A is compared with …
    JumpEqualK,
    JumpGreaterK,
    JumpAtLeastK,
    JumpBitsK,
    JumpEqualX,
    JumpGreaterX,
    JumpAtLeastX,
    JumpBitsX,
    ReturnK,
    ReturnA,
    AToX,
    XToA,
}

impl Op {
    /// The operation of a code, as in `pcap/bpf.h`.
    fn of(code: u16) -> Option<Self> {
        Some(match code {
            0x20 => Self::LoadWord,
            0x28 => Self::LoadHalf,
            0x30 => Self::LoadByte,
            0x40 => Self::LoadWordAtX,
            0x48 => Self::LoadHalfAtX,
            0x50 => Self::LoadByteAtX,
            0x00 => Self::LoadImm,
            0x60 => Self::LoadMem,
            0x80 => Self::LoadLen,
            0x01 => Self::LoadXImm,
            0x61 => Self::LoadXMem,
            0x81 => Self::LoadXLen,
            0xb1 => Self::LoadXHeader,
            0x02 => Self::Store,
            0x03 => Self::StoreX,
            0x04 => Self::AddK,
            0x14 => Self::SubK,
            0x24 => Self::MulK,
            0x34 => Self::DivK,
            0x44 => Self::OrK,
            0x54 => Self::AndK,
            0x64 => Self::ShiftLeftK,
            0x74 => Self::ShiftRightK,
            0x84 => Self::Negate,
            0x94 => Self::ModK,
            0xa4 => Self::XorK,
            0x0c => Self::AddX,
            0x1c => Self::SubX,
            0x2c => Self::MulX,
            0x3c => Self::DivX,
            0x4c => Self::OrX,
            0x5c => Self::AndX,
            0x6c => Self::ShiftLeftX,
            0x7c => Self::ShiftRightX,
            0x9c => Self::ModX,
            0xac => Self::XorX,
            0x05 => Self::Jump,
            0x15 => Self::JumpEqualK,
            0x25 => Self::JumpGreaterK,
            0x35 => Self::JumpAtLeastK,
            0x45 => Self::JumpBitsK,
            0x1d => Self::JumpEqualX,
            0x2d => Self::JumpGreaterX,
            0x3d => Self::JumpAtLeastX,
            0x4d => Self::JumpBitsX,
            0x06 => Self::ReturnK,
            0x16 => Self::ReturnA,
            0x07 => Self::AToX,
            0x87 => Self::XToA,
            _ => return None,
        })
    }
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub op: Op,
    /// Instructions that are jumped over when the comparison holds.
    pub yes: u8,
    /// And when it does not.
    pub no: u8,
    pub k: u32,
}

/// A program that ends on every packet: all jumps go forward and stay inside, and the last instruction returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(super) code: Box<[Instruction]>,
}

impl Program {
    /// Decodes and verifies a program: eight bytes an instruction, as `struct bpf_insn` lies in the memory of a
    /// little-endian machine (code, two jump offsets, constant).
    pub fn decode(bytes: &[u8]) -> Result<Self, BadProgram> {
        let (raw, rest) = bytes.as_chunks::<SIZE>();
        if !rest.is_empty() || raw.is_empty() {
            return Err(BadProgram::Length(bytes.len()));
        }
        if raw.len() > MAX_INSTRUCTIONS {
            return Err(BadProgram::TooLong(raw.len()));
        }
        let mut code = Vec::with_capacity(raw.len());
        for (at, &[c0, c1, yes, no, k0, k1, k2, k3]) in raw.iter().enumerate() {
            let number = u16::from_le_bytes([c0, c1]);
            let op = Op::of(number).ok_or(BadProgram::Operation { at, code: number })?;
            let instruction = Instruction { op, yes, no, k: u32::from_le_bytes([k0, k1, k2, k3]) };
            verify(at, instruction, raw.len())?;
            code.push(instruction);
        }
        match code.last().map(|last| last.op) {
            Some(Op::ReturnK | Op::ReturnA) => Ok(Self { code: code.into() }),
            _ => Err(BadProgram::NoReturn),
        }
    }

    /// Instructions.
    pub fn len(&self) -> usize {
        self.code.len()
    }

    /// Never: a program has a return at least.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty()
    }
}

fn verify(at: usize, i: Instruction, len: usize) -> Result<(), BadProgram> {
    // Instructions behind this one.
    let behind = len - at - 1;
    match i.op {
        Op::Jump if i.k as usize >= behind => Err(BadProgram::Jump(at)),
        Op::JumpEqualK
        | Op::JumpGreaterK
        | Op::JumpAtLeastK
        | Op::JumpBitsK
        | Op::JumpEqualX
        | Op::JumpGreaterX
        | Op::JumpAtLeastX
        | Op::JumpBitsX
            if usize::from(i.yes.max(i.no)) >= behind =>
        {
            Err(BadProgram::Jump(at))
        }
        Op::LoadMem | Op::LoadXMem | Op::Store | Op::StoreX if i.k as usize >= MEMORY => {
            Err(BadProgram::Memory(at))
        }
        Op::DivK | Op::ModK if i.k == 0 => Err(BadProgram::DivisionByZero(at)),
        Op::LoadWord | Op::LoadHalf | Op::LoadByte if i.k >= ANCILLARY => Err(BadProgram::Ancillary(at)),
        _ => Ok(()),
    }
}
