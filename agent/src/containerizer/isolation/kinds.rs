//! The kinds of isolators by name, and which of them are chosen: `--isolation`.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::wire::v1::ContainerStatus;
use protocol::{ContainerId, Resources};
use serde_json::Value;

use super::cgroups::CgroupSettings;
use super::cgroups::blkio::BlkioIsolator;
use super::cgroups::cpu::CpuIsolator;
use super::cgroups::cpuset::CpusetIsolator;
use super::cgroups::devices::DevicesIsolator;
use super::cgroups::memory::MemoryIsolator;
use super::cgroups::pids::PidsIsolator;
use super::disk::DiskIsolator;
use super::filesystem::FilesystemIsolator;
use super::gpu;
use super::namespaces::{IpcNamespace, PidNamespace};
use super::ports::PortsIsolator;
use super::posix::PosixIsolator;
use super::privileges::{CapabilitiesIsolator, NoNewPrivileges};
use super::rlimits::RlimitsIsolator;
use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings, Usage};
use crate::core::Limitation;

/// One kind.
struct Kind {
    /// As in `--isolation`.
    name: &'static str,
    /// Other names of it, Mesos's older ones among them.
    aliases: &'static [&'static str],
    /// Whether `auto` takes it where it can work.
    automatic: fn(&Surroundings) -> bool,
    /// Whether a flag asks for what it does: `auto` takes it then, or says why it can't.
    asked: fn(&CgroupSettings) -> bool,
    /// Makes one, or says why it can't work on this machine, as a sentence for people.
    make: fn(&Surroundings) -> Result<Arc<dyn Isolator>, String>,
}

/// Names all isolators with cgroups that can work here. Source: Mesos.
const ALL_CGROUPS: &str = "cgroups/all";

/// All kinds, in the order in which they prepare a container.
const KINDS: &[Kind] = &[
    kind("posix/cpu", &["process"], never, PosixIsolator::cpu),
    kind("posix/mem", &["process"], never, PosixIsolator::memory),
    kind("cgroups/cpu", &["cgroups", ALL_CGROUPS], always, CpuIsolator::make).asked(|flags| flags.enable_cfs),
    kind("cgroups/mem", &["cgroups", ALL_CGROUPS], always, MemoryIsolator::make)
        .asked(|flags| flags.limit_swap),
    kind("cgroups/pids", &[ALL_CGROUPS], always, PidsIsolator::make),
    kind("cgroups/devices", &[ALL_CGROUPS], with_gpus, DevicesIsolator::make)
        .asked(|flags| !flags.allowed_devices.is_empty()),
    kind("cgroups/blkio", &[ALL_CGROUPS], never, BlkioIsolator::make)
        .asked(|flags| !flags.io_limits.is_empty()),
    kind("cgroups/cpuset", &[ALL_CGROUPS], never, CpusetIsolator::make)
        .asked(|flags| flags.cpus.is_some() || flags.pin),
    kind(gpu::NAME, &["gpu"], always, gpu::make),
    kind("namespaces/pid", &[], never, PidNamespace::make),
    kind("namespaces/ipc", &[], never, IpcNamespace::make),
    kind("filesystem/linux", &[], always, FilesystemIsolator::make),
    kind("posix/rlimits", &[], always, RlimitsIsolator::make),
    kind("linux/capabilities", &[], always, CapabilitiesIsolator::make),
    // A task that uses sudo, or any other set-user-ID program, would break: who runs none says so by name.
    kind("linux/nnp", &[], never, NoNewPrivileges::make),
    kind("disk/du", &["posix/disk"], always, DiskIsolator::make),
    kind("network/ports", &[], always, PortsIsolator::make),
];

const fn kind(
    name: &'static str,
    aliases: &'static [&'static str],
    automatic: fn(&Surroundings) -> bool,
    make: fn(&Surroundings) -> Result<Arc<dyn Isolator>, String>,
) -> Kind {
    Kind { name, aliases, automatic, asked: |_| false, make }
}

impl Kind {
    const fn asked(mut self, asked: fn(&CgroupSettings) -> bool) -> Self {
        self.asked = asked;
        self
    }
}

fn always(_around: &Surroundings) -> bool {
    true
}

fn never(_around: &Surroundings) -> bool {
    false
}

/// A GPU that nobody guards is everybody's.
fn with_gpus(around: &Surroundings) -> bool {
    around.settings.gpu.any()
}

/// What `--isolation` names that is no isolator, or can't work here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownIsolator {
    /// There is no such kind.
    #[error("there is no isolator '{name}'; there are: {known}")]
    Name {
        /// As it was said.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// This machine does not allow it.
    #[error("the isolator '{name}' can't work here: {why}; leave it out of --isolation, or mend that")]
    Unavailable {
        /// Which.
        name: &'static str,
        /// Why.
        why: String,
    },
    /// This machine does not allow what a flag asks for.
    #[error(
        "a flag asks for what the isolator '{name}' can't do here: {why}; leave that flag out, or mend that"
    )]
    Asked {
        /// Which.
        name: &'static str,
        /// Why.
        why: String,
    },
}

/// The isolators of an agent, in order.
#[derive(Clone, Default)]
pub struct Chosen {
    isolators: Vec<Arc<dyn Isolator>>,
    /// Those that `auto` would have taken, and why it has not.
    missing: Vec<(&'static str, String)>,
}

/// What the isolators of a container have returned from their preparation, by name.
pub type States = BTreeMap<String, Value>;

impl Chosen {
    /// Those of a list of names, separated by commas; `auto`, alone or among others: all that can work here.
    ///
    /// # Errors
    /// A name is unknown, or what was asked for by its name can't work here.
    pub fn from_names(names: &str, around: &Surroundings) -> Result<Self, UnknownIsolator> {
        let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let is = |kind: &Kind, name: &str| kind.name == name || kind.aliases.contains(&name);
        if let Some(name) =
            names.iter().find(|name| **name != "auto" && !KINDS.iter().any(|kind| is(kind, name)))
        {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            return Err(UnknownIsolator::Name { name: (*name).to_owned(), known: known.join(", ") });
        }
        let mut chosen = Self::default();
        for kind in KINDS {
            let all = names.contains(&ALL_CGROUPS) && kind.aliases.contains(&ALL_CGROUPS);
            let named = names.iter().any(|name| *name != ALL_CGROUPS && is(kind, name));
            let asked = (kind.asked)(&around.settings.cgroups);
            let taken = named || all || (names.contains(&"auto") && (asked || (kind.automatic)(around)));
            if !taken {
                continue;
            }
            match (kind.make)(around) {
                Ok(isolator) => chosen.isolators.push(isolator),
                Err(why) if named => return Err(UnknownIsolator::Unavailable { name: kind.name, why }),
                Err(why) if asked => return Err(UnknownIsolator::Asked { name: kind.name, why }),
                Err(why) => chosen.missing.push((kind.name, why)),
            }
        }
        Ok(chosen)
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.isolators.iter().map(|isolator| isolator.name()).collect()
    }

    /// Those that `auto` has not taken, and why.
    pub fn missing(&self) -> &[(&'static str, String)] {
        &self.missing
    }

    /// Prepares a container: what the launcher is to do, and what is to be kept. On an error nothing is left.
    ///
    /// # Errors
    /// Of the first isolator that could not.
    pub fn prepare(&self, container: &Container<'_>) -> Result<(LaunchPlan, States), IsolationError> {
        let mut plan = LaunchPlan::default();
        let mut states = States::new();
        for isolator in &self.isolators {
            match isolator.prepare(container, &mut plan) {
                Ok(Value::Null) => {}
                Ok(state) => drop(states.insert(isolator.name().to_owned(), state)),
                Err(error) => {
                    self.cleanup(&container.spec.container_id);
                    return Err(error);
                }
            }
        }
        Ok((plan, states))
    }

    /// See [`Isolator::started`].
    ///
    /// # Errors
    /// Of the first isolator that could not.
    pub fn started(&self, container_id: &ContainerId, pid: u32) -> Result<(), IsolationError> {
        self.isolators.iter().try_for_each(|isolator| isolator.started(container_id, pid))
    }

    /// See [`Isolator::recover`]; `known.state` is filled in. All are told of the container, whoever could not take it up: until
    /// it has ended nobody else may have what is its own.
    ///
    /// # Errors
    /// Of the first isolator that could not.
    pub fn recover(&self, known: &Known<'_>, states: &States) -> Result<(), IsolationError> {
        let mut outcome = Ok(());
        for isolator in &self.isolators {
            let state = states.get(isolator.name()).unwrap_or(&Value::Null);
            outcome = outcome.and(isolator.recover(&Known { state, ..*known }));
        }
        outcome
    }

    /// See [`Isolator::update`].
    ///
    /// # Errors
    /// Of the first isolator that could not.
    pub fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        self.isolators.iter().try_for_each(|isolator| isolator.update(container_id, resources))
    }

    /// The limit for which a container has ended, if it was for one.
    pub fn broken(&self, container_id: &ContainerId) -> Option<Limitation> {
        self.isolators.iter().find_map(|isolator| isolator.broken(container_id))
    }

    /// Adds what a container uses.
    pub fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        self.isolators.iter().for_each(|isolator| isolator.usage(container_id, usage));
    }

    /// Adds what is known of a container.
    pub fn status(&self, container_id: &ContainerId, status: &mut ContainerStatus) {
        self.isolators.iter().for_each(|isolator| isolator.status(container_id, status));
    }

    /// Takes away all that was made for a container; the sentences of those that could not.
    pub fn cleanup(&self, container_id: &ContainerId) -> Vec<String> {
        let all = self.isolators.iter().rev();
        all.filter_map(|isolator| {
            let error = isolator.cleanup(container_id).err()?;
            tracing::error!(%container_id, isolator = isolator.name(), %error, "something of a container stays behind");
            Some(error.0)
        })
        .collect()
    }
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Chosen").field(&self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::IsolationSettings;
    use super::super::cgroups::IoLimit;
    use super::super::testing::surroundings;
    use super::*;

    /// Knows whom it was told of, and fails.
    #[derive(Default)]
    struct Fails(std::sync::Mutex<Vec<ContainerId>>);

    impl Isolator for Fails {
        fn name(&self) -> &'static str {
            "fails"
        }

        fn prepare(&self, _: &Container<'_>, _: &mut LaunchPlan) -> Result<Value, IsolationError> {
            Ok(Value::Null)
        }

        fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
            let mut told = self.0.lock().unwrap();
            told.push(known.container_id.clone());
            Err(IsolationError(format!("the one that was told {} times", told.len())))
        }

        fn cleanup(&self, _: &ContainerId) -> Result<(), IsolationError> {
            Ok(())
        }
    }

    /// Else the GPU of a container that is about to end could be given to another one.
    #[test]
    fn a_container_that_one_isolator_can_not_take_up_is_known_to_all_of_them() {
        let own = Arc::new(Fails::default());
        let chosen = Chosen { isolators: vec![own.clone(), own.clone()], missing: Vec::new() };
        let (container_id, resources) = (ContainerId::from("c"), Resources::new());
        let known = Known {
            container_id: &container_id,
            pid: 1,
            sandbox: std::path::Path::new("/"),
            resources: &resources,
            state: &Value::Null,
        };
        let error = chosen.recover(&known, &States::new()).unwrap_err();
        assert_eq!(error.0, "the one that was told 1 times");
        assert_eq!(*own.0.lock().unwrap(), [container_id.clone(), container_id]);
    }

    /// Whoever may not make cgroups is told so: a flag is never left out in silence.
    #[tokio::test]
    async fn what_a_flag_asks_for_is_taken_or_refused_aloud() {
        let limit = IoLimit { device: (7, 0), ..IoLimit::default() };
        let flags = [
            ("cgroups/blkio", CgroupSettings { io_limits: vec![limit], ..CgroupSettings::default() }),
            ("cgroups/cpuset", CgroupSettings { pin: true, ..CgroupSettings::default() }),
            ("cgroups/mem", CgroupSettings { limit_swap: true, ..CgroupSettings::default() }),
        ];
        for (name, cgroups) in flags {
            let place = tempfile::tempdir().unwrap();
            let asked = IsolationSettings { cgroups, ..IsolationSettings::default() };
            for (settings, wanted) in [(asked, true), (IsolationSettings::default(), false)] {
                let (mut around, _breaches) = surroundings(place.path(), settings);
                around.cgroup =
                    format!("meseta-test-kinds-{}/{}", std::process::id(), name.replace('/', "-"));
                match Chosen::from_names("auto", &around) {
                    Ok(chosen) if wanted => assert!(chosen.names().contains(&name), "{chosen:?}"),
                    Ok(chosen) => {
                        let missing = chosen.missing().iter().any(|(one, _)| *one == name);
                        assert_eq!(chosen.names().contains(&name) || missing, name == "cgroups/mem");
                    }
                    Err(error) => {
                        println!("{error}");
                        assert!(
                            wanted
                                && matches!(error, UnknownIsolator::Asked { name: one, .. } if one == name)
                        );
                    }
                }
            }
        }
    }
}
