//! Resources: what agents have and tasks use.
//!
//! A [`Resource`] is a named value with its reservations. [`Resources`] is a set of them in canonical order: at
//! most one entry a (name, kind of value, reservations, revocable), never an empty one, so that equality of
//! values is equality of meaning. Scalars are whole thousandths ([`Scalar`]): sums and differences are exact.
//!
//! | form | example | carries |
//! |---|---|---|
//! | text ([`FromStr`](std::str::FromStr), [`Display`](std::fmt::Display)) | `cpus:4;cpus(prod):8;ports:[1-3]` | one static reservation an entry |
//! | JSON ([`Resources::from_json`], [`Resources::to_json`]) | `[{"name":"cpus","type":"SCALAR","scalar":{"value":4}}]` | everything |
//! | either ([`Resources::parse`]) | what `--resources` accepts | |

mod arithmetic;
mod find;
mod json;
pub(crate) mod name;
#[cfg(test)]
mod properties;
mod ranges;
mod resource;
mod scalar;
pub(crate) mod text;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Role;
use crate::limits::MAX_RESOURCES;

pub use json::ParseJsonResourcesError;
pub use ranges::Ranges;
pub use resource::{Reservation, ReservationKind, Resource};
pub use scalar::{ParseScalarError, Scalar};
pub use text::ParseResourcesError;
pub use value::Value;

/// Why a text in either form is not resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourcesError {
    /// In the text form.
    #[error(transparent)]
    Text(#[from] ParseResourcesError),
    /// In JSON.
    #[error(transparent)]
    Json(#[from] ParseJsonResourcesError),
}

/// A set of resources in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Resources(Vec<Resource>);

impl<'de> Deserialize<'de> for Resources {
    /// Whatever order and repetition the sender chose, the result is canonical and within the limits.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries: Vec<Resource> = value::bounded(deserializer, MAX_RESOURCES, "resources")?;
        let for_default = |entry: &Resource| entry.reservations.iter().any(|one| one.role.is_default());
        if entries.iter().any(for_default) {
            return Err(serde::de::Error::custom("a resource is reserved for the role '*'"));
        }
        let resources = Resources::canonical(entries);
        resources.check_limits().map_err(serde::de::Error::custom)?;
        Ok(resources)
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

    /// How many entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads the text form, or JSON where the text begins with `[` or `{` (no text form does).
    ///
    /// # Errors
    /// Says which part is wrong and what was expected.
    pub fn parse(text: &str) -> Result<Self, ResourcesError> {
        if text.trim_start().starts_with(['[', '{']) {
            Ok(Self::from_json(text)?)
        } else {
            Ok(text.parse::<Self>()?)
        }
    }

    /// The entries of a name, over all reservations.
    pub fn named(&self, name: &str) -> &[Resource] {
        let begin = self.0.partition_point(|resource| &*resource.name < name);
        let count = self.0[begin..].iter().take_while(|resource| &*resource.name == name).count();
        &self.0[begin..begin + count]
    }

    /// Whether a message may carry every entry.
    pub(crate) fn check_limits(&self) -> Result<(), String> {
        if self.0.len() > MAX_RESOURCES {
            return Err(format!("more than {MAX_RESOURCES} resources"));
        }
        let check = |resource: &Resource| {
            resource.value.check_limits().map_err(|why| format!("{}: {why}", resource.name.escape_debug()))
        };
        self.0.iter().try_for_each(check)
    }

    /// Whether each entry of `other` is there in full, under the same reservations.
    pub fn contains(&self, other: &Resources) -> bool {
        other.0.iter().all(|wanted| self.entry(wanted).is_some_and(|have| have.value.contains(&wanted.value)))
    }

    /// The sum of all scalars of a name, over all reservations.
    pub fn scalar(&self, name: &str) -> Scalar {
        self.named(name)
            .iter()
            .map(|resource| match resource.value {
                Value::Scalar(scalar) => scalar,
                _ => Scalar::ZERO,
            })
            .sum()
    }

    /// The union of all ranges of a name, over all reservations.
    pub fn ranges(&self, name: &str) -> Ranges {
        let mut all = Ranges::default();
        for resource in self.named(name) {
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
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Resource;
    type IntoIter = std::slice::Iter<'a, Resource>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Resources {
    type Item = Resource;
    type IntoIter = std::vec::IntoIter<Resource>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Gathers what a text says: one kind of value a name, no more than the limits.
#[derive(Default)]
struct Gather {
    entries: Vec<Resource>,
    kinds: BTreeMap<Arc<str>, u8>,
}

impl Gather {
    fn push(&mut self, resource: Resource) -> Result<(), String> {
        if self.entries.len() >= MAX_RESOURCES {
            return Err(format!("more than {MAX_RESOURCES} resources"));
        }
        let kind = resource.value.kind();
        if *self.kinds.entry(Arc::clone(&resource.name)).or_insert(kind) != kind {
            return Err("the same name with another kind of value".into());
        }
        self.entries.push(resource);
        Ok(())
    }

    fn finish(self) -> Result<Resources, String> {
        let resources = Resources::canonical(self.entries);
        resources.check_limits()?;
        Ok(resources)
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::print(self, f)
    }
}
