//! The clock of the store: it goes with the packets' times, only forwards, and no jump moves it far.

/// Nanoseconds in a tick, as a power of two: 34 ms. Ticks have 32 bits: 4.5 years.
const TICK: u32 = 25;
/// One packet moves the clock by an hour at most.
const MOST_NS: i64 = 3_600_000_000_000;
/// So many packets in a row that are an hour or more behind: the packets' clock was set back.
const SET_BACK: u32 = 64;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// Nanoseconds since the first packet.
    now: i64,
    /// The largest packet time, since the packets' clock was set back the last time.
    top: Option<i64>,
    behind: u32,
}

impl Clock {
    /// A packet of this time came. Returns the tick.
    #[inline]
    pub fn packet(&mut self, time: i64) -> u32 {
        let top = *self.top.get_or_insert(time);
        let ahead = time.saturating_sub(top);
        if ahead >= 0 {
            self.now = self.now.saturating_add(ahead.min(MOST_NS));
            self.top = Some(time);
            self.behind = 0;
        } else if ahead <= -MOST_NS {
            self.behind += 1;
            if self.behind >= SET_BACK {
                self.top = Some(time);
                self.behind = 0;
            }
        } else {
            self.behind = 0;
        }
        self.tick()
    }

    /// The tick it is now.
    pub fn tick(&self) -> u32 {
        (self.now >> TICK).min(i64::from(u32::MAX)) as u32
    }

    /// What has to be kept of it.
    pub fn save(&self) -> [u8; 17] {
        let mut out = [0; 17];
        out[..8].copy_from_slice(&self.now.to_le_bytes());
        out[8..16].copy_from_slice(&self.top.unwrap_or(0).to_le_bytes());
        out[16] = u8::from(self.top.is_some());
        out
    }

    /// Goes on from there.
    pub fn load(&mut self, saved: [u8; 17]) {
        let number = |at: usize| {
            let mut raw = [0; 8];
            raw.copy_from_slice(&saved[at..at + 8]);
            i64::from_le_bytes(raw)
        };
        *self = Self { now: number(0).max(0), top: (saved[16] != 0).then(|| number(8)), behind: 0 };
    }

    /// A duration in ticks, at least one.
    pub fn ticks(ns: i64) -> f64 {
        (ns as f64 / f64::from(1_u32 << TICK)).max(1.0)
    }

    /// Ticks as a duration in ns.
    pub fn ns(ticks: u32) -> i64 {
        i64::from(ticks) << TICK
    }
}
