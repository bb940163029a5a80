//! One resource with its reservations.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Scalar, Value, name};
use crate::Role;

/// One named value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// Such as `cpus`, `mem` (MB), `disk` (MB), `gpus`, `ports`.
    #[serde(deserialize_with = "name::deserialize")]
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

impl Resource {
    /// An unreserved amount.
    pub fn scalar(name: impl Into<Arc<str>>, amount: Scalar) -> Self {
        Self::new(name, Value::Scalar(amount))
    }

    /// An unreserved value that is not revocable.
    pub fn new(name: impl Into<Arc<str>>, value: Value) -> Self {
        Self { name: name::intern(&name.into()), reservations: Vec::new(), revocable: false, value }
    }

    /// The role it is reserved for; `*` when unreserved.
    pub fn role(&self) -> Role {
        self.reservations.last().map_or_else(Role::default, |reservation| reservation.role.clone())
    }

    /// As [`Resource::role`], borrowed.
    pub fn role_name(&self) -> &str {
        self.reservations.last().map_or(Role::DEFAULT, |reservation| reservation.role.as_str())
    }

    /// Whether it may be allocated to a role: unreserved, or reserved for that role or an ancestor of it.
    pub fn allocatable_to(&self, role: &Role) -> bool {
        match self.reservations.last() {
            None => true,
            Some(reservation) => {
                let reserved = reservation.role.as_str();
                role.as_str()
                    .strip_prefix(reserved)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }

    /// The canonical order, in which two entries are equal if they would be one in
    /// [`Resources`](super::Resources). Agrees with `Ord` where it is not `Equal`.
    pub(super) fn compare_identity(&self, other: &Resource) -> Ordering {
        name::compare(&self.name, &other.name)
            .then_with(|| self.reservations.cmp(&other.reservations))
            .then_with(|| self.revocable.cmp(&other.revocable))
            .then_with(|| self.value.kind().cmp(&other.value.kind()))
    }
}
