//! A set of small numbers, one bit each.

/// A set of slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Puts a slot in.
    pub(super) fn insert(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (slot % 64);
    }

    /// Takes a slot out.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    /// Whether a slot is in.
    pub(super) fn contains(&self, slot: u32) -> bool {
        self.word(slot as usize / 64) & (1 << (slot % 64)) != 0
    }

    /// Sixty-four slots at once; zero beyond the end.
    pub(super) fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// How many words there are.
    pub(super) fn words(&self) -> usize {
        self.0.len()
    }
}
