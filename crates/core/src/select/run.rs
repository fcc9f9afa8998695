//! Runs a program over a packet.

use super::program::{Op, Program, MEMORY};

impl Program {
    /// What the program returns for a packet of which `data` was captured and that had `wirelen` bytes on the wire;
    /// 0 means that it does not match.
    ///
    /// As in libpcap, a load that is not wholly inside `data` and a division by zero end the program with 0. A shift
    /// by 32 bits or more gives 0.
    pub fn run(&self, data: &[u8], wirelen: u32) -> u32 {
        self.returns(data, wirelen).unwrap_or(0)
    }

    #[inline]
    fn returns(&self, data: &[u8], wirelen: u32) -> Option<u32> {
        let (mut a, mut x) = (0_u32, 0_u32);
        let mut memory = [0_u32; MEMORY];
        let mut rest = self.code.iter();
        loop {
            let i = rest.next()?;
            let k = i.k;
            let (here, at_x) = (u64::from(k), u64::from(k) + u64::from(x));
            // Memory is verified to exist; the mask only tells the compiler.
            let slot = k as usize % MEMORY;
            let holds = match i.op {
                Op::JumpEqualK => a == k,
                Op::JumpGreaterK => a > k,
                Op::JumpAtLeastK => a >= k,
                Op::JumpBitsK => a & k != 0,
                Op::JumpEqualX => a == x,
                Op::JumpGreaterX => a > x,
                Op::JumpAtLeastX => a >= x,
                Op::JumpBitsX => a & x != 0,
                other => {
                    match other {
                        Op::LoadWord => a = word(data, here)?,
                        Op::LoadHalf => a = half(data, here)?,
                        Op::LoadByte => a = byte(data, here)?,
                        Op::LoadWordAtX => a = word(data, at_x)?,
                        Op::LoadHalfAtX => a = half(data, at_x)?,
                        Op::LoadByteAtX => a = byte(data, at_x)?,
                        Op::LoadImm => a = k,
                        Op::LoadMem => a = memory[slot],
                        Op::LoadLen => a = wirelen,
                        Op::LoadXImm => x = k,
                        Op::LoadXMem => x = memory[slot],
                        Op::LoadXLen => x = wirelen,
                        Op::LoadXHeader => x = (byte(data, here)? & 15) * 4,
                        Op::Store => memory[slot] = a,
                        Op::StoreX => memory[slot] = x,
                        Op::AddK => a = a.wrapping_add(k),
                        Op::SubK => a = a.wrapping_sub(k),
                        Op::MulK => a = a.wrapping_mul(k),
                        Op::DivK => a = a.checked_div(k)?,
                        Op::ModK => a = a.checked_rem(k)?,
                        Op::AndK => a &= k,
                        Op::OrK => a |= k,
                        Op::XorK => a ^= k,
                        Op::ShiftLeftK => a = a.checked_shl(k).unwrap_or(0),
                        Op::ShiftRightK => a = a.checked_shr(k).unwrap_or(0),
                        Op::AddX => a = a.wrapping_add(x),
                        Op::SubX => a = a.wrapping_sub(x),
                        Op::MulX => a = a.wrapping_mul(x),
                        Op::DivX => a = a.checked_div(x)?,
                        Op::ModX => a = a.checked_rem(x)?,
                        Op::AndX => a &= x,
                        Op::OrX => a |= x,
                        Op::XorX => a ^= x,
                        Op::ShiftLeftX => a = a.checked_shl(x).unwrap_or(0),
                        Op::ShiftRightX => a = a.checked_shr(x).unwrap_or(0),
                        Op::Negate => a = a.wrapping_neg(),
                        Op::AToX => x = a,
                        Op::XToA => a = x,
                        Op::Jump => skip(&mut rest, k as usize),
                        Op::ReturnK => return Some(k),
                        Op::ReturnA => return Some(a),
                        _ => {}
                    }
                    continue;
                }
            };
            skip(&mut rest, usize::from(if holds { i.yes } else { i.no }));
        }
    }
}

#[inline(always)]
fn skip<T>(rest: &mut std::slice::Iter<'_, T>, n: usize) {
    *rest = rest.as_slice().get(n..).unwrap_or_default().iter();
}

#[inline(always)]
fn load<const N: usize>(data: &[u8], at: u64) -> Option<[u8; N]> {
    data.get(usize::try_from(at).ok()?..)?.first_chunk().copied()
}

#[inline(always)]
fn word(data: &[u8], at: u64) -> Option<u32> {
    load(data, at).map(u32::from_be_bytes)
}

#[inline(always)]
fn half(data: &[u8], at: u64) -> Option<u32> {
    load(data, at).map(|bytes| u32::from(u16::from_be_bytes(bytes)))
}

#[inline(always)]
fn byte(data: &[u8], at: u64) -> Option<u32> {
    load::<1>(data, at).map(|[byte]| u32::from(byte))
}
