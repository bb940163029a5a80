//! Tests of the codec.

mod newer;
mod recorded;
mod strategies;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use strategies::{an_operation, applied};

/// The same cases in every run, unless the environment asks for others.
fn fixed_cases() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(7);
    }
    config.failure_persistence = None;
    config
}

proptest! {
    #![proptest_config(fixed_cases())]

    #[test]
    fn operations_and_states_come_back_from_bytes(operations in vec(an_operation(), 0..40)) {
        let bytes = encode_operations(&operations);
        let read = decode_operations(&bytes);
        prop_assert_eq!(read.as_ref(), Ok(&operations));
        let state = applied(&operations);
        prop_assert_eq!(decode_state(&encode_state(&state)), Ok(state));
    }

    /// One applies as it goes, the other is handed a snapshot midway and reads the rest from a log.
    #[test]
    fn replicas_that_apply_the_same_hold_the_same_bytes(
        operations in vec(an_operation(), 0..40),
        midway in any::<prop::sample::Index>(),
    ) {
        let midway = if operations.is_empty() { 0 } else { midway.index(operations.len()) };
        let (before, after) = operations.split_at(midway);
        let mut other = decode_state(&encode_state(&applied(before))).unwrap();
        for one in after {
            for read in decode_operations(&encode_operations(std::slice::from_ref(one))).unwrap() {
                other.apply(&read);
            }
        }
        let state = applied(&operations);
        prop_assert_eq!(encode_state(&state), encode_state(&other));
        prop_assert_eq!(state, other);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = (decode_operations(&bytes), decode_state(&bytes));
    }

    /// What is nearly right gets deeper in.
    #[test]
    fn no_damage_panics(
        operations in vec(an_operation(), 1..10),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
    ) {
        let hurt = |mut bytes: Vec<u8>| {
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(end.index(bytes.len()) + 1);
            bytes
        };
        let _ = decode_operations(&hurt(encode_operations(&operations)));
        let _ = decode_state(&hurt(encode_state(&applied(&operations))));
    }
}
