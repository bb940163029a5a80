//! Who is next: clients (roles, or frameworks within one) in order of their shares.
//!
//! The order is kept between cycles. A grant moves one client; whatever else changes is only noted, and put right
//! once when the order is needed next.

use std::cmp::Ordering;

use super::bits::Bits;
use super::share::Share;
use super::slots::Slots;
use super::vector::{Totals, Vector};

/// How many clients are tried in order before those that may be taken are looked for by their bits.
const TRIED_IN_ORDER: usize = 16;
/// Up to how many of them the least is searched for, rather than found by walking the order.
const SEARCHED: u32 = 64;

/// Weighted dominant resource fairness: the least share first, then the fewest grants, then the name.
#[derive(Clone, Debug)]
pub(super) struct Sorter<N> {
    clients: Slots<Client<N>>,
    order: Vec<Place>,
    active: Bits,
    in_order: bool,
    /// Whether every client knows its place among the names.
    ranked: bool,
    version: u64,
}

#[derive(Clone, Debug)]
struct Client<N> {
    name: N,
    /// Its place among the names, so that names are compared once and not in every comparison.
    rank: u32,
    weight: u64,
    allocated: Vector,
    grants: u64,
    share: Share,
    stale: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    quotient: u64,
    slot: u32,
}

impl<N> Default for Sorter<N> {
    fn default() -> Self {
        Self {
            clients: Slots::default(),
            order: Vec::new(),
            active: Bits::default(),
            in_order: true,
            ranked: true,
            version: 0,
        }
    }
}

impl<N: Ord + Clone> Sorter<N> {
    /// Adds a client, not active yet.
    pub(super) fn insert(&mut self, name: N, weight: u64) -> u32 {
        self.ranked = false;
        self.clients.insert(Client {
            name,
            rank: 0,
            weight,
            allocated: Vector::default(),
            grants: 0,
            share: Share::default(),
            stale: true,
        })
    }

    /// Removes a client.
    pub(super) fn remove(&mut self, slot: u32) {
        self.set_active(slot, false);
        self.clients.remove(slot);
    }

    /// Only active clients are in the order. Says whether this is a change.
    pub(super) fn set_active(&mut self, slot: u32, active: bool) -> bool {
        if self.active.contains(slot) == active {
            return false;
        }
        if active {
            self.active.insert(slot);
            self.order.push(Place { quotient: 0, slot });
            self.clients[slot].stale = true;
            self.in_order = false;
        } else {
            self.active.remove(slot);
            self.order.retain(|place| place.slot != slot);
        }
        true
    }

    /// Whether a client is active.
    pub(super) fn is_active(&self, slot: u32) -> bool {
        self.active.contains(slot)
    }

    /// Whether any is.
    pub(super) fn any_active(&self) -> bool {
        !self.order.is_empty()
    }

    /// Whether there are no clients, active or not.
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Who has a slot.
    pub(super) fn name(&self, slot: u32) -> &N {
        &self.clients[slot].name
    }

    /// What a client has.
    pub(super) fn allocated(&self, slot: u32) -> &Vector {
        &self.clients[slot].allocated
    }

    /// A client weighs something else now.
    pub(super) fn set_weight(&mut self, slot: u32, weight: u64) {
        if self.clients[slot].weight != weight {
            self.clients[slot].weight = weight;
            self.touch(slot);
        }
    }

    /// A client has more.
    pub(super) fn add(&mut self, slot: u32, amounts: &Vector) {
        self.clients[slot].allocated.add(amounts);
        self.touch(slot);
    }

    /// A client has less.
    pub(super) fn subtract(&mut self, slot: u32, amounts: &Vector) {
        self.clients[slot].allocated.subtract(amounts);
        self.touch(slot);
    }

    fn touch(&mut self, slot: u32) {
        self.clients[slot].stale = true;
        if self.active.contains(slot) {
            self.in_order = false;
        }
    }

    /// An active client is granted more: counts that, and moves it to where it belongs. The order holds before
    /// and after.
    pub(super) fn grant(&mut self, slot: u32, amounts: &Vector, totals: &Totals) {
        if let [_] = self.order[..] {
            let client = &mut self.clients[slot];
            client.grants += 1;
            return self.add(slot, amounts);
        }
        let from = match self.order[0].slot == slot {
            true => 0,
            false => self.order.partition_point(|place| self.compare(place, slot) == Ordering::Less),
        };
        debug_assert_eq!(self.order[from].slot, slot, "the order holds");
        let client = &mut self.clients[slot];
        client.allocated.add(amounts);
        client.grants += 1;
        client.share = Share::new(&client.allocated, totals, client.weight);
        self.order[from].quotient = client.share.quotient();
        let behind = &self.order[from + 1..];
        let moved = behind.partition_point(|place| self.compare(place, slot) == Ordering::Less);
        self.order[from..=from + moved].rotate_left(1);
    }

    /// Puts the order right.
    pub(super) fn sort(&mut self, totals: &Totals) {
        if self.in_order && self.ranked && self.version == totals.version {
            return;
        }
        self.rank();
        let all = self.version != totals.version;
        let mut order = std::mem::take(&mut self.order);
        for place in &mut order {
            let client = &mut self.clients[place.slot];
            if all || client.stale {
                client.share = Share::new(&client.allocated, totals, client.weight);
                client.stale = false;
            }
            place.quotient = client.share.quotient();
        }
        order.sort_by(|a, b| self.compare(a, b.slot));
        self.order = order;
        self.version = totals.version;
        self.in_order = true;
    }

    fn rank(&mut self) {
        if std::mem::replace(&mut self.ranked, true) {
            return;
        }
        let mut slots: Vec<u32> = self.clients.iter().map(|(slot, _)| slot).collect();
        slots.sort_by(|a, b| self.clients[*a].name.cmp(&self.clients[*b].name));
        for (rank, slot) in slots.into_iter().enumerate() {
            self.clients[slot].rank = rank as u32;
        }
    }

    /// Who is at a place of the order.
    pub(super) fn at(&self, index: usize) -> Option<u32> {
        self.order.get(index).map(|place| place.slot)
    }

    /// The first active client that is among `among` (if given) and in none of `blocked`.
    pub(super) fn pick(&self, among: Option<&Bits>, blocked: &[&Bits]) -> Option<u32> {
        let may = |place: &&Place| {
            among.is_none_or(|bits| bits.contains(place.slot))
                && !blocked.iter().any(|bits| bits.contains(place.slot))
        };
        if among.is_none() && blocked.is_empty() {
            return self.at(0);
        }
        let (head, tail) = self.order.split_at(self.order.len().min(TRIED_IN_ORDER));
        if let Some(place) = head.iter().find(may) {
            return Some(place.slot);
        }
        if tail.is_empty() {
            return None;
        }
        let words = 0..self.active.words();
        let free = |index: usize| {
            let word = self.active.word(index) & among.map_or(u64::MAX, |bits| bits.word(index));
            blocked.iter().fold(word, |word, bits| word & !bits.word(index))
        };
        if words.clone().map(|index| free(index).count_ones()).sum::<u32>() > SEARCHED {
            return tail.iter().find(may).map(|place| place.slot);
        }
        let mut best: Option<u32> = None;
        for index in words {
            let mut word = free(index);
            while word != 0 {
                let slot = index as u32 * 64 + word.trailing_zeros();
                word &= word - 1;
                if best.is_none_or(|best| self.compare_slots(slot, best) == Ordering::Less) {
                    best = Some(slot);
                }
            }
        }
        best
    }

    /// Panics if the order is not what it is held for.
    pub(super) fn check(&self, totals: &Totals) {
        assert!(self.order.iter().all(|place| self.active.contains(place.slot)));
        assert_eq!(
            self.order.len(),
            (0..self.active.words()).map(|at| self.active.word(at).count_ones() as usize).sum::<usize>()
        );
        if !self.in_order || !self.ranked || self.version != totals.version {
            return;
        }
        for place in &self.order {
            let client = &self.clients[place.slot];
            let share = Share::new(&client.allocated, totals, client.weight);
            assert_eq!(share.compare(&client.share), Ordering::Equal, "a share is that of what is allocated");
            assert_eq!(place.quotient, share.quotient());
        }
        let ascends = |pair: &[Place]| self.compare(&pair[0], pair[1].slot) == Ordering::Less;
        assert!(self.order.windows(2).all(ascends), "the order is that of the shares");
    }

    fn compare(&self, place: &Place, slot: u32) -> Ordering {
        let quotient = self.clients[slot].share.quotient();
        place.quotient.cmp(&quotient).then_with(|| self.compare_slots(place.slot, slot))
    }

    fn compare_slots(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (&self.clients[a], &self.clients[b]);
        a.share.compare(&b.share).then(a.grants.cmp(&b.grants)).then(a.rank.cmp(&b.rank))
    }
}

#[cfg(test)]
mod tests {
    use libactor::Random;

    use super::*;

    #[test]
    fn grants_keep_the_order_and_the_first_who_may_is_picked() {
        let mut random = Random::new(5);
        let mut totals = Totals::default();
        totals.replace(&Vector::default(), &Vector([1000, 700, 0, 0, 0, 0, 0, 0]));
        let mut sorter = Sorter::default();
        for name in 0..300u64 {
            let slot = sorter.insert(name % 150 * 1000 + name, 1 + random.below(3));
            sorter.set_active(slot, name % 7 > 0);
        }
        for round in 0..3000u64 {
            sorter.sort(&totals);
            sorter.check(&totals);
            let (mut among, mut first, mut second) = (Bits::default(), Bits::default(), Bits::default());
            for slot in 0..300 {
                for (bits, chance) in [(&mut among, 500), (&mut first, round % 11 * 90), (&mut second, 100)] {
                    if random.chance(chance) {
                        bits.insert(slot);
                    }
                }
            }
            let among = random.chance(500).then_some(&among);
            let may = |place: &&Place| {
                among.is_none_or(|bits| bits.contains(place.slot))
                    && !first.contains(place.slot)
                    && !second.contains(place.slot)
            };
            let expected = sorter.order.iter().find(may).map(|place| place.slot);
            assert_eq!(sorter.pick(among, &[&first, &second]), expected);
            let Some(slot) = expected else { continue };
            let amounts = Vector([random.below(3), random.below(3), 0, 0, 0, 0, 0, 0]);
            sorter.grant(slot, &amounts, &totals);
            sorter.check(&totals);
            match random.below(20) {
                0 => sorter.subtract(slot, &amounts),
                1 => sorter.set_weight(slot, 1 + random.below(5)),
                2 => totals.replace(&Vector::default(), &amounts),
                3 => assert!(sorter.set_active(slot, false)),
                _ => {}
            }
        }
    }

    #[test]
    fn equal_shares_go_by_grants_then_name() {
        let totals = Totals { sum: Vector([9; 8]), version: 1 };
        let mut sorter = Sorter::default();
        for name in ["c", "a", "b"] {
            let slot = sorter.insert(name, 1000);
            sorter.set_active(slot, true);
        }
        let mut seen = Vec::new();
        for _ in 0..7 {
            sorter.sort(&totals);
            let slot = sorter.pick(None, &[]).unwrap();
            seen.push(*sorter.name(slot));
            sorter.grant(slot, &Vector::default(), &totals);
        }
        assert_eq!(seen, ["a", "b", "c", "a", "b", "c", "a"]);
    }
}
