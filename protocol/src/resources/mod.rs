//! Resources: what agents have and tasks use.
//!
//! A [`Resource`] is a named value with its reservations. [`Resources`] is a set of them in canonical order: at
//! most one entry a (name, kind of value, reservations, revocable), never an empty one, so that equality of
//! values is equality of meaning. Scalars are whole thousandths ([`Scalar`]): sums and differences are exact.

mod json;
mod ranges;
mod scalar;
mod text;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Role;

pub use json::ParseJsonResourcesError;
pub use ranges::Ranges;
pub use scalar::{ParseScalarError, Scalar};
pub use text::ParseResourcesError;

/// One named value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// Such as `cpus`, `mem` (MB), `disk` (MB), `gpus`, `ports`.
    pub name: Arc<str>,
    /// From the outermost to the innermost; empty: unreserved (role `*`).
    pub reservations: Vec<Reservation>,
    /// Whether the agent may take it back at any time.
    pub revocable: bool,
    /// How much or which.
    pub value: Value,
}

/// Keeps a resource for a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reservation {
    /// By the agent's flags or by an operation.
    pub kind: ReservationKind,
    /// For whom; never `*`.
    pub role: Role,
    /// By whom; absent for a static one.
    pub principal: Option<String>,
}

/// How a reservation came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReservationKind {
    /// By the agent's `--resources`; can't be undone.
    Static,
    /// By an operation.
    Dynamic,
}

/// The three kinds of values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Value {
    /// An amount.
    Scalar(Scalar),
    /// Numbers that are there or not.
    Ranges(Ranges),
    /// Names that are there or not.
    Set(BTreeSet<String>),
}

impl Value {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Scalar(scalar) => *scalar == Scalar::ZERO,
            Value::Ranges(ranges) => ranges.is_empty(),
            Value::Set(set) => set.is_empty(),
        }
    }

    fn same_kind(&self, other: &Value) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn contains(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => a >= b,
            (Value::Ranges(a), Value::Ranges(b)) => a.contains(b),
            (Value::Set(a), Value::Set(b)) => a.is_superset(b),
            _ => false,
        }
    }

    fn add(&mut self, other: &Value) {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => *a = *a + *b,
            (Value::Ranges(a), Value::Ranges(b)) => a.add(b),
            (Value::Set(a), Value::Set(b)) => a.extend(b.iter().cloned()),
            _ => unreachable!("values of one resource are of one kind"),
        }
    }

    fn subtract(&mut self, other: &Value) {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => *a = a.saturating_sub(*b),
            (Value::Ranges(a), Value::Ranges(b)) => a.subtract(b),
            (Value::Set(a), Value::Set(b)) => a.retain(|item| !b.contains(item)),
            _ => unreachable!("values of one resource are of one kind"),
        }
    }
}

impl Resource {
    /// An unreserved amount.
    pub fn scalar(name: impl Into<Arc<str>>, amount: Scalar) -> Self {
        Self { name: name.into(), reservations: Vec::new(), revocable: false, value: Value::Scalar(amount) }
    }

    /// The role it is reserved for; `*` when unreserved.
    pub fn role(&self) -> Role {
        self.reservations.last().map_or_else(Role::default, |reservation| reservation.role.clone())
    }

    /// Whether it may be allocated to a role: unreserved, or reserved for that role or an ancestor of it.
    pub fn allocatable_to(&self, role: &Role) -> bool {
        match self.reservations.last() {
            None => true,
            Some(reservation) => {
                let reserved = reservation.role.as_str();
                role.as_str() == reserved
                    || role.as_str().strip_prefix(reserved).is_some_and(|rest| rest.starts_with('/'))
            }
        }
    }

    /// Whether two entries would be one in [`Resources`].
    fn same_identity(&self, other: &Resource) -> bool {
        self.name == other.name
            && self.revocable == other.revocable
            && self.reservations == other.reservations
            && self.value.same_kind(&other.value)
    }
}

/// A set of resources in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Resources(Vec<Resource>);

impl<'de> Deserialize<'de> for Resources {
    /// Whatever order and repetition the sender chose, the result is canonical.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<Resource>::deserialize(deserializer)?;
        if entries.len() > crate::limits::MAX_RESOURCES {
            return Err(serde::de::Error::custom("too many resources"));
        }
        Ok(entries.into_iter().collect())
    }
}

impl Resources {
    /// Nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in canonical order.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.0.iter()
    }

    /// Whether each entry of `other` is there in full, under the same reservations.
    pub fn contains(&self, other: &Resources) -> bool {
        other.0.iter().all(|wanted| {
            self.0.iter().any(|have| have.same_identity(wanted) && have.value.contains(&wanted.value))
        })
    }

    /// The sum of all scalars of a name, over all reservations.
    pub fn scalar(&self, name: &str) -> Scalar {
        self.0
            .iter()
            .filter(|resource| &*resource.name == name)
            .map(|resource| match resource.value {
                Value::Scalar(scalar) => scalar,
                _ => Scalar::ZERO,
            })
            .sum()
    }

    /// The union of all ranges of a name, over all reservations.
    pub fn ranges(&self, name: &str) -> Ranges {
        let mut all = Ranges::default();
        for resource in self.0.iter().filter(|resource| &*resource.name == name) {
            if let Value::Ranges(ranges) = &resource.value {
                all.add(ranges);
            }
        }
        all
    }

    /// CPUs.
    pub fn cpus(&self) -> Scalar {
        self.scalar("cpus")
    }

    /// Memory, MB.
    pub fn mem(&self) -> Scalar {
        self.scalar("mem")
    }

    /// Disk, MB.
    pub fn disk(&self) -> Scalar {
        self.scalar("disk")
    }

    /// GPUs.
    pub fn gpus(&self) -> Scalar {
        self.scalar("gpus")
    }

    /// The entries that satisfy a predicate.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&Resource) -> bool) -> Resources {
        Resources(self.0.iter().filter(|resource| keep(resource)).cloned().collect())
    }

    /// The entries that may be allocated to a role.
    #[must_use]
    pub fn allocatable_to(&self, role: &Role) -> Resources {
        self.filtered(|resource| resource.allocatable_to(role))
    }

    /// Finds `wanted`, whose entries carry no reservations, in `self`: what is reserved is taken first, then the
    /// unreserved rest. `None` where there is not enough. `role` is whom it is for.
    pub fn find(&self, wanted: &Resources, role: &Role) -> Option<Resources> {
        let mut rest = self.clone();
        let mut found = Resources::new();
        for want in &wanted.0 {
            let mut want = want.clone();
            let mut candidates: Vec<&Resource> = self
                .0
                .iter()
                .filter(|have| {
                    have.name == want.name
                        && have.revocable == want.revocable
                        && have.value.same_kind(&want.value)
                        && have.allocatable_to(role)
                        && (want.reservations.is_empty() || have.reservations == want.reservations)
                })
                .collect();
            candidates.sort_by_key(|have| have.reservations.is_empty());
            for have in candidates {
                let available = rest.0.iter().find(|entry| entry.same_identity(have));
                let Some(take) = available.and_then(|entry| intersection(&entry.value, &want.value)) else {
                    continue;
                };
                want.value.subtract(&take);
                let taken = Resources::from(Resource { value: take, ..have.clone() });
                rest -= &taken;
                found += &taken;
                if want.value.is_empty() {
                    break;
                }
            }
            if !want.value.is_empty() {
                return None;
            }
        }
        Some(found)
    }

    fn add_one(&mut self, resource: &Resource) {
        if resource.value.is_empty() {
            return;
        }
        if let Some(have) = self.0.iter_mut().find(|have| have.same_identity(resource)) {
            have.value.add(&resource.value);
            return;
        }
        let at = self.0.partition_point(|have| have < resource);
        self.0.insert(at, resource.clone());
    }

    fn subtract_one(&mut self, resource: &Resource) {
        if let Some(at) = self.0.iter().position(|have| have.same_identity(resource)) {
            self.0[at].value.subtract(&resource.value);
            if self.0[at].value.is_empty() {
                self.0.remove(at);
            }
        }
    }
}

fn intersection(have: &Value, want: &Value) -> Option<Value> {
    let common = match (have, want) {
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(*a.min(b)),
        (Value::Ranges(a), Value::Ranges(b)) => Value::Ranges(a.intersection(b)),
        (Value::Set(a), Value::Set(b)) => Value::Set(a.intersection(b).cloned().collect()),
        _ => return None,
    };
    (!common.is_empty()).then_some(common)
}

impl From<Resource> for Resources {
    fn from(resource: Resource) -> Self {
        let mut resources = Resources::new();
        resources.add_one(&resource);
        resources
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(entries: I) -> Self {
        let mut resources = Resources::new();
        for entry in entries {
            resources.add_one(&entry);
        }
        resources
    }
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Resource;
    type IntoIter = std::slice::Iter<'a, Resource>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl AddAssign<&Resources> for Resources {
    fn add_assign(&mut self, other: &Resources) {
        for resource in &other.0 {
            self.add_one(resource);
        }
    }
}

/// What is not there is not missed: amounts stop at zero. Ask [`Resources::contains`] first where it matters.
impl SubAssign<&Resources> for Resources {
    fn sub_assign(&mut self, other: &Resources) {
        for resource in &other.0 {
            self.subtract_one(resource);
        }
    }
}

impl Add for Resources {
    type Output = Resources;
    fn add(mut self, other: Resources) -> Resources {
        self += &other;
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

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::print(self, f)
    }
}
