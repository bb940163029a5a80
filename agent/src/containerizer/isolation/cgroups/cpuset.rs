//! `cgroups/cpuset`: which CPUs a container runs on. Where it is wanted, a container that asks for whole CPUs has them
//! alone, and the others share the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{ContainerId, Resources};
use serde_json::{Value, json};

use super::super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings};
use super::driver::{self, CgroupError};
use super::hierarchy::{Controller, Version};
use super::{Group, told};

type Cpus = BTreeSet<u32>;

/// What is kept of a container: whether it has begun with CPUs of its own.
const OWN: &str = "own";

/// The isolator.
pub struct CpusetIsolator {
    group: Group,
    all: Cpus,
    pin: bool,
    held: Mutex<BTreeMap<ContainerId, Option<Cpus>>>,
}

impl CpusetIsolator {
    /// Where a hierarchy has the controller.
    ///
    /// # Errors
    /// Why it can't work here.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        let group = Group::new(Controller::Cpuset, around)?;
        if group.driver.version() == Version::V1 {
            inherit(&group).map_err(|error| error.to_string())?;
        }
        let here = ["cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"];
        let here = here.iter().find_map(|name| driver::read(&group.base.join(name)).ok());
        let there = here.as_deref().and_then(parse).ok_or("the kernel does not tell which CPUs there are")?;
        let settings = &around.settings.cgroups;
        let all = match &settings.cpus {
            None => there.clone(),
            Some(text) => {
                parse(text).filter(|cpus| !cpus.is_empty() && cpus.is_subset(&there)).ok_or_else(|| {
                    format!(
                        "--cgroups_cpuset_cpus='{text}' is no list of CPUs that containers can have here, which are {}",
                        print(&there)
                    )
                })?
            }
        };
        Ok(Arc::new(Self { group, all, pin: settings.pin, held: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Option<Cpus>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// CPUs of its own, if it asks for whole ones and one is left for the others.
    fn choose(&self, held: &BTreeMap<ContainerId, Option<Cpus>>, resources: &Resources) -> Option<Cpus> {
        let millis = resources.cpus().millis();
        let count = usize::try_from(millis / 1000).ok()?;
        if !self.pin || !millis.is_multiple_of(1000) || count == 0 {
            return None;
        }
        let free = self.free(held);
        (free.len() > count).then(|| free.into_iter().take(count).collect())
    }

    fn free(&self, held: &BTreeMap<ContainerId, Option<Cpus>>) -> Cpus {
        let taken: Cpus = held.values().flatten().flatten().copied().collect();
        self.all.difference(&taken).copied().collect()
    }

    /// Writes those of one container, and of all that share, since that may have changed.
    fn write(
        &self,
        held: &BTreeMap<ContainerId, Option<Cpus>>,
        container_id: Option<&ContainerId>,
    ) -> Result<(), CgroupError> {
        let shared = print(&self.free(held));
        for (one, own) in held {
            let asked = Some(one) == container_id;
            if !asked && (own.is_some() || !self.pin) {
                continue;
            }
            let cpus = own.as_ref().map_or_else(|| shared.clone(), print);
            match self.group.driver.set_cpus(&self.group.of(one), &cpus) {
                // Another one may be about to end.
                Err(error) if !asked => tracing::debug!(container_id = %one, %error, "can't share CPUs anew"),
                done => done?,
            }
        }
        Ok(())
    }

    fn assign(
        &self,
        container_id: &ContainerId,
        resources: &Resources,
    ) -> Result<Option<Cpus>, IsolationError> {
        let mut held = self.lock();
        held.remove(container_id);
        let own = self.choose(&held, resources);
        held.insert(container_id.clone(), own.clone());
        self.write(&held, Some(container_id)).map_err(told)?;
        Ok(own)
    }
}

/// Gives the agent's cgroup what the one above it has: one that has none can give none. Those above it belong to others, who
/// may have said what is theirs.
fn inherit(group: &Group) -> Result<(), CgroupError> {
    let mut above: Vec<_> = group.base.ancestors().take_while(|path| **path != group.mount).collect();
    above.reverse();
    let mut given = driver::read(&group.mount.join("cpuset.cpus"))?;
    for path in above {
        let own = driver::read(&path.join("cpuset.cpus"))?;
        if own.is_empty() || path == group.base {
            group.driver.set_cpus(path, &given)?;
        } else {
            given = own;
        }
    }
    Ok(())
}

impl Isolator for CpusetIsolator {
    fn name(&self) -> &'static str {
        "cgroups/cpuset"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let container_id = &container.spec.container_id;
        self.group.make(container_id, plan)?;
        let own = self.assign(container_id, &container.spec.resources)?;
        Ok(json!({ OWN: own.is_some() }))
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        if known.state.is_null() {
            return Ok(());
        }
        // The cgroup itself says which are its own: that may have changed since it was made.
        let path = self.group.known(known.container_id)?;
        let present = driver::read(&path.join("cpuset.cpus")).map_err(told)?;
        let mut held = self.lock();
        let free = self.free(&held);
        let wanted = known.resources.cpus().millis();
        // One that shares may have been left with as many as it asks for: those are not its own.
        let began_so = known.state.get(OWN).and_then(Value::as_bool).unwrap_or(true);
        let own = parse(&present).filter(|cpus| {
            self.pin
                && began_so
                && cpus.len() as u64 * 1000 == wanted
                && cpus.is_subset(&free)
                && cpus.len() < free.len()
        });
        held.insert(known.container_id.clone(), own);
        self.write(&held, Some(known.container_id)).map_err(told)
    }

    fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        let known = self.lock().contains_key(container_id);
        if known { self.assign(container_id, resources).map(drop) } else { Ok(()) }
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        let mut held = self.lock();
        if held.remove(container_id).flatten().is_some() {
            self.write(&held, None).map_err(told)?;
        }
        drop(held);
        self.group.remove(container_id)
    }
}

/// A list as the kernel writes it: `0-3,8`.
fn parse(text: &str) -> Option<Cpus> {
    /// Most CPUs of a machine. Source: the kernel's bound for all architectures.
    const MOST: u32 = 8192;
    let mut all = Cpus::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MOST {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

/// The same, as the kernel would write it.
fn print(cpus: &Cpus) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for cpu in cpus {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *cpu => *last = *cpu,
            _ => parts.push((*cpu, *cpu)),
        }
    }
    let one = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    parts.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::super::IsolationSettings;
    use super::super::super::testing::surroundings;
    use super::*;

    /// Plain directories do for cgroups here.
    #[test]
    fn a_restart_leaves_cpus_to_those_who_had_them_alone_in_whichever_order_they_are_found() {
        let resources: Resources = "cpus:1".parse().unwrap();
        for order in [["own", "shares"], ["shares", "own"]] {
            let place = tempfile::tempdir().unwrap();
            let (around, _breaches) = surroundings(place.path(), IsolationSettings::default());
            let group = Group::at(Controller::Devices, Version::V2, place.path(), &around).unwrap();
            let isolator =
                CpusetIsolator { group, all: Cpus::from([0, 1]), pin: true, held: Mutex::default() };
            for (name, cpus) in [("own", "0"), ("shares", "1")] {
                std::fs::create_dir(isolator.group.base.join(name)).unwrap();
                std::fs::write(isolator.group.base.join(name).join("cpuset.cpus"), cpus).unwrap();
            }
            for name in order {
                let (container_id, state) = (ContainerId::from(name), json!({ OWN: name == "own" }));
                let known = Known {
                    container_id: &container_id,
                    pid: 1,
                    sandbox: place.path(),
                    resources: &resources,
                    state: &state,
                };
                isolator.recover(&known).unwrap();
            }
            let held = isolator.lock().clone();
            assert_eq!(
                held,
                BTreeMap::from([("own".into(), Some(Cpus::from([0]))), ("shares".into(), None)])
            );
        }
    }

    #[test]
    fn what_others_have_set_above_the_agents_cgroup_stays_and_counts() {
        let place = tempfile::tempdir().unwrap();
        let (mut around, _breaches) = surroundings(place.path(), IsolationSettings::default());
        let others = format!("meseta-test-cpuset-{}", std::process::id());
        around.cgroup = format!("{others}/agents/own");
        let group = match Group::new(Controller::Cpuset, &around) {
            Ok(group) if group.driver.version() == Version::V1 => group,
            other => {
                println!("SKIPPED: no CPU sets of the first version: {:?}", other.err());
                return;
            }
        };
        let others = group.mount.join(others);
        group.driver.set_cpus(&others, "0").unwrap();
        drop(group);
        {
            let _isolator = CpusetIsolator::make(&around).unwrap();
            let held = |path: &std::path::Path| driver::read(&path.join("cpuset.cpus")).unwrap();
            assert_eq!(
                [held(&others), held(&others.join("agents")), held(&others.join("agents/own"))],
                ["0"; 3]
            );
        }
        driver::destroy(&others).unwrap();
    }

    #[test]
    fn lists_are_those_of_the_kernel() {
        for text in ["", "0", "0-3,8", "1-2,4,6-7"] {
            assert_eq!(print(&parse(text).unwrap()), text);
        }
        assert_eq!(parse("0-9999999"), None);
        assert_eq!(parse("a"), None);
    }
}
