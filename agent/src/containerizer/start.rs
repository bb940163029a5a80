//! From a description to a running executor: the sandbox, the isolators, the launcher.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;

use protocol::ContainerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::asked::Handle;
use super::isolation::{Container, IsolationError};
use super::launch::{DEFAULT_PATH, GO, LaunchSpec, READY};
use super::process::Shared;
use super::sandbox::{self, SandboxError};
use super::supervise::{end, on_a_thread};
use super::tree::Tree;
use super::{leftovers, posix};
use crate::core::ContainerSpec;

/// Longest sentence of a launcher that fails, bytes.
const MAX_MESSAGE_BYTES: u64 = 16 << 10;

/// Why a container does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("can't make the container's cgroup: {0}")]
    Cgroup(io::Error),
    #[error(transparent)]
    Isolation(#[from] IsolationError),
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

/// The first process of a container.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pid: i32,
}

impl Running {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn kill(&mut self) {
        // One that has ended needs none.
        let _ = self.child.start_kill();
    }

    /// Its exit status, or 128 + signal. Cancel safe.
    pub(super) async fn wait(&mut self) -> io::Result<Option<i32>> {
        let status = self.child.wait().await?;
        Ok(Some(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())))
    }
}

/// Starts the launcher and waits until it has become the executor. Where that fails nothing is left.
pub(super) async fn start(
    shared: &Arc<Shared>,
    spec: ContainerSpec,
    handle: &Handle,
) -> Result<Running, StartError> {
    let container_id = spec.container_id.clone();
    let mut running = None;
    let outcome = bring_up(shared, spec, handle, &mut running).await;
    if let Err(error) = outcome {
        let main = running.as_ref().map(Running::pid);
        if let Some(running) = &mut running {
            running.kill();
            let _ = running.wait().await;
        }
        end(shared, &container_id, main).await;
        return Err(error);
    }
    Ok(running.expect("it is there where all went well"))
}

/// The first process is put into `running` as soon as it is there.
async fn bring_up(
    shared: &Arc<Shared>,
    spec: ContainerSpec,
    handle: &Handle,
    running: &mut Option<Running>,
) -> Result<(), StartError> {
    let container_id = spec.container_id.clone();
    let permit = shared.starting.acquire().await.expect("the semaphore is never closed");
    let other = shared.clone();
    let prepared = on_a_thread(move || prepare(&other, spec)).await?;
    let (child, stream) = spawn(shared, &container_id, &prepared)?;
    drop(permit);
    let pid = child.id().expect("it has not been waited for") as i32;
    *running = Some(Running { child, pid });
    Tree::started(pid);
    let description = serde_json::to_vec(&prepared.launch)?;
    tokio::select! {
        outcome = converse(shared, &container_id, pid, stream, &description) => outcome,
        () = handle.over() => Err(StartError::Killed),
    }
}

/// A container that has all but a process.
struct Prepared {
    command_executor: bool,
    launch: LaunchSpec,
}

/// Makes the sandbox, and what the isolators and the tree need: the part that may block.
fn prepare(shared: &Shared, spec: ContainerSpec) -> Result<Prepared, StartError> {
    let uris = spec.executor.command.uris.len();
    if uris > 0 {
        return Err(StartError::Fetch(uris));
    }
    let sandbox = sandbox::make(&shared.config.work_dir, &spec.sandbox)?;
    let tree = shared.tree.prepare(&spec.container_id).map_err(StartError::Cgroup)?;
    let (plan, _states) = shared.chosen.prepare(&Container { spec: &spec, sandbox: &sandbox })?;
    let mut environment = vec![("PATH".to_string(), DEFAULT_PATH.to_string())];
    let place = sandbox.to_string_lossy().into_owned();
    environment.push(("MESOS_DIRECTORY".to_string(), place.clone()));
    environment.push((leftovers::SANDBOX.to_string(), place));
    environment.extend(spec.environment);
    environment.extend(plan.environment.iter().cloned());
    let launch = LaunchSpec {
        sandbox,
        tree,
        user: spec.user,
        command: (!spec.command_executor).then_some(spec.executor.command.command),
        environment,
        plan,
    };
    Ok(Prepared { command_executor: spec.command_executor, launch })
}

/// Starts the launcher: its process and the way to speak with it.
fn spawn(
    shared: &Shared,
    container_id: &ContainerId,
    prepared: &Prepared,
) -> Result<(Child, UnixStream), StartError> {
    let (own, its) = UnixStream::pair().map_err(StartError::Speak)?;
    let its = its.into_std().and_then(|its| its.set_nonblocking(false).map(|()| its));
    let its = OwnedFd::from(its.map_err(StartError::Speak)?);
    let mut command = Command::new(&shared.config.launcher[0]);
    command.args(&shared.config.launcher[1..]);
    command.env_clear().stdin(Stdio::from(its)).stdout(Stdio::null()).stderr(Stdio::null());
    // What a framework adds must not reach the launcher, which may be root; the command executor has the agent's own
    // variables only.
    match prepared.command_executor {
        true => command.envs(prepared.launch.environment.iter().map(|(name, value)| (name, value))),
        false => command.env(posix::MARK, container_id.as_str()),
    };
    let program = shared.config.launcher[0].to_string_lossy().into_owned();
    let child = command.spawn().map_err(|source| StartError::Launcher { program, source })?;
    Ok((child, own))
}

/// Tells the launcher what to launch, lets it go when all is ready, and hears whether it could.
async fn converse(
    shared: &Arc<Shared>,
    container_id: &ContainerId,
    pid: i32,
    mut stream: UnixStream,
    description: &[u8],
) -> Result<(), StartError> {
    let length = (description.len() as u32).to_le_bytes();
    // One that has failed early takes nothing, and has said why.
    let told = match stream.write_all(&length).await {
        Ok(()) => stream.write_all(description).await,
        Err(error) => Err(error),
    };
    let mut first = [0];
    match stream.read(&mut first).await.map_err(StartError::Speak)? {
        1 if first[0] == READY => told.map_err(StartError::Speak)?,
        read => return Err(said(stream, &first[..read]).await),
    }
    let (other, container) = (shared.clone(), container_id.clone());
    on_a_thread(move || other.chosen.started(&container, pid as u32)).await?;
    stream.write_all(&[GO]).await.map_err(StartError::Speak)?;
    match stream.read(&mut first).await.map_err(StartError::Speak)? {
        0 => Ok(()),
        read => Err(said(stream, &first[..read]).await),
    }
}

/// What a launcher says that fails.
async fn said(stream: UnixStream, beginning: &[u8]) -> StartError {
    let mut words = beginning.to_vec();
    match stream.take(MAX_MESSAGE_BYTES).read_to_end(&mut words).await {
        Ok(_) if words.is_empty() => StartError::Speak(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => StartError::Said(String::from_utf8_lossy(&words).into_owned()),
        Err(error) => StartError::Speak(error),
    }
}
