//! To come.

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_accounted_for(data in prop::collection::vec(any::<u8>(), 0..600)) {
        super::fuzz_bytes(&data);
    }
}
