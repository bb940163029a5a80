//! Dense numbers for things with names.

/// Values in numbered slots. A slot that is given up is used again.
#[derive(Clone, Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Option<T>>,
    vacant: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Puts a value into a vacant slot.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.vacant.pop() {
            self.slots[slot as usize] = Some(value);
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 slots");
        self.slots.push(Some(value));
        slot
    }

    /// Takes the value out of a slot.
    pub(super) fn remove(&mut self, slot: u32) -> T {
        let value = self.slots[slot as usize].take().expect("the slot is taken");
        self.vacant.push(slot);
        value
    }

    /// The value in a slot, if the slot is taken.
    pub(super) fn find(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// All values in order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().enumerate().filter_map(|(slot, value)| Some((slot as u32, value.as_ref()?)))
    }

    /// Whether no slot is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.vacant.len()
    }
}

impl<T> std::ops::Index<u32> for Slots<T> {
    type Output = T;
    fn index(&self, slot: u32) -> &T {
        self.slots[slot as usize].as_ref().expect("the slot is taken")
    }
}

impl<T> std::ops::IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        self.slots[slot as usize].as_mut().expect("the slot is taken")
    }
}
