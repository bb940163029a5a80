//! What an operator may choose of the allocator.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::resources::Value;
use protocol::{Resource, Resources, Scalar};

/// The longest that an offer may be refused for. Source: Mesos (365 days).
pub const MAX_REFUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The allocator's settings; the defaults are those of Mesos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocatorConfig {
    /// How often the master asks for an allocation; no filter is shorter.
    pub allocation_interval: Duration,
    /// Less than all of these is not offered; empty: anything is.
    pub min_allocatable: Vec<Quantities>,
    /// Whether agents with GPUs are kept for frameworks that ask for them.
    pub filter_gpu_resources: bool,
    /// Names of resources that do not count in shares.
    pub fair_sharing_excluded_resource_names: BTreeSet<String>,
}

impl Default for AllocatorConfig {
    fn default() -> Self {
        Self {
            allocation_interval: Duration::from_secs(1),
            min_allocatable: vec![
                Quantities::from([("cpus", Scalar::from_millis(10))]),
                Quantities::from([("mem", Scalar::from_units(32))]),
            ],
            filter_gpu_resources: true,
            fair_sharing_excluded_resource_names: BTreeSet::new(),
        }
    }
}

impl AllocatorConfig {
    /// Whether this much is worth an offer.
    pub(super) fn is_allocatable<'a>(&self, resources: impl Iterator<Item = &'a Resource> + Clone) -> bool {
        if self.min_allocatable.is_empty() {
            return resources.into_iter().next().is_some();
        }
        self.min_allocatable.iter().any(|least| least.is_within(resources.clone()))
    }

    /// [`AllocatorConfig::is_allocatable`] of all that is there.
    pub(super) fn is_whole_allocatable(&self, resources: &Resources) -> bool {
        self.is_allocatable(resources.iter())
    }
}

/// Amounts by name, over all reservations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantities(Vec<(String, Scalar)>);

impl<const N: usize> From<[(&str, Scalar); N]> for Quantities {
    fn from(amounts: [(&str, Scalar); N]) -> Self {
        Self(amounts.into_iter().map(|(name, amount)| (name.into(), amount)).collect())
    }
}

impl FromIterator<(String, Scalar)> for Quantities {
    fn from_iter<I: IntoIterator<Item = (String, Scalar)>>(amounts: I) -> Self {
        Self(amounts.into_iter().collect())
    }
}

impl Quantities {
    fn is_within<'a>(&self, resources: impl Iterator<Item = &'a Resource> + Clone) -> bool {
        self.0.iter().all(|(name, least)| {
            let mut there = Scalar::ZERO;
            for resource in resources.clone().filter(|resource| *resource.name == **name) {
                if let Value::Scalar(amount) = resource.value {
                    there = there + amount;
                }
            }
            there >= *least
        })
    }
}
