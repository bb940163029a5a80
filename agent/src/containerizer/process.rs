//! Containers as plain processes: a sandbox, two files for the output, a tree that can be killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use protocol::ContainerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, Semaphore, mpsc};

use super::launch::{DEFAULT_PATH, LaunchSpec};
use super::leftovers;
use super::sandbox::{self, SandboxError};
use super::tree::{LauncherKind, Tree};
use super::usage::{Meter, Usage};
use super::{ContainerEvent, Containerizer, all_ended, posix};
use crate::core::{ContainerEnd, ContainerSpec};

/// Most sandboxes made and processes started at one moment; the others wait for their turn. Ours: starting is work for
/// the kernel, more threads than this only wait for one another.
const MAX_STARTING: usize = 4;
/// Longest sentence of a launcher that fails, bytes.
const MAX_MESSAGE_BYTES: u64 = 16 << 10;
/// How many events may wait to be taken.
const EVENT_CAPACITY: usize = 1024;

/// Settings of the process containerizer.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// `--work_dir`, absolute: sandboxes are below it.
    pub work_dir: PathBuf,
    /// The launcher, program first; `meseta launch`, or whatever calls [`launch_main`](crate::launch::launch_main).
    pub launcher: Vec<OsString>,
    /// `--launcher`.
    pub kind: LauncherKind,
    /// `--cgroups_root`: the directory below the cgroup2 mount that holds the containers' cgroups.
    pub cgroups_root: String,
}

impl ProcessConfig {
    /// This program's own `launch` command, the best kind there is.
    ///
    /// # Errors
    /// Where this program lies can't be told.
    pub fn new(work_dir: impl Into<PathBuf>) -> io::Result<Self> {
        let launcher = vec![std::env::current_exe()?.into_os_string(), "launch".into()];
        let cgroups_root = "meseta".to_string();
        Ok(Self { work_dir: work_dir.into(), launcher, kind: LauncherKind::Auto, cgroups_root })
    }
}

/// Why a container does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("can't make the container's cgroup: {0}")]
    Cgroup(io::Error),
    #[error("can't describe the launch: {0}")]
    Describe(#[from] serde_json::Error),
    #[error("can't start the launcher '{program}': {source}")]
    Launcher { program: String, source: io::Error },
    #[error("can't speak with the launcher: {0}")]
    Speak(io::Error),
    #[error("fetching into the sandbox is not supported: the executor names {0} URIs")]
    Fetch(usize),
    #[error("{0}")]
    Said(String),
    #[error("killed while it was being launched")]
    Killed,
}

/// Starts containers as processes of this machine.
pub struct ProcessContainerizer {
    shared: Arc<Shared>,
    events: mpsc::Sender<ContainerEvent>,
}

struct Shared {
    config: ProcessConfig,
    tree: Tree,
    starting: Semaphore,
    kills: Mutex<BTreeMap<ContainerId, Arc<Notify>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tree.leave();
    }
}

impl ProcessContainerizer {
    /// A containerizer and what it will report. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The work directory can't be made, or the wanted launcher kind can't work here.
    pub fn new(config: ProcessConfig) -> io::Result<(Self, mpsc::Receiver<ContainerEvent>)> {
        std::fs::create_dir_all(&config.work_dir)?;
        let tree = Tree::choose(config.kind, &config.cgroups_root, &config.work_dir)?;
        tracing::info!(launcher = tree.name(), "process trees are kept together");
        let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
        let starting = Semaphore::new(MAX_STARTING);
        let shared = Arc::new(Shared { config, tree, starting, kills: Mutex::default() });
        Ok((Self { shared, events }, receiver))
    }
}

impl Containerizer for ProcessContainerizer {
    fn recover(&mut self, containers: Vec<ContainerId>, _rebooted: bool) {
        let events = self.events.clone();
        tokio::spawn(async move {
            let _ = events.send(ContainerEvent::Recovered { containers: all_ended(containers) }).await;
        });
    }

    fn launch(&mut self, spec: ContainerSpec) {
        let kill = Arc::new(Notify::new());
        let mut kills = self.shared.kills.lock().unwrap_or_else(PoisonError::into_inner);
        kills.insert(spec.container_id.clone(), kill.clone());
        drop(kills);
        tokio::spawn(supervise(self.shared.clone(), spec, kill, self.events.clone()));
    }

    fn destroy(&mut self, container_id: &ContainerId) {
        let kills = self.shared.kills.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kill) = kills.get(container_id) {
            kill.notify_one();
        }
    }

    fn meter(&self) -> Option<Arc<dyn Meter>> {
        Some(Arc::new(TreeMeter(Arc::downgrade(&self.shared))))
    }
}

/// Does not keep the containerizer alive.
struct TreeMeter(Weak<Shared>);

impl Meter for TreeMeter {
    fn read(&self, containers: &[(ContainerId, u32)]) -> BTreeMap<ContainerId, Usage> {
        self.0.upgrade().map(|shared| shared.tree.usage(containers)).unwrap_or_default()
    }
}

/// The life of one container. Nobody listens any more where an event can't be sent.
async fn supervise(
    shared: Arc<Shared>,
    spec: ContainerSpec,
    kill: Arc<Notify>,
    events: mpsc::Sender<ContainerEvent>,
) {
    let container_id = spec.container_id.clone();
    match start(&shared, spec, &kill).await {
        Err(error) => {
            forget(&shared, &container_id);
            let result = Err(error.to_string());
            let _ = events.send(ContainerEvent::Launched { container_id, result }).await;
        }
        Ok((child, main)) => {
            let result = Ok(main as u32);
            let _ =
                events.send(ContainerEvent::Launched { container_id: container_id.clone(), result }).await;
            let status = run(&shared, &container_id, child, main, &kill).await;
            let message = end(&shared, &container_id, Some(main)).await;
            forget(&shared, &container_id);
            let end = ContainerEnd { message, ..ContainerEnd::with_status(status) };
            let _ = events.send(ContainerEvent::Exited { container_id, end }).await;
        }
    }
}

fn forget(shared: &Shared, container_id: &ContainerId) {
    shared.kills.lock().unwrap_or_else(PoisonError::into_inner).remove(container_id);
}

/// Starts the launcher and waits until it has become the executor.
async fn start(shared: &Arc<Shared>, spec: ContainerSpec, kill: &Notify) -> Result<(Child, i32), StartError> {
    let container_id = spec.container_id.clone();
    let permit = shared.starting.acquire().await.expect("the semaphore is never closed");
    let other = shared.clone();
    let spawned = tokio::task::spawn_blocking(move || spawn(&other, spec)).await;
    drop(permit);
    let (mut child, description) = match spawned.expect("starting does not panic") {
        Ok(spawned) => spawned,
        Err(error) => {
            end(shared, &container_id, None).await;
            return Err(error);
        }
    };
    let main = child.id().expect("it has not been waited for") as i32;
    Tree::started(main);
    let outcome = tokio::select! {
        outcome = converse(&mut child, &description) => outcome,
        () = kill.notified() => Err(StartError::Killed),
    };
    match outcome {
        Ok(()) => Ok((child, main)),
        Err(error) => {
            let _ = child.kill().await;
            end(shared, &container_id, Some(main)).await;
            Err(error)
        }
    }
}

/// Makes the sandbox and the cgroup, and starts the launcher: the part that may block.
fn spawn(shared: &Shared, spec: ContainerSpec) -> Result<(Child, Vec<u8>), StartError> {
    let uris = spec.executor.command.uris.len();
    if uris > 0 {
        return Err(StartError::Fetch(uris));
    }
    let sandbox = sandbox::make(&shared.config.work_dir, &spec.sandbox)?;
    let cgroup = shared.tree.prepare(&spec.container_id).map_err(StartError::Cgroup)?;
    let mut environment = vec![("PATH".to_string(), DEFAULT_PATH.to_string())];
    let place = sandbox.to_string_lossy().into_owned();
    environment.push(("MESOS_DIRECTORY".to_string(), place.clone()));
    environment.push((leftovers::SANDBOX.to_string(), place));
    environment.extend(spec.environment);
    let mut command = Command::new(&shared.config.launcher[0]);
    command.args(&shared.config.launcher[1..]);
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // What a framework adds must not reach the launcher, which may be root; the command executor has the agent's own
    // variables only.
    match spec.command_executor {
        true => command.envs(environment.iter().map(|(name, value)| (name, value))),
        false => command.env(posix::MARK, spec.container_id.as_str()),
    };
    let launch = LaunchSpec {
        sandbox,
        cgroup,
        user: spec.user,
        command: (!spec.command_executor).then_some(spec.executor.command.command),
        environment,
    };
    let description = serde_json::to_vec(&launch)?;
    let program = shared.config.launcher[0].to_string_lossy().into_owned();
    let child = command.spawn().map_err(|source| StartError::Launcher { program, source })?;
    Ok((child, description))
}

/// Tells the launcher what to launch and hears whether it could.
async fn converse(child: &mut Child, description: &[u8]) -> Result<(), StartError> {
    let mut input = child.stdin.take().expect("it is piped");
    let output = child.stdout.take().expect("it is piped");
    let told = input.write_all(description).await;
    drop(input);
    let mut said = String::new();
    output.take(MAX_MESSAGE_BYTES).read_to_string(&mut said).await.map_err(StartError::Speak)?;
    if !said.is_empty() {
        return Err(StartError::Said(said));
    }
    told.map_err(StartError::Speak)
}

/// Waits for the first process, killing all when asked.
async fn run(shared: &Shared, container_id: &ContainerId, mut child: Child, main: i32, kill: &Notify) -> i32 {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.notified() => {
            let killed = tokio::join!(shared.tree.kill(container_id, main), async {
                // In case it has not joined its cgroup.
                let _ = child.start_kill();
                child.wait().await
            });
            if let Err(error) = killed.0 {
                tracing::error!(%container_id, %error, "can't kill a container's processes");
            }
            killed.1
        }
    };
    match status {
        Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        Err(error) => {
            tracing::error!(%container_id, %error, "can't wait for an executor");
            1
        }
    }
}

/// Ends what is left of a container.
async fn end(shared: &Shared, container_id: &ContainerId, main: Option<i32>) -> Option<String> {
    let error = shared.tree.end(container_id, main).await.err()?;
    tracing::error!(%container_id, %error, "can't end a container's processes");
    Some(format!("its processes could not be ended: {error}"))
}
