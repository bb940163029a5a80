//! Containers as processes of this machine: a sandbox, two files for the output, isolators, a tree that can be killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use libactor::Metrics;
use protocol::wire::v1::ContainerStatus;
use protocol::{ContainerId, Resources};
use tokio::sync::{Semaphore, mpsc};

use super::asked::Handle;
use super::isolation::{Chosen, DeviceAccess, IsolationSettings, Surroundings};
use super::logger::{Logger, LoggerSettings};
use super::records::Records;
use super::recover::recover;
use super::supervise::supervise;
use super::tree::{LauncherKind, Tree};
use super::usage::{Meter, Usage};
use super::zygote::Zygote;
use super::{ContainerEvent, Containerizer};
use crate::core::{ContainerSpec, Limitation};
use crate::fetcher::{Fetcher, FetcherSettings};
use crate::sandbox_gc::SandboxGcSettings;

/// Most sandboxes made and processes started at one moment, where there are so many CPUs; the others wait for their turn.
/// Ours: starting is work for the kernel, more threads than this only wait for one another.
const MAX_STARTING: usize = 4;
/// Most containers tidied up after at one moment. Ours: it is work for the kernel, which does it one at a time.
const MAX_ENDING: usize = 2;
/// How many events may wait to be taken.
const EVENT_CAPACITY: usize = 1024;
/// How many reports of isolators may wait to be taken. Ours.
const REPORT_CAPACITY: usize = 64;

/// Settings of the process containerizer.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// `--work_dir`, absolute: sandboxes are below it.
    pub work_dir: PathBuf,
    /// `--runtime_dir`, absolute: what dies with the machine lies there, such as what is known of running containers.
    pub runtime_dir: PathBuf,
    /// The launcher, program first; `meseta launch`, or whatever calls [`launch_main`](crate::launch::launch_main).
    pub launcher: Vec<OsString>,
    /// `--launcher`.
    pub kind: LauncherKind,
    /// `--cgroups_root`: the directory below the cgroups' mounts that holds the containers' cgroups.
    pub cgroups_root: String,
    /// `--isolation`: names of isolators, separated by commas; `auto`: what the machine allows.
    pub isolation: String,
    /// Settings of the isolators.
    pub settings: IsolationSettings,
    /// What fetches into sandboxes.
    pub fetcher: FetcherSettings,
    /// What bounds the output.
    pub logger: LoggerSettings,
    /// What becomes of sandboxes when their containers are over: for the agent's shell.
    pub sandbox_gc: SandboxGcSettings,
}

impl ProcessConfig {
    /// This program's own `launch` command, the best kind there is, what isolation the machine allows.
    ///
    /// # Errors
    /// Where this program lies can't be told.
    pub fn new(work_dir: impl Into<PathBuf>) -> io::Result<Self> {
        let work_dir = work_dir.into();
        Ok(Self {
            runtime_dir: work_dir.join("run"),
            work_dir,
            launcher: vec![std::env::current_exe()?.into_os_string(), "launch".into()],
            kind: LauncherKind::Auto,
            cgroups_root: "meseta".to_owned(),
            isolation: "auto".to_owned(),
            settings: IsolationSettings::default(),
            fetcher: FetcherSettings::default(),
            logger: LoggerSettings::default(),
            sandbox_gc: SandboxGcSettings::default(),
        })
    }
}

/// Starts containers as processes of this machine.
pub struct ProcessContainerizer {
    shared: Arc<Shared>,
}

/// What the lives of all containers have in common.
pub(super) struct Shared {
    pub(super) config: ProcessConfig,
    pub(super) tree: Tree,
    pub(super) chosen: Chosen,
    pub(super) records: Records,
    pub(super) zygote: Zygote,
    pub(super) fetcher: Fetcher,
    pub(super) logger: Logger,
    /// For those that are being started.
    pub(super) starting: Semaphore,
    /// For those that have ended.
    pub(super) ending: Semaphore,
    /// Those that live.
    handles: Mutex<BTreeMap<ContainerId, Arc<Handle>>>,
    events: mpsc::Sender<ContainerEvent>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tree.leave();
    }
}

impl Shared {
    /// Nobody listens any more where an event can't be sent.
    pub(super) async fn report(&self, event: ContainerEvent) {
        let _ = self.events.send(event).await;
    }

    /// A container begins its life.
    pub(super) fn enter(&self, container_id: &ContainerId) -> Arc<Handle> {
        let handle = Arc::new(Handle::default());
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.insert(container_id.clone(), handle.clone());
        handle
    }

    /// Nothing is left of a container.
    pub(super) fn leave(&self, container_id: &ContainerId) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).remove(container_id);
    }

    fn handle(&self, container_id: &ContainerId) -> Option<Arc<Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).get(container_id).cloned()
    }
}

impl ProcessContainerizer {
    /// A containerizer and what it will report. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The directories can't be made, the wanted launcher kind can't work here, or an isolator that was asked for is
    /// unknown or can't.
    pub fn new(config: ProcessConfig) -> io::Result<(Self, mpsc::Receiver<ContainerEvent>)> {
        std::fs::create_dir_all(&config.work_dir)?;
        let tree = Tree::choose(config.kind, &config.cgroups_root, &config.work_dir)?;
        let records = Records::open(&config.runtime_dir)?;
        let (broken, breaches) = mpsc::channel(REPORT_CAPACITY);
        let (offered, totals) = mpsc::channel(REPORT_CAPACITY);
        let around = Surroundings {
            work_dir: config.work_dir.clone(),
            runtime_dir: config.runtime_dir.clone(),
            cgroup: Tree::cgroup_name(&config.cgroups_root, &config.work_dir)?,
            tree: tree.directory(),
            settings: Arc::new(config.settings.clone()),
            broken,
            offered,
            devices: DeviceAccess::default(),
        };
        let unwanted = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let chosen = Chosen::from_names(&config.isolation, &around).map_err(unwanted)?;
        tracing::info!(
            launcher = tree.name(),
            isolation = chosen.names().join(","),
            "containers are kept apart"
        );
        for (name, why) in chosen.missing() {
            // Most machines have no GPU, and lack nothing.
            match name.starts_with("gpu/") {
                true => tracing::info!(isolator = name, "{why}"),
                false => tracing::warn!(isolator = name, "containers are not held to this: {why}"),
            }
        }
        let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let starting = Semaphore::new(cpus.clamp(2, MAX_STARTING));
        let ending = Semaphore::new(MAX_ENDING);
        let zygote = Zygote::new(config.launcher.clone());
        let handles = Mutex::default();
        let fetcher = Fetcher::new(config.fetcher.clone(), &config.work_dir)?;
        let logger = Logger::new(config.logger)?;
        let shared = Shared {
            config,
            tree,
            chosen,
            records,
            zygote,
            fetcher,
            logger,
            starting,
            ending,
            handles,
            events,
        };
        let shared = Arc::new(shared);
        tokio::spawn(end_the_broken(Arc::downgrade(&shared), breaches));
        tokio::spawn(tell_of_offered(shared.events.downgrade(), totals));
        Ok((Self { shared }, receiver))
    }
}

/// Ends containers that break a limit while they run.
async fn end_the_broken(shared: Weak<Shared>, mut breaches: mpsc::Receiver<(ContainerId, Limitation)>) {
    while let Some((container_id, limitation)) = breaches.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        if let Some(handle) = shared.handle(&container_id) {
            handle.limit(limitation);
        }
    }
}

async fn tell_of_offered(events: mpsc::WeakSender<ContainerEvent>, mut totals: mpsc::Receiver<Resources>) {
    while let Some(total) = totals.recv().await {
        let Some(events) = events.upgrade() else { return };
        let _ = events.send(ContainerEvent::Resources { total }).await;
    }
}

impl Containerizer for ProcessContainerizer {
    fn recover(&mut self, containers: Vec<ContainerId>, rebooted: bool) {
        tokio::spawn(recover(self.shared.clone(), containers, rebooted));
    }

    fn launch(&mut self, spec: ContainerSpec) {
        let handle = self.shared.enter(&spec.container_id);
        tokio::spawn(supervise(self.shared.clone(), spec, handle));
    }

    fn update(&mut self, container_id: &ContainerId, resources: &Resources) {
        if let Some(handle) = self.shared.handle(container_id) {
            handle.update(resources.clone());
        }
    }

    fn destroy(&mut self, container_id: &ContainerId) {
        if let Some(handle) = self.shared.handle(container_id) {
            handle.kill();
        }
    }

    fn show(&self, metrics: &Metrics) {
        self.shared.fetcher.show(metrics);
    }

    fn meter(&self) -> Option<Arc<dyn Meter>> {
        Some(Arc::new(TreeMeter(Arc::downgrade(&self.shared))))
    }
}

/// Does not keep the containerizer alive.
struct TreeMeter(Weak<Shared>);

impl Meter for TreeMeter {
    fn read(&self, containers: &[(ContainerId, u32)]) -> BTreeMap<ContainerId, Usage> {
        let Some(shared) = self.0.upgrade() else { return BTreeMap::new() };
        let mut all = shared.tree.usage(containers);
        for (container_id, usage) in &mut all {
            shared.chosen.usage(container_id, usage);
        }
        all
    }

    fn status(&self, container_id: &ContainerId, status: &mut ContainerStatus) {
        if let Some(shared) = self.0.upgrade() {
            shared.chosen.status(container_id, status);
        }
    }
}
