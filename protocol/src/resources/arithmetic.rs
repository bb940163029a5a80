//! Sums and differences of resources.

use std::ops::{Add, AddAssign, Sub, SubAssign};

use super::{Resource, Resources};

/// From this many entries on, a sum sorts everything once instead of inserting one by one.
const MERGE_FROM: usize = 16;

impl Resources {
    /// Where the entry with the same identity is, or where it belongs.
    fn position(&self, resource: &Resource) -> Result<usize, usize> {
        self.0.binary_search_by(|have| have.compare_identity(resource))
    }

    /// The entry with the same identity.
    pub(super) fn entry(&self, resource: &Resource) -> Option<&Resource> {
        self.position(resource).ok().map(|at| &self.0[at])
    }

    pub(super) fn add_one(&mut self, resource: Resource) {
        if resource.value.is_empty() {
            return;
        }
        match self.position(&resource) {
            Ok(at) => self.0[at].value.add(&resource.value),
            Err(at) => self.0.insert(at, resource),
        }
    }

    fn add_one_ref(&mut self, resource: &Resource) {
        if resource.value.is_empty() {
            return;
        }
        match self.position(resource) {
            Ok(at) => self.0[at].value.add(&resource.value),
            Err(at) => self.0.insert(at, resource.clone()),
        }
    }

    fn subtract_one(&mut self, resource: &Resource) {
        if let Ok(at) = self.position(resource) {
            self.0[at].value.subtract(&resource.value);
            if self.0[at].value.is_empty() {
                self.0.remove(at);
            }
        }
    }

    /// Sorts, joins what is one entry, drops what is empty.
    pub(super) fn canonical(mut entries: Vec<Resource>) -> Self {
        entries.retain(|entry| !entry.value.is_empty());
        entries.sort_by(Resource::compare_identity);
        entries.dedup_by(|next, kept| {
            let same = next.compare_identity(kept).is_eq();
            if same {
                kept.value.add(&next.value);
            }
            same
        });
        Self(entries)
    }
}

impl From<Resource> for Resources {
    fn from(resource: Resource) -> Self {
        if resource.value.is_empty() { Self::new() } else { Self(vec![resource]) }
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(entries: I) -> Self {
        Self::canonical(entries.into_iter().collect())
    }
}

impl Extend<Resource> for Resources {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, entries: I) {
        *self += Self::from_iter(entries);
    }
}

impl AddAssign<&Resources> for Resources {
    fn add_assign(&mut self, other: &Resources) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
        } else if other.0.len() < MERGE_FROM {
            other.0.iter().for_each(|resource| self.add_one_ref(resource));
        } else {
            let mut entries = std::mem::take(&mut self.0);
            entries.extend_from_slice(&other.0);
            *self = Self::canonical(entries);
        }
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, other: Resources) {
        if self.0.is_empty() {
            *self = other;
        } else if other.0.len() < MERGE_FROM {
            other.0.into_iter().for_each(|resource| self.add_one(resource));
        } else {
            let mut entries = std::mem::take(&mut self.0);
            entries.extend(other.0);
            *self = Self::canonical(entries);
        }
    }
}

/// What is not there is not missed: amounts stop at zero. Ask [`Resources::contains`] first where it matters.
impl SubAssign<&Resources> for Resources {
    fn sub_assign(&mut self, other: &Resources) {
        other.0.iter().for_each(|resource| self.subtract_one(resource));
    }
}

impl Add for Resources {
    type Output = Resources;
    fn add(mut self, other: Resources) -> Resources {
        self += other;
        self
    }
}

impl Sub for Resources {
    type Output = Resources;
    fn sub(mut self, other: Resources) -> Resources {
        self -= &other;
        self
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Resources>>(iter: I) -> Self {
        iter.fold(Resources::new(), |sum, next| sum + next)
    }
}

impl<'a> std::iter::Sum<&'a Resources> for Resources {
    fn sum<I: Iterator<Item = &'a Resources>>(iter: I) -> Self {
        let mut sum = Resources::new();
        for next in iter {
            sum += next;
        }
        sum
    }
}
