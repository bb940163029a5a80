//! From a description to a running executor: the sandbox, the isolators, the launcher.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::sync::Arc;

use libactor::pipe;
use protocol::{ContainerId, Resources};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::asked::Handle;
use super::isolation::disk;
use super::isolation::kinds::States;
use super::isolation::{Container, IsolationError, demands};
use super::launch::{BORN, DEFAULT_PATH, LaunchSpec};
use super::process::Shared;
use super::records::ContainerRecord;
use super::running::Running;
use super::sandbox::{self, SandboxError};
use super::supervise::{end, on_a_thread};
use super::zygote::ZygoteError;
use super::{identity, leftovers};
use crate::core::ContainerSpec;
use crate::fetcher::{FetchError, FetchRequest};
use crate::steps;

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
    #[error(transparent)]
    Launcher(#[from] ZygoteError),
    #[error("can't speak with the launcher: {0}")]
    Speak(io::Error),
    #[error("can't look after the container's first process: {0}")]
    Watch(io::Error),
    #[error("can't keep what is known of the container: {0}")]
    Record(io::Error),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{0}")]
    Said(String),
    #[error("killed while it was being launched")]
    Killed,
}

/// Starts the executor and waits until it runs; with it comes the socket through which it speaks, if it has one. Where that
/// fails nothing is left.
pub(super) async fn start(
    shared: &Arc<Shared>,
    spec: ContainerSpec,
    handle: &Handle,
) -> Result<(Running, Option<StdStream>), StartError> {
    let container_id = spec.container_id.clone();
    let mut running = None;
    let error = match bring_up(shared, spec, handle, &mut running).await {
        Ok(pipe) => return Ok((running.expect("it is there where all went well"), pipe)),
        Err(error) => error,
    };
    let main = running.as_ref().map(Running::pid);
    if let Some(running) = &mut running {
        running.kill();
        let _ = running.wait().await;
    }
    end(shared, &container_id, main).await;
    Err(error)
}

/// The first process is put into `running` as soon as it is there.
async fn bring_up(
    shared: &Arc<Shared>,
    spec: ContainerSpec,
    handle: &Handle,
    running: &mut Option<Running>,
) -> Result<Option<StdStream>, StartError> {
    fetch(shared, &spec, handle).await?;
    let permit = shared.starting.acquire().await.expect("the semaphore is never closed");
    let other = shared.clone();
    let Made { record, kept, description, stream } = on_a_thread(move || make(&other, spec)).await?;
    drop(permit);
    *running = Some(Running::open(record).map_err(StartError::Watch)?);
    kept?;
    let stream = UnixStream::from_std(stream).map_err(StartError::Speak)?;
    tokio::select! {
        outcome = converse(stream, &description) => outcome,
        () = handle.over() => Err(StartError::Killed),
    }
}

/// What the command's URIs name is brought into the sandbox: it may take long, and waits for no other launch.
async fn fetch(shared: &Arc<Shared>, spec: &ContainerSpec, handle: &Handle) -> Result<(), StartError> {
    let uris = &spec.executor.command.uris;
    if uris.is_empty() {
        return Ok(());
    }
    let (other, relative) = (shared.clone(), spec.sandbox.clone());
    let sandbox = on_a_thread(move || sandbox::make(&other.config.work_dir, &relative)).await?;
    let enforced = shared.config.settings.disk.enforce;
    let disk_limit = enforced.then(|| disk::limit(&spec.resources)).flatten();
    let framework_id = &spec.framework_id;
    let request =
        FetchRequest { framework_id, uris, sandbox: &sandbox, user: spec.user.as_deref(), disk_limit };
    tokio::select! {
        fetched = shared.fetcher.fetch(request) => Ok(fetched?),
        () = handle.over() => Err(StartError::Killed),
    }
}

/// A container whose first process waits to be told what it is.
struct Made {
    record: ContainerRecord,
    /// Whether it will be found again.
    kept: Result<(), StartError>,
    /// For the launcher, its length first.
    description: Vec<u8>,
    /// To the launcher.
    stream: StdStream,
}

/// Makes the sandbox, what the isolators and the tree need, and the first process: the part that may block.
fn make(shared: &Shared, spec: ContainerSpec) -> Result<Made, StartError> {
    let sandbox = sandbox::make(&shared.config.work_dir, &spec.sandbox)?;
    steps::reached("sandbox-made");
    let tree = shared.tree.prepare(&spec.container_id).map_err(StartError::Cgroup)?;
    let container = Container { spec: &spec, sandbox: &sandbox };
    demands::check(&container, &shared.chosen.names())?;
    let (plan, states) = shared.chosen.prepare(&container)?;
    steps::reached("prepared");
    let mut environment = vec![("PATH".to_string(), DEFAULT_PATH.to_string())];
    let place = sandbox.to_string_lossy().into_owned();
    environment.push(("MESOS_DIRECTORY".to_string(), place.clone()));
    environment.push((leftovers::SANDBOX.to_string(), place));
    environment.extend(spec.environment);
    environment.extend(plan.environment.iter().cloned());
    let launch = LaunchSpec {
        sandbox,
        user: spec.user,
        command: (!spec.command_executor).then_some(spec.executor.command.command),
        environment,
        plan,
        pipe: Some(pipe::VERSION),
    };
    let description = describe(&launch)?;
    let (stream, its) = StdStream::pair().map_err(StartError::Speak)?;
    stream.set_nonblocking(true).map_err(StartError::Speak)?;
    let pid = shared.zygote.make(&launch.plan, tree.as_deref(), &its)?;
    steps::reached("forked");
    let record = record(shared, spec.container_id, pid, launch.sandbox, spec.resources, states);
    let kept = keep(shared, &record);
    Ok(Made { record, kept, description, stream })
}

/// What is kept of a container before its executor's first instruction.
fn keep(shared: &Shared, record: &ContainerRecord) -> Result<(), StartError> {
    shared.records.write(record).map_err(StartError::Record)?;
    steps::reached("recorded");
    Ok(shared.chosen.started(&record.container_id, record.pid as u32)?)
}

/// As the launcher reads it: its length first.
fn describe(launch: &LaunchSpec) -> Result<Vec<u8>, StartError> {
    let mut words = vec![0; 4];
    serde_json::to_writer(&mut words, launch)?;
    let length = (words.len() - 4) as u32;
    words[..4].copy_from_slice(&length.to_le_bytes());
    Ok(words)
}

fn record(
    shared: &Shared,
    container_id: ContainerId,
    pid: i32,
    sandbox: PathBuf,
    resources: Resources,
    states: States,
) -> ContainerRecord {
    // It is a child that nobody has reaped, so it is there.
    let began = identity::beginning(pid).unwrap_or_default();
    let boot_id = shared.records.boot_id.clone();
    ContainerRecord { container_id, boot_id, pid, began, sandbox, resources, states }
}

/// Tells the launcher what to launch, and hears whether it could. A command executor keeps the socket.
async fn converse(mut stream: UnixStream, description: &[u8]) -> Result<Option<StdStream>, StartError> {
    // One that has failed early takes nothing, and has said why.
    let told = stream.write_all(description).await;
    steps::reached("executing");
    let mut first = [0];
    match stream.read(&mut first).await.map_err(StartError::Speak)? {
        0 => told.map(|()| None).map_err(StartError::Speak),
        1 if first[0] == BORN => stream.into_std().map(Some).map_err(StartError::Speak),
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
