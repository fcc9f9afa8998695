//! From counts to bits.
//!
//! Of each position there are two ideas: it is *free*, its bytes come as chance has it, or it is the protocol's
//! *own*, and its bytes come as they were counted. The counts themselves say how likely each is (a Dirichlet
//! prior of weight [`WEIGHT`] around chance). A single example says little, so it is believed little; a position
//! that differs from example to example becomes free, and then says nothing; one that never changes says most.

/// Of an own position, how many examples chance is worth.
const WEIGHT: f64 = 0.5;

/// What a position adds to a score: of a value that was counted, and of any other.
#[derive(Clone, Debug, PartialEq)]
pub struct Bits<T> {
    /// Thousandths of a bit for each value that was counted.
    pub hits: Vec<(T, i32)>,
    /// For any other value.
    pub miss: i32,
}

/// Weighs the counts of one position; `own`: the chance that a position is the protocol's own, before anything
/// was counted; `chance`: the probability of a value.
pub fn weigh<T: Copy>(counts: &[(T, u64)], own: f64, chance: impl Fn(T) -> f64) -> Bits<T> {
    let n: f64 = counts.iter().map(|(_, count)| *count as f64).sum();
    let mut free_ln = 0.0;
    let mut own_ln = ln_gamma(WEIGHT) - ln_gamma(n + WEIGHT);
    for &(value, count) in counts {
        let (count, p) = (count as f64, chance(value));
        free_ln += count * p.ln();
        own_ln += ln_gamma(count + WEIGHT * p) - ln_gamma(WEIGHT * p);
    }
    let odds = (1.0 - own) / own * (free_ln - own_ln).clamp(-700.0, 700.0).exp();
    let own = 1.0 / (1.0 + odds);
    let ratio = |count: f64, p: f64| (1.0 - own) + own * (count / p + WEIGHT) / (n + WEIGHT);
    let hits = counts.iter().map(|&(value, count)| (value, millibits(ratio(count as f64, chance(value)))));
    Bits { hits: hits.collect(), miss: millibits(ratio(0.0, 1.0)) }
}

/// Thousandths of bits in a ratio.
pub fn millibits(ratio: f64) -> i32 {
    (ratio.max(f64::MIN_POSITIVE).log2() * 1000.0).round() as i32
}

/// Logarithm of the gamma function for `x` > 0 (Stirling's series, after shifting to where it is exact enough).
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 8.0 {
        shift += x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0)) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gamma_function_is_the_factorial() {
        for (n, factorial) in [(1.0, 1.0), (2.0, 1.0), (5.0, 24.0), (11.0, 3_628_800.0_f64)] {
            assert!((ln_gamma(n) - f64::ln(factorial)).abs() < 1e-9, "{n}");
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
    }

    #[test]
    fn what_never_changes_says_most_and_what_always_changes_nothing() {
        let chance = |_| 1.0 / 256.0;
        let once = weigh(&[(7_u8, 1)], 0.3, chance);
        let fixed = weigh(&[(7_u8, 10)], 0.3, chance);
        let free: Vec<_> = (0..10_u8).map(|byte| (byte, 1)).collect();
        let free = weigh(&free, 0.3, chance);
        assert!(fixed.hits[0].1 > 7500 && fixed.miss < -3500, "{fixed:?}");
        assert!((4000..7000).contains(&once.hits[0].1) && (-600..-100).contains(&once.miss), "{once:?}");
        assert!(free.miss > -20 && free.hits[0].1 < 20, "{free:?}");
    }

    #[test]
    fn it_is_a_probability() {
        let counts = [(1_u8, 3), (2, 1), (200, 6)];
        let bits = weigh(&counts, 0.2, |_| 1.0 / 256.0);
        let of = |bits: i32| f64::exp2(f64::from(bits) / 1000.0) / 256.0;
        let sum: f64 = bits.hits.iter().map(|hit| of(hit.1)).sum::<f64>() + 253.0 * of(bits.miss);
        assert!((sum - 1.0).abs() < 0.01, "{sum}");
    }
}
