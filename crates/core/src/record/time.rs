//! Time stamps: from the units of a capture to nanoseconds since the epoch.

const NS_PER_S: u64 = 1_000_000_000;

/// Resolution of an interface's time stamps, as `if_tsresol` of pcapng writes it:
/// units of 10⁻ⁿ s, or of 2⁻ⁿ s when the highest bit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TsResol {
    raw: u8,
    scale: Scale,
}

/// The arithmetic behind a resolution, worked out once per interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// Nanoseconds in a unit.
    Times(u64),
    /// Units in a nanosecond; 0 stands for more units than 64 bits can count.
    Over(u64),
    /// Units are 2⁻ⁿ seconds.
    Binary(u8),
}

impl TsResol {
    /// Microseconds: what pcap has, and pcapng without the option.
    pub const MICRO: Self = Self::from_raw(6);
    /// Nanoseconds.
    pub const NANO: Self = Self::from_raw(9);

    /// The resolution of an `if_tsresol` byte. All 256 have a meaning.
    pub const fn from_raw(raw: u8) -> Self {
        let exponent = raw & 0x7f;
        let scale = if raw & 0x80 != 0 {
            Scale::Binary(exponent)
        } else if exponent <= 9 {
            Scale::Times(10u64.pow(9 - exponent as u32))
        } else if exponent <= 28 {
            Scale::Over(10u64.pow(exponent as u32 - 9))
        } else {
            Scale::Over(0)
        };
        Self { raw, scale }
    }

    /// Whether some of its times are no whole microseconds.
    pub const fn is_finer_than_micro(self) -> bool {
        match self.scale {
            Scale::Times(ns) => ns < 1000,
            Scale::Over(_) => true,
            Scale::Binary(exponent) => exponent > 6,
        }
    }

    /// The `if_tsresol` byte.
    pub const fn raw(self) -> u8 {
        self.raw
    }

    /// Nanoseconds since the epoch of `units` counted from `offset_s` seconds after the
    /// epoch. Fractions of a nanosecond are cut off; what does not fit saturates.
    #[inline]
    pub fn to_ns(self, units: u64, offset_s: i64) -> i64 {
        if let (Scale::Times(ns), 0) = (self.scale, offset_s) {
            return units.checked_mul(ns).map_or(i64::MAX, |t| i64::try_from(t).unwrap_or(i64::MAX));
        }
        let ns = match self.scale {
            Scale::Times(ns) => u128::from(units) * u128::from(ns),
            Scale::Over(0) => 0,
            Scale::Over(count) => u128::from(units / count),
            // 2⁶⁴ units · 10⁹ stay below 2⁹⁴, and the shift below 128
            Scale::Binary(exponent) => (u128::from(units) * u128::from(NS_PER_S)) >> exponent,
        };
        let sum = ns as i128 + i128::from(offset_s) * i128::from(NS_PER_S);
        sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// The smallest count of units that [`to_ns`](Self::to_ns) reads as `ns` or more, with no
    /// offset; times before the epoch and beyond 64 bits saturate.
    pub fn from_ns(self, ns: i64) -> u64 {
        let ns = u128::from(ns.max(0) as u64);
        let units = match self.scale {
            Scale::Times(per) => ns.div_ceil(u128::from(per)),
            Scale::Over(0) => u128::MAX * u128::from(ns != 0),
            Scale::Over(count) => ns * u128::from(count),
            Scale::Binary(exponent) if exponent <= 64 => (ns << exponent).div_ceil(u128::from(NS_PER_S)),
            Scale::Binary(_) => u128::MAX * u128::from(ns != 0),
        };
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}
