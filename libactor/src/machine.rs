//! A component that decides, as plain data.
//!
//! A machine cannot wait, read a clock, roll dice or touch a file. The shell feeds it from an actor's mailbox and
//! carries out what it asks for; tests feed it from scripts; the simulator feeds a whole cluster of them from one seed.

use crate::Time;

/// A component that decides.
pub trait Machine {
    /// Facts and requests.
    type Input;
    /// Imperatives, carried out in order.
    type Output;

    /// Takes one input and says what is to be done.
    fn handle(&mut self, now: Time, input: Self::Input, out: &mut Vec<Self::Output>);

    /// When [`Machine::tick`] is to be called next; asked after every input. `None`: not before another input.
    fn deadline(&self) -> Option<Time>;

    /// Does what is due at `now`. Called at or after [`Machine::deadline`]; calling it earlier does nothing.
    fn tick(&mut self, now: Time, out: &mut Vec<Self::Output>);

    /// Panics if an invariant does not hold. Run after every input in tests and simulation.
    fn check(&self) {}
}

/// Randomness that is passed in: a small generator that a machine carries, seeded from outside (SplitMix64,
/// Steele, Lea and Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same sequence.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next 128 bits.
    pub fn next_u128(&mut self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }

    /// A number below `bound`, which is not zero; the bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a bound is not zero");
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something of this chance (in thousandths) happens.
    pub fn chance(&mut self, thousandths: u64) -> bool {
        self.below(1000) < thousandths
    }

    /// Puts a slice into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}
