//! Runs a program over a packet of which only some bits are known.
//!
//! A comparison that the known bits do not decide ends the run with [`Partly::Undecided`]. So what is said is true
//! of every packet that has the known bits, whatever the others are and however long it is.

use super::program::{Op, Program, MEMORY};

/// Where an undecided comparison got its bits from, when it is the packet's length.
pub const LENGTH: u32 = u32::MAX;

/// What a program says of a packet that is known in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partly {
    /// Every such packet matches.
    Match,
    /// None does.
    NoMatch,
    /// It depends on what is not known: the byte at this offset, or the length ([`LENGTH`]).
    Undecided(u32),
}

/// A number of which some bits may be unknown; those are 0 in `bits`.
#[derive(Clone, Copy, Debug)]
struct Value {
    bits: u32,
    unknown: u32,
    /// Where the unknown bits are from.
    from: u32,
}

impl Value {
    const ZERO: Self = Self::known(0);

    const fn known(bits: u32) -> Self {
        Self { bits, unknown: 0, from: 0 }
    }

    const fn nothing(from: u32) -> Self {
        Self { bits: 0, unknown: u32::MAX, from }
    }

    /// The number, or where what is unknown of it is from.
    fn all(self) -> Result<u32, Partly> {
        if self.unknown == 0 {
            Ok(self.bits)
        } else {
            Err(Partly::Undecided(self.from))
        }
    }

    fn most(self) -> u32 {
        self.bits | self.unknown
    }

    fn with(self, other: Self, bits: u32, unknown: u32) -> Self {
        let from = if self.unknown == 0 { other.from } else { self.from };
        Self { bits: bits & !unknown, unknown, from }
    }

    fn and(self, other: Self) -> Self {
        let maybe = self.most() & other.most();
        let bits = self.bits & other.bits;
        self.with(other, bits, maybe & !bits)
    }

    fn or(self, other: Self) -> Self {
        let bits = self.bits | other.bits;
        self.with(other, bits, (self.unknown | other.unknown) & !bits)
    }

    fn xor(self, other: Self) -> Self {
        self.with(other, self.bits ^ other.bits, self.unknown | other.unknown)
    }

    fn shift(self, by: Self, shift: fn(u32, u32) -> Option<u32>) -> Self {
        match by.all() {
            Ok(n) => Self {
                bits: shift(self.bits, n).unwrap_or(0),
                unknown: shift(self.unknown, n).unwrap_or(0),
                from: self.from,
            },
            Err(_) => Self::nothing(by.from),
        }
    }

    /// Arithmetic in which every bit may depend on every other.
    fn arithmetic(self, other: Self, op: fn(u32, u32) -> u32) -> Self {
        if self.unknown | other.unknown == 0 {
            Self::known(op(self.bits, other.bits))
        } else {
            self.with(other, 0, u32::MAX)
        }
    }

    fn divided(self, other: Self, op: fn(u32, u32) -> Option<u32>) -> Result<Self, Partly> {
        let by = other.all()?;
        if by == 0 {
            return Err(Partly::NoMatch);
        }
        Ok(match self.all() {
            Ok(a) => Self::known(op(a, by).unwrap_or(0)),
            Err(_) => Self::nothing(self.from),
        })
    }

    fn compared(self, other: Self, yes: bool, no: bool) -> Result<bool, Partly> {
        match (yes, no) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(Partly::Undecided(self.with(other, 0, u32::MAX).from)),
        }
    }

    fn equals(self, other: Self) -> Result<bool, Partly> {
        let unknown = self.unknown | other.unknown;
        let differ = (self.bits ^ other.bits) & !unknown != 0;
        self.compared(other, unknown == 0 && !differ, differ)
    }

    fn exceeds(self, other: Self) -> Result<bool, Partly> {
        self.compared(other, self.bits > other.most(), self.most() <= other.bits)
    }

    fn reaches(self, other: Self) -> Result<bool, Partly> {
        self.compared(other, self.bits >= other.most(), self.most() < other.bits)
    }

    fn shares(self, other: Self) -> Result<bool, Partly> {
        let both = self.and(other);
        both.compared(Self::ZERO, both.bits != 0, both.unknown == 0)
    }
}

/// A packet of which some bits are known.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The bytes; unknown bits count as nothing.
    pub data: &'a [u8],
    /// Set bits are unknown; as long as `data`. All that is behind is unknown, too.
    pub unknown: &'a [u8],
}

impl Known<'_> {
    fn load(&self, at: u64, width: u64) -> Result<Value, Partly> {
        let beyond = Partly::Undecided(at.min(u64::from(LENGTH - 1)) as u32);
        let start = usize::try_from(at).map_err(|_| beyond)?;
        let range = start..start.checked_add(width as usize).ok_or(beyond)?;
        let (Some(data), Some(unknown)) = (self.data.get(range.clone()), self.unknown.get(range)) else {
            return Err(beyond);
        };
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b));
        let unknown = number(unknown);
        Ok(Value { bits: number(data) & !unknown, unknown, from: at as u32 })
    }
}

impl Program {
    /// What the program says of every packet that begins with these bits.
    ///
    /// The length of an IPv4 header, as `ldxb 4*([k]&0xf)` loads it, counts as known: it only says where the
    /// next header is.
    pub fn run_partly(&self, packet: Known<'_>) -> Partly {
        match self.returns_partly(packet) {
            Ok(0) => Partly::NoMatch,
            Ok(_) => Partly::Match,
            Err(verdict) => verdict,
        }
    }

    fn returns_partly(&self, packet: Known<'_>) -> Result<u32, Partly> {
        let (mut a, mut x) = (Value::ZERO, Value::ZERO);
        let mut memory = [Value::ZERO; MEMORY];
        let mut at = 0;
        while let Some(i) = self.code.get(at) {
            at += 1;
            let (k, slot) = (Value::known(i.k), i.k as usize % MEMORY);
            let here = u64::from(i.k);
            let mut holds = None;
            match i.op {
                Op::LoadWord => a = packet.load(here, 4)?,
                Op::LoadHalf => a = packet.load(here, 2)?,
                Op::LoadByte => a = packet.load(here, 1)?,
                Op::LoadWordAtX => a = packet.load(here + u64::from(x.all()?), 4)?,
                Op::LoadHalfAtX => a = packet.load(here + u64::from(x.all()?), 2)?,
                Op::LoadByteAtX => a = packet.load(here + u64::from(x.all()?), 1)?,
                Op::LoadImm => a = k,
                Op::LoadMem => a = memory[slot],
                Op::LoadLen => a = Value::nothing(LENGTH),
                Op::LoadXImm => x = k,
                Op::LoadXMem => x = memory[slot],
                Op::LoadXLen => x = Value::nothing(LENGTH),
                Op::LoadXHeader => {
                    packet.load(here, 1)?;
                    x = Value::known(u32::from(packet.data[i.k as usize] & 15) * 4);
                }
                Op::Store => memory[slot] = a,
                Op::StoreX => memory[slot] = x,
                Op::AddK => a = a.arithmetic(k, u32::wrapping_add),
                Op::SubK => a = a.arithmetic(k, u32::wrapping_sub),
                Op::MulK => a = a.arithmetic(k, u32::wrapping_mul),
                Op::DivK => a = a.divided(k, u32::checked_div)?,
                Op::ModK => a = a.divided(k, u32::checked_rem)?,
                Op::AndK => a = a.and(k),
                Op::OrK => a = a.or(k),
                Op::XorK => a = a.xor(k),
                Op::ShiftLeftK => a = a.shift(k, u32::checked_shl),
                Op::ShiftRightK => a = a.shift(k, u32::checked_shr),
                Op::AddX => a = a.arithmetic(x, u32::wrapping_add),
                Op::SubX => a = a.arithmetic(x, u32::wrapping_sub),
                Op::MulX => a = a.arithmetic(x, u32::wrapping_mul),
                Op::DivX => a = a.divided(x, u32::checked_div)?,
                Op::ModX => a = a.divided(x, u32::checked_rem)?,
                Op::AndX => a = a.and(x),
                Op::OrX => a = a.or(x),
                Op::XorX => a = a.xor(x),
                Op::ShiftLeftX => a = a.shift(x, u32::checked_shl),
                Op::ShiftRightX => a = a.shift(x, u32::checked_shr),
                Op::Negate => a = Value::ZERO.arithmetic(a, u32::wrapping_sub),
                Op::Jump => at += i.k as usize,
                Op::JumpEqualK => holds = Some(a.equals(k)?),
                Op::JumpGreaterK => holds = Some(a.exceeds(k)?),
                Op::JumpAtLeastK => holds = Some(a.reaches(k)?),
                Op::JumpBitsK => holds = Some(a.shares(k)?),
                Op::JumpEqualX => holds = Some(a.equals(x)?),
                Op::JumpGreaterX => holds = Some(a.exceeds(x)?),
                Op::JumpAtLeastX => holds = Some(a.reaches(x)?),
                Op::JumpBitsX => holds = Some(a.shares(x)?),
                Op::ReturnK => return Ok(i.k),
                Op::ReturnA => return a.all(),
                Op::AToX => x = a,
                Op::XToA => a = x,
            }
            if let Some(holds) = holds {
                at += usize::from(if holds { i.yes } else { i.no });
            }
        }
        Ok(0)
    }
}
