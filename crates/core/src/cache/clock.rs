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

    /// A duration in ticks, at least one.
    pub fn ticks(ns: i64) -> f64 {
        (ns as f64 / f64::from(1_u32 << TICK)).max(1.0)
    }

    /// Ticks as a duration in ns.
    pub fn ns(ticks: u32) -> i64 {
        i64::from(ticks) << TICK
    }
}
