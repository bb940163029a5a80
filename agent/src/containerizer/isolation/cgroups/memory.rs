//! `cgroups/mem`: memory that a container can't exceed, and what becomes of it when it tries.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{ContainerId, Resources};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings, Usage};
use super::driver::{self, CgroupError, number};
use super::hierarchy::{Controller, Version};
use super::oom::{self, OomFile};
use super::{Group, told};
use crate::core::Limitation;

const MB: u64 = 1 << 20;
/// The least limit: what an executor needs to begin. Source: Mesos.
const MIN_BYTES: u64 = 32 * MB;
/// Where the two versions say how much was charged at most.
const PEAKS: [&str; 2] = ["memory.max_usage_in_bytes", "memory.peak"];

/// The isolator.
pub struct MemoryIsolator {
    shared: Arc<Shared>,
    runtime: Handle,
    swap: bool,
}

struct Shared {
    group: Group,
    broken: mpsc::Sender<(ContainerId, Limitation)>,
    held: Mutex<BTreeMap<ContainerId, Held>>,
}

/// A container that is watched.
struct Held {
    watcher: AbortHandle,
    /// That it met its limit has been said.
    limitation: Option<Limitation>,
    /// What counts its want of memory, once somebody has asked for it.
    pressure: Option<([File; 3], [u64; 3])>,
}

impl MemoryIsolator {
    /// Where a hierarchy has the controller. To be called on a tokio runtime, which waits for events.
    ///
    /// # Errors
    /// Why it can't work here.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        let group = Group::new(Controller::Memory, around)?;
        if around.settings.cgroups.limit_swap {
            swap_is_counted(&group)?;
        }
        if group.driver.version() == Version::V2 {
            // What is kept for a container is taken from what is kept for those above it.
            for above in group.base.ancestors().take_while(|above| *above != group.mount) {
                driver::write(&above.join("memory.low"), "max").map_err(|error| error.to_string())?;
            }
        }
        let shared = Shared { group, broken: around.broken.clone(), held: Mutex::default() };
        Ok(Arc::new(Self { shared: Arc::new(shared), runtime, swap: around.settings.cgroups.limit_swap }))
    }

    /// Sets both limits. One that would be below what is used stays as it was until the next time.
    fn set(&self, path: &Path, resources: &Resources) -> Result<(), CgroupError> {
        let driver = self.shared.group.driver;
        let bytes = (resources.mem().millis().saturating_mul(MB) / 1000).max(MIN_BYTES);
        driver.set_soft_memory(path, bytes)?;
        match driver.set_memory(path, bytes, self.swap) {
            Err(error) if error.is_busy() => {
                tracing::debug!(path = %path.display(), bytes, "more memory is used than is left to a container: its limit stays");
                Ok(())
            }
            done => done,
        }
    }

    fn watch(&self, container_id: &ContainerId, file: OomFile) {
        let watching = watch(self.shared.clone(), container_id.clone(), file);
        // What it says of a container that is not here yet would be lost.
        let mut held = self.shared.lock();
        let watcher = self.runtime.spawn(watching).abort_handle();
        held.insert(container_id.clone(), Held { watcher, limitation: None, pressure: None });
    }
}

/// Whether the kernel counts what is written to swap space, for each cgroup; or why not, for people.
fn swap_is_counted(group: &Group) -> Result<(), String> {
    let file = group.driver.swap_file();
    match group.base.join(file).exists() {
        true => Ok(()),
        false => Err(format!(
            "the kernel does not count what a cgroup has written to swap space ({file} is missing in {}), which \
             --cgroups_limit_swap asks for: boot it with swapaccount=1, or one that was built with CONFIG_MEMCG_SWAP",
            group.base.display()
        )),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to say of a container that has met its limit.
    fn limitation(&self, container_id: &ContainerId) -> Limitation {
        let path = self.group.of(container_id);
        // First those that still live.
        let processes = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        let largest = oom::largest(&processes);
        let mut usage = Usage::default();
        self.group.driver.memory(&path, &mut usage);
        let peak = PEAKS.iter().find_map(|name| number(&path.join(name)));
        oom::limitation(&usage, peak, &largest)
    }

    /// Whether a process of it was killed; what the kernel no longer tells has not happened.
    fn killed(&self, container_id: &ContainerId) -> bool {
        self.group.driver.oom_kills(&self.group.of(container_id)).is_ok_and(|kills| kills > 0)
    }
}

/// Waits until a container meets its limit, and says so.
async fn watch(shared: Arc<Shared>, container_id: ContainerId, mut file: OomFile) {
    loop {
        let event = matches!(file, OomFile::Event(_));
        if !event && shared.killed(&container_id) {
            break;
        }
        file = match file.happened().await {
            Ok(file) => file,
            Err(_) => return,
        };
        // The first version says nothing but that; it does so too when the cgroup is removed.
        if event && shared.group.held(&container_id).is_some() {
            break;
        }
    }
    let (other, one) = (shared.clone(), container_id.clone());
    let said = tokio::task::spawn_blocking(move || other.limitation(&one)).await;
    // The runtime ends where it fails.
    let Ok(limitation) = said else { return };
    match shared.lock().get_mut(&container_id) {
        Some(held) => held.limitation = Some(limitation.clone()),
        None => return,
    }
    tracing::info!(%container_id, message = limitation.message, "a container has met its limit of memory");
    // Nobody listens any more when the agent ends.
    let _ = shared.broken.send((container_id, limitation)).await;
}

impl Isolator for MemoryIsolator {
    fn name(&self) -> &'static str {
        "cgroups/mem"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let container_id = &container.spec.container_id;
        let path = self.shared.group.make(container_id, plan)?;
        self.set(&path, &container.spec.resources).map_err(told)?;
        let file = self.shared.group.driver.watch_oom(&path).map_err(told)?;
        self.watch(container_id, file);
        Ok(json!({}))
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        if known.state.is_null() {
            return Ok(());
        }
        let path = self.shared.group.known(known.container_id)?;
        self.set(&path, known.resources).map_err(told)?;
        let file = self.shared.group.driver.watch_oom(&path).map_err(told)?;
        self.watch(known.container_id, file);
        if self.shared.killed(known.container_id) {
            // It was killed, in part, while nobody watched.
            let limitation = self.shared.limitation(known.container_id);
            let (broken, container_id) = (self.shared.broken.clone(), known.container_id.clone());
            // However many are told of at once. Nobody listens any more when the agent ends.
            self.runtime.spawn(async move { broken.send((container_id, limitation)).await });
        }
        Ok(())
    }

    fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        let Some(path) = self.shared.group.held(container_id) else { return Ok(()) };
        self.set(&path, resources).map_err(told)
    }

    fn broken(&self, container_id: &ContainerId) -> Option<Limitation> {
        let said = self.shared.lock().get(container_id).and_then(|held| held.limitation.clone());
        said.or_else(|| self.shared.killed(container_id).then(|| self.shared.limitation(container_id)))
    }

    fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        let path = self.shared.group.of(container_id);
        self.shared.group.driver.memory(&path, usage);
        if let Some(held) = self.shared.lock().get_mut(container_id) {
            if held.pressure.is_none() {
                let begun = self.shared.group.driver.watch_pressure(&path);
                held.pressure = begun.map(|files| (files, [0; 3]));
            }
            usage.mem_pressure = held.pressure.as_mut().map(|(files, counts)| {
                for (file, count) in files.iter_mut().zip(counts.iter_mut()) {
                    let mut more = [0; 8];
                    // Nothing has come where there is nothing to read.
                    if file.read_exact(&mut more).is_ok() {
                        *count += u64::from_ne_bytes(more);
                    }
                }
                *counts
            });
        }
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        if let Some(held) = self.shared.lock().remove(container_id) {
            held.watcher.abort();
        }
        self.shared.group.remove(container_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::IsolationSettings;
    use super::super::super::testing::surroundings;
    use super::*;

    /// Plain directories do for cgroups here: what is in them is what the kernel has.
    #[test]
    fn a_kernel_that_does_not_count_swap_is_told_of() {
        for (version, file) in
            [(Version::V1, "memory.memsw.limit_in_bytes"), (Version::V2, "memory.swap.max")]
        {
            let place = tempfile::tempdir().unwrap();
            let (around, _breaches) = surroundings(place.path(), IsolationSettings::default());
            // The second version's needs no controller here, for devices have none.
            let group = Group::at(Controller::Devices, version, place.path(), &around).unwrap();
            let why = swap_is_counted(&group).unwrap_err();
            for part in [file, "--cgroups_limit_swap asks for", "boot it with swapaccount=1"] {
                assert!(why.contains(part), "{why}");
            }
            fs::write(group.base.join(file), "").unwrap();
            assert_eq!(swap_is_counted(&group), Ok(()));
            fs::remove_file(group.base.join(file)).unwrap();
        }
    }
}
