//! Who owns which device: never two owners. Plain data, without a clock or a file.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ContainerId;

use super::choose::choose;
use super::device::{Device, Devices};

/// Why a container does not get devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    /// The master has counted wrong, or a device fell ill meanwhile.
    #[error("{wanted} GPUs are wanted, {free} are free and well")]
    TooFew {
        /// More than it holds.
        wanted: usize,
        /// So many could be had.
        free: usize,
    },
    /// Another life has given it away, and it is not there any more.
    #[error("{uuid} is not there any more, or is not among --nvidia_gpu_devices")]
    Gone {
        /// Which.
        uuid: String,
    },
    /// Two containers say that it is theirs.
    #[error("{uuid} belongs to container {owner}")]
    Owned {
        /// Which.
        uuid: String,
        /// Whose it is.
        owner: ContainerId,
    },
}

/// All devices, their owners, and what is wrong with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    devices: Devices,
    owners: BTreeMap<String, ContainerId>,
    ill: BTreeMap<String, String>,
}

impl Pool {
    pub(super) fn new(devices: Devices) -> Self {
        Self { devices, ..Self::default() }
    }

    /// All devices, ill ones too.
    pub(super) fn all(&self) -> &[Device] {
        &self.devices.all
    }

    /// What a container owns, in the order of the driver.
    pub(super) fn of(&self, container_id: &ContainerId) -> Vec<Device> {
        let own = |device: &&Device| self.owners.get(&device.uuid) == Some(container_id);
        self.devices.all.iter().filter(own).cloned().collect()
    }

    /// How many are well.
    pub(super) fn well(&self) -> usize {
        self.devices.all.iter().filter(|device| !self.ill.contains_key(&device.uuid)).count()
    }

    /// How many have an owner.
    #[cfg(test)]
    pub(super) fn owned(&self) -> usize {
        self.owners.len()
    }

    /// What is wrong with a device.
    pub(super) fn illness(&self, uuid: &str) -> Option<&str> {
        self.ill.get(uuid).map(String::as_str)
    }

    /// A container owns so many from now on: it gets more, or gives back those that are farthest from the others.
    ///
    /// # Errors
    /// There are not so many; nothing has changed.
    pub(super) fn assign(
        &mut self,
        container_id: &ContainerId,
        count: usize,
    ) -> Result<Vec<Device>, PoolError> {
        let places = |pool: &Self, take: &dyn Fn(&Device) -> bool| -> Vec<usize> {
            let all = pool.devices.all.iter().enumerate();
            all.filter(|(_, device)| take(device)).map(|(place, _)| place).collect()
        };
        let held = places(self, &|device| self.owners.get(&device.uuid) == Some(container_id));
        let chosen = if count < held.len() {
            choose(&self.devices.worth, &[], &held, count).unwrap_or_default()
        } else {
            let free = places(self, &|device| {
                !self.owners.contains_key(&device.uuid) && !self.ill.contains_key(&device.uuid)
            });
            let wanted = count - held.len();
            let more = choose(&self.devices.worth, &held, &free, wanted)
                .ok_or(PoolError::TooFew { wanted, free: free.len() })?;
            held.into_iter().chain(more).collect()
        };
        self.release(container_id);
        for place in chosen {
            self.owners.insert(self.devices.all[place].uuid.clone(), container_id.clone());
        }
        Ok(self.of(container_id))
    }

    /// A container that an earlier life has given these: they are its own again.
    ///
    /// # Errors
    /// One is not there, or has another owner; it owns the others until it is released.
    pub(super) fn claim(&mut self, container_id: &ContainerId, uuids: &[String]) -> Result<(), PoolError> {
        self.release(container_id);
        let mut first = Ok(());
        for uuid in uuids {
            let problem = if !self.devices.all.iter().any(|device| device.uuid == *uuid) {
                PoolError::Gone { uuid: uuid.clone() }
            } else if let Some(owner) = self.owners.get(uuid).filter(|owner| *owner != container_id) {
                PoolError::Owned { uuid: uuid.clone(), owner: owner.clone() }
            } else {
                self.owners.insert(uuid.clone(), container_id.clone());
                continue;
            };
            first = first.and(Err(problem));
        }
        first
    }

    /// A container owns nothing any more.
    pub(super) fn release(&mut self, container_id: &ContainerId) {
        self.owners.retain(|_, owner| owner != container_id);
    }

    /// Something is wrong with a device from now on: whose it is. `None`: nobody's, or it was known.
    pub(super) fn fell_ill(&mut self, uuid: &str, problem: &str) -> Option<ContainerId> {
        if self.ill.contains_key(uuid) || !self.devices.all.iter().any(|device| device.uuid == uuid) {
            return None;
        }
        self.ill.insert(uuid.to_owned(), problem.to_owned());
        self.owners.get(uuid).cloned()
    }

    /// A device is well again; whether it was ill.
    pub(super) fn healed(&mut self, uuid: &str) -> bool {
        self.ill.remove(uuid).is_some()
    }

    /// The devices are others now: those that are gone, with their owners. A gone device has no owner any more. An ill one
    /// whose GPU is not there at the moment stays.
    pub(super) fn replace(&mut self, mut devices: Devices) -> Vec<(Device, Option<ContainerId>)> {
        let ill = self.devices.all.iter().filter(|device| self.ill.contains_key(&device.uuid));
        let away =
            ill.filter(|device| !devices.all.iter().any(|other| other.gpu_uuid() == device.gpu_uuid()));
        away.cloned().collect::<Vec<_>>().into_iter().for_each(|device| devices.add(device));
        let there: BTreeSet<&str> = devices.all.iter().map(|device| device.uuid.as_str()).collect();
        let gone = self.devices.all.iter().filter(|device| !there.contains(device.uuid.as_str()));
        let gone: Vec<_> =
            gone.map(|device| (device.clone(), self.owners.get(&device.uuid).cloned())).collect();
        self.owners.retain(|uuid, _| there.contains(uuid.as_str()));
        self.ill.retain(|uuid, _| there.contains(uuid.as_str()));
        self.devices = devices;
        gone
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn devices(count: usize) -> Devices {
        let device = |index: usize| Device { uuid: format!("GPU-{index}"), ..Device::default() };
        let worth = |a: usize, b: usize| if a / 2 == b / 2 { 250 } else { 10 };
        Devices {
            all: (0..count).map(device).collect(),
            worth: (0..count).map(|a| (0..count).map(|b| worth(a, b)).collect()).collect(),
        }
    }

    fn uuids(devices: &[Device]) -> Vec<&str> {
        devices.iter().map(|device| device.uuid.as_str()).collect()
    }

    #[test]
    fn more_and_less_keep_near_ones() {
        let mut pool = Pool::new(devices(4));
        let [a, b] = ["a", "b"].map(ContainerId::from);
        assert_eq!(uuids(&pool.assign(&a, 1).unwrap()), ["GPU-0"]);
        assert_eq!(uuids(&pool.assign(&b, 1).unwrap()), ["GPU-1"]);
        assert_eq!(uuids(&pool.assign(&a, 3).unwrap()), ["GPU-0", "GPU-2", "GPU-3"]);
        assert_eq!(pool.assign(&b, 2), Err(PoolError::TooFew { wanted: 1, free: 0 }));
        assert_eq!(uuids(&pool.of(&b)), ["GPU-1"], "nothing has changed");
        assert_eq!(uuids(&pool.assign(&a, 2).unwrap()), ["GPU-2", "GPU-3"], "the far one is given back");
        pool.release(&a);
        assert_eq!((pool.owned(), pool.well()), (1, 4));
    }

    #[test]
    fn what_is_claimed_must_be_there_and_free() {
        let mut pool = Pool::new(devices(2));
        let [a, b] = ["a", "b"].map(ContainerId::from);
        let [zero, one, two] = ["GPU-0", "GPU-1", "GPU-2"].map(str::to_owned);
        assert_eq!(pool.claim(&a, &[zero.clone(), one.clone()]), Ok(()));
        assert_eq!(
            pool.claim(&b, std::slice::from_ref(&one)),
            Err(PoolError::Owned { uuid: one, owner: a.clone() })
        );
        assert_eq!(pool.claim(&a, &[two.clone(), zero]), Err(PoolError::Gone { uuid: two }));
        assert_eq!(uuids(&pool.of(&a)), ["GPU-0"], "it runs, until it is ended");
    }

    #[test]
    fn an_ill_one_is_given_to_nobody() {
        let mut pool = Pool::new(devices(2));
        let a = ContainerId::from("a");
        pool.assign(&a, 1).unwrap();
        assert_eq!(pool.fell_ill("GPU-0", "hot"), Some(a.clone()));
        assert_eq!(pool.fell_ill("GPU-0", "hotter"), None, "it is known");
        assert_eq!(pool.fell_ill("GPU-1", "cold"), None);
        assert_eq!((pool.well(), pool.illness("GPU-0")), (0, Some("hot")));
        pool.release(&a);
        assert_eq!(pool.assign(&a, 1), Err(PoolError::TooFew { wanted: 1, free: 0 }));
        assert!(pool.healed("GPU-1"));
        assert_eq!(uuids(&pool.assign(&a, 1).unwrap()), ["GPU-1"]);
    }

    #[test]
    fn devices_come_and_go() {
        let mut pool = Pool::new(devices(3));
        let a = ContainerId::from("a");
        pool.assign(&a, 3).unwrap();
        let gone = pool.replace(devices(1));
        assert_eq!(
            gone.iter().map(|(device, owner)| (device.uuid.as_str(), owner.as_ref())).collect::<Vec<_>>(),
            [("GPU-1", Some(&a)), ("GPU-2", Some(&a))]
        );
        assert_eq!((pool.owned(), pool.all().len()), (1, 1));
        assert_eq!(pool.replace(devices(3)), []);
        assert_eq!(pool.well(), 3);
    }

    proptest! {
        /// Whatever is asked for in whatever order: each container has what it was promised, and no device two owners.
        #[test]
        fn two_containers_never_share(steps in prop::collection::vec((0..6u8, 0..6usize, 0..5usize), 1..60)) {
            let mut pool = Pool::new(devices(6));
            let mut promised: BTreeMap<ContainerId, usize> = BTreeMap::new();
            for (what, which, count) in steps {
                let container = ContainerId::from(format!("c{which}"));
                let uuid = format!("GPU-{which}");
                match what {
                    0..=2 => if pool.assign(&container, count).is_ok() {
                        promised.insert(container, count);
                    },
                    3 => {
                        pool.release(&container);
                        promised.remove(&container);
                    }
                    4 => drop(pool.fell_ill(&uuid, "ill")),
                    _ => _ = pool.healed(&uuid),
                }
                let mut seen = BTreeSet::new();
                for (container, count) in &promised {
                    let own = pool.of(container);
                    prop_assert_eq!(own.len(), *count);
                    prop_assert!(own.iter().all(|device| seen.insert(device.uuid.clone())), "two owners");
                }
                prop_assert_eq!(seen.len(), pool.owned());
            }
        }
    }
}
