//! An agent's machine for tests: its GPUs, and what is reported of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::{CommandInfo, ContainerId, ExecutorInfo, Resources};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::super::super::{
    Container, DeviceAccess, DeviceControl, DeviceRule, IsolationError, IsolationSettings, Isolator, Known,
    LaunchPlan, Surroundings,
};
use super::super::{GpuSettings, make};
use super::fake::Fake;
use crate::core::{ContainerSpec, Limitation};

/// How long an event may take on a loaded machine.
const SOON: Duration = Duration::from_secs(30);

pub(super) struct Machine {
    pub(super) fake: Fake,
    place: TempDir,
    pub(super) around: Surroundings,
    broken: mpsc::Receiver<(ContainerId, Limitation)>,
    offered: mpsc::Receiver<Resources>,
    pub(super) granted: Arc<Granted>,
    pub(super) isolator: Arc<dyn Isolator>,
}

/// What containers may use, as it was said last.
#[derive(Default)]
pub(super) struct Granted(Mutex<BTreeMap<ContainerId, Vec<DeviceRule>>>);

impl DeviceControl for Granted {
    fn grant(&self, container_id: &ContainerId, rules: &[DeviceRule]) -> Result<(), IsolationError> {
        self.0.lock().unwrap().insert(container_id.clone(), rules.to_vec());
        Ok(())
    }
}

impl Granted {
    pub(super) fn of(&self, container: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.get(&container.into()).into_iter().flatten().map(ToString::to_string).collect()
    }
}

pub(super) fn surroundings(
    place: &Path,
    gpu: GpuSettings,
) -> (Surroundings, mpsc::Receiver<(ContainerId, Limitation)>, mpsc::Receiver<Resources>) {
    let (broken, breaches) = mpsc::channel(16);
    let (offered, totals) = mpsc::channel(16);
    let around = Surroundings {
        work_dir: place.to_owned(),
        runtime_dir: place.join("run"),
        cgroup: format!(
            "meseta-test-gpu-{}/{}",
            std::process::id(),
            place.file_name().unwrap().to_string_lossy()
        ),
        tree: None,
        devices: DeviceAccess::default(),
        settings: Arc::new(IsolationSettings { gpu, ..IsolationSettings::default() }),
        broken,
        offered,
    };
    (around, breaches, totals)
}

/// An agent keeps the directories of its own in all hierarchies; a test does not.
pub(super) fn remove_cgroups(around: &Surroundings) {
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        for own in Path::new(&around.cgroup).ancestors().filter(|own| !own.as_os_str().is_empty()) {
            let _ = std::fs::remove_dir(hierarchy.path().join(own));
        }
    }
}

pub(super) fn spec(container: &str, resources: &str) -> ContainerSpec {
    ContainerSpec {
        container_id: container.into(),
        framework_id: "f".into(),
        executor: ExecutorInfo::new("e", CommandInfo::shell("")),
        command_executor: true,
        sandbox: "sandbox".into(),
        user: None,
        environment: Vec::new(),
        resources: resources.parse().unwrap(),
        container: None,
    }
}

impl Machine {
    /// Its GPUs are those of the fake; all are taken.
    pub(super) fn new(fake: Fake) -> Self {
        let place = tempfile::tempdir().unwrap();
        Self::at(fake, place)
    }

    fn at(fake: Fake, place: TempDir) -> Self {
        let mut gpu = GpuSettings::find(Some(&fake.library()), "").unwrap();
        gpu.poll = Duration::from_millis(20);
        gpu.remember(&place.path().join("run")).unwrap();
        gpu.total = format!("cpus:4;gpus:{}", gpu.devices.all.len()).parse().unwrap();
        Self::with(fake, place, gpu)
    }

    /// The agent begins anew with other GPUs.
    pub(super) fn again(self, gpu: GpuSettings) -> Self {
        drop(self.isolator);
        Self::with(self.fake, self.place, gpu)
    }

    fn with(fake: Fake, place: TempDir, mut gpu: GpuSettings) -> Self {
        (gpu.dev, gpu.proc) = (place.path().join("dev"), place.path().join("proc"));
        let (around, broken, offered) = surroundings(place.path(), gpu);
        std::fs::create_dir_all(&around.runtime_dir).unwrap();
        let granted = Arc::new(Granted::default());
        around.devices.enforce(granted.clone());
        let isolator = make(&around).unwrap();
        Self { fake, place, around, broken, offered, granted, isolator }
    }

    /// The agent begins anew, with what lies on the disk.
    pub(super) fn restart(self) -> Self {
        drop(self.isolator);
        Self::at(self.fake, self.place)
    }

    /// Prepares a container with so many GPUs: what it finds in its environment, and what is kept.
    pub(super) fn prepare(
        &self,
        container: &str,
        gpus: &str,
    ) -> Result<(BTreeMap<String, String>, Value), String> {
        let spec = spec(container, &format!("cpus:1;gpus:{gpus}"));
        let mut plan = LaunchPlan::default();
        let prepared =
            self.isolator.prepare(&Container { spec: &spec, sandbox: self.place.path() }, &mut plan);
        prepared.map(|state| (plan.environment.into_iter().collect(), state)).map_err(|error| error.0)
    }

    pub(super) fn recover(&self, container: &str, gpus: &str, state: &Value) -> Result<(), String> {
        let known = Known {
            container_id: &container.into(),
            pid: 1,
            sandbox: self.place.path(),
            resources: &format!("gpus:{gpus}").parse().unwrap(),
            state,
        };
        self.isolator.recover(&known).map_err(|error| error.0)
    }

    pub(super) fn update(&self, container: &str, gpus: &str) -> Result<(), String> {
        let resources = format!("gpus:{gpus}").parse().unwrap();
        self.isolator.update(&container.into(), &resources).map_err(|error| error.0)
    }

    pub(super) fn cleanup(&self, container: &str) {
        self.isolator.cleanup(&container.into()).unwrap();
    }

    /// The next container that is ended, and why.
    pub(super) async fn ended(&mut self) -> (String, Limitation) {
        let told = tokio::time::timeout(SOON, self.broken.recv()).await.expect("it is told in time").unwrap();
        (told.0.to_string(), told.1)
    }

    /// What the machine offers next.
    pub(super) async fn offers(&mut self) -> String {
        let told = tokio::time::timeout(SOON, self.offered.recv()).await.expect("it is told in time");
        told.unwrap().to_string()
    }

    /// Nothing else was told.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.broken.try_recv().is_err() && self.offered.try_recv().is_err()
    }
}
