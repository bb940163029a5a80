//! Finding what a task asks for among what is offered.

use super::{Resource, Resources, Value};
use crate::Role;

impl Resources {
    /// Finds `wanted` in `self` for a role: what is reserved for the role (or an ancestor of it) is taken first,
    /// then the unreserved rest. `None` where there is not enough of anything. What is found is contained in
    /// `self`, under the reservations it has there.
    ///
    /// An entry of `wanted` without reservations takes from any; one with reservations takes from exactly those,
    /// and before the others. Revocable resources are found only where revocable ones are wanted.
    pub fn find(&self, wanted: &Resources, role: &Role) -> Option<Resources> {
        let mut found = Resources::new();
        let (any, exact): (Vec<&Resource>, Vec<&Resource>) =
            wanted.iter().partition(|want| want.reservations.is_empty());
        for want in exact {
            let have = self.entry(want).filter(|have| have.allocatable_to(role))?;
            if !have.value.contains(&want.value) {
                return None;
            }
            found.add_one(want.clone());
        }
        for want in any {
            self.find_one(want, role, &mut found)?;
        }
        Some(found)
    }

    fn find_one(&self, want: &Resource, role: &Role, found: &mut Resources) -> Option<()> {
        // The common case, and the only one without reservations: one entry that has it all.
        let same_name = self.named(&want.name);
        if let [only] = same_name
            && only.reservations.is_empty()
            && found.entry(only).is_none()
        {
            let enough = only.compare_identity(want).is_eq() && only.value.contains(&want.value);
            return enough.then(|| found.add_one(want.clone()));
        }
        let candidates = |reserved: bool| {
            same_name.iter().filter(move |have| {
                have.reservations.is_empty() != reserved
                    && have.revocable == want.revocable
                    && have.value.kind() == want.value.kind()
                    && have.allocatable_to(role)
            })
        };
        let mut missing = want.value.clone();
        for have in candidates(true).chain(candidates(false)) {
            let Some(take) = available(have, found).and_then(|free| free.intersection(&missing)) else {
                continue;
            };
            missing.subtract(&take);
            found.add_one(Resource { value: take, ..without_value(have) });
            if missing.is_empty() {
                return Some(());
            }
        }
        None
    }
}

/// What of an entry has not been taken yet.
fn available(have: &Resource, found: &Resources) -> Option<Value> {
    let mut free = have.value.clone();
    if let Some(taken) = found.entry(have) {
        free.subtract(&taken.value);
    }
    (!free.is_empty()).then_some(free)
}

/// A copy of all but the value, which may be large.
fn without_value(resource: &Resource) -> Resource {
    Resource {
        name: resource.name.clone(),
        reservations: resource.reservations.clone(),
        revocable: resource.revocable,
        value: Value::Scalar(super::Scalar::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Scalar;

    fn find(have: &str, wanted: &str, role: &str) -> Option<String> {
        let (have, wanted): (Resources, Resources) = (have.parse().unwrap(), wanted.parse().unwrap());
        have.find(&wanted, &role.into()).map(|found| found.to_string())
    }

    #[test]
    fn reserved_first_then_the_rest() {
        for (have, wanted, role, found) in [
            ("cpus:4", "cpus:1", "prod", Some("cpus:1")),
            ("cpus:4", "cpus:5", "prod", None),
            ("cpus:4;cpus(prod):2", "cpus:1", "prod", Some("cpus(prod):1")),
            ("cpus:4;cpus(prod):2", "cpus:5", "prod", Some("cpus:3;cpus(prod):2")),
            ("cpus:4;cpus(prod):2", "cpus:5", "prod/web", Some("cpus:3;cpus(prod):2")),
            ("cpus:4;cpus(prod):2", "cpus:5", "production", None),
            ("cpus(prod):2", "cpus:1", "*", None),
            (
                "ports:[1-9];ports(prod):[20-29]",
                "ports:[5-6,25-25]",
                "prod",
                Some("ports:[5-6];ports(prod):[25-25]"),
            ),
            ("ports:[1-9]", "ports:[9-10]", "prod", None),
            ("cpus:1;mem:1", "cpus:1;gpus:1", "prod", None),
            // One that names its reservation takes from there, and before the others.
            ("cpus:2;cpus(prod):2", "cpus:2;cpus(prod):2", "prod", Some("cpus:2;cpus(prod):2")),
            ("cpus:2;cpus(prod):1", "cpus(prod):2", "prod", None),
            ("cpus(prod):2", "cpus(prod):1", "other", None),
        ] {
            assert_eq!(find(have, wanted, role).as_deref(), found, "{wanted} in {have} for {role}");
        }
    }

    #[test]
    fn revocable_is_found_only_where_it_is_wanted() {
        let plain: Resources = "cpus:1".parse().unwrap();
        let revocable = Resource { revocable: true, ..Resource::scalar("cpus", Scalar::from_units(1)) };
        let revocable = Resources::from(revocable);
        assert_eq!(plain.find(&revocable, &Role::default()), None);
        assert_eq!(revocable.find(&plain, &Role::default()), None);
        let both = plain.clone() + revocable.clone();
        assert_eq!(both.find(&revocable, &Role::default()), Some(revocable));
        assert_eq!(both.find(&plain, &Role::default()), Some(plain));
    }
}
