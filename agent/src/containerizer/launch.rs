//! What `meseta launch` does: between the agent and the executor, in a process of its own.
//!
//! The agent starts this program again, with a socket as its standard input:
//!
//! | from | what |
//! |---|---|
//! | agent | the length of the description of the launch, four bytes, little endian; the description |
//! | launcher | [`READY`]: all is done but the last step; or a sentence that says why not, and the end |
//! | agent | [`GO`]; its end instead: nobody wants it any more |
//! | launcher | its end: the executor runs; a sentence before it: it does not, and why |
//!
//! Single-threaded, the launcher makes itself the leader of a session, joins the container's cgroups, puts the sandbox's
//! `stdout` and `stderr` in the place of its own, becomes the task's user, and then *is* the executor: it executes the
//! custom executor's command, or goes on as the command executor without another exec.
//!
//! It asks for no signal at its parent's death (`PR_SET_PDEATHSIG`): that one comes when the *thread* that started it
//! ends, and the agent's threads come and go. Executors notice the end of their agent by their link to it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use protocol::Command;
use serde::{Deserialize, Serialize};

use super::isolation::LaunchPlan;
use crate::os::{self, Account};

/// Most bytes of a launch's description. Ours: above what the kernel takes as arguments and environment.
const MAX_SPEC_BYTES: u32 = 16 << 20;
/// Where programs are looked up unless an executor says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The launcher waits for [`GO`]. No sentence begins with it.
pub(crate) const READY: u8 = 0;
/// The executor may begin.
pub(crate) const GO: u8 = 1;

/// What the agent tells the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaunchSpec {
    /// Absolute; exists.
    pub(crate) sandbox: PathBuf,
    /// The cgroup of the container's tree; absent: it has none.
    pub(crate) tree: Option<PathBuf>,
    /// The user to become; absent: stay who the agent is.
    pub(crate) user: Option<String>,
    /// What to execute; absent: go on as the command executor.
    pub(crate) command: Option<Command>,
    /// All of the environment of what is executed. (The command executor's is that of the launcher.)
    pub(crate) environment: Vec<(String, String)>,
    /// What the isolators want.
    pub(crate) plan: LaunchPlan,
}

/// Why the executor does not start.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("can't read what to launch: {0}")]
    Input(io::Error),
    #[error("can't understand what to launch: {0}")]
    Spec(#[from] serde_json::Error),
    #[error("can't begin a session: {0}")]
    Session(io::Error),
    #[error("can't join the cgroup {path}: {source}")]
    Cgroup { path: PathBuf, source: io::Error },
    #[error("can't open {path} in the sandbox: {source}")]
    Sandbox { path: PathBuf, source: io::Error },
    #[error("can't look up the user '{user}': {source}")]
    Lookup { user: String, source: io::Error },
    #[error("there is no user '{user}' on this agent")]
    NoUser { user: String },
    #[error("can't become the user '{user}': {source}")]
    User { user: String, source: io::Error },
    #[error("can't run '{program}': {source}")]
    Exec { program: String, source: io::Error },
}

/// The body of `main`. Where a custom executor is launched it does not return; else it ends with what
/// `command_executor` returns, which runs in this process.
pub fn launch_main(command_executor: impl FnOnce() -> ExitCode) -> ExitCode {
    let Ok(stream) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let mut stream = UnixStream::from(stream);
    match launch(&mut stream) {
        Ok(()) => {
            // Its end tells the agent that the executor runs.
            drop(stream);
            command_executor()
        }
        Err(error) => {
            // Where the agent is gone, nobody is left to be told.
            let _ = write!(stream, "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes the executor; returns `Ok` only for the command executor.
fn launch(stream: &mut UnixStream) -> Result<(), LaunchError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(LaunchError::Input)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_SPEC_BYTES {
        return Err(LaunchError::Input(io::ErrorKind::FileTooLarge.into()));
    }
    let mut input = vec![0; length as usize];
    stream.read_exact(&mut input).map_err(LaunchError::Input)?;
    let spec: LaunchSpec = serde_json::from_slice(&input)?;
    os::new_session().map_err(LaunchError::Session)?;
    for path in spec.tree.iter().chain(&spec.plan.cgroups) {
        let joined = std::fs::write(path.join("cgroup.procs"), "0");
        joined.map_err(|source| LaunchError::Cgroup { path: path.clone(), source })?;
    }
    let user = spec.user.as_deref().map(account).transpose()?.flatten();
    enter_sandbox(&spec.sandbox, user.as_ref())?;
    if let (Some(account), Some(user)) = (user, spec.user) {
        account.become_it().map_err(|source| LaunchError::User { user, source })?;
    }
    stream.write_all(&[READY]).map_err(LaunchError::Input)?;
    stream.read_exact(&mut [0]).map_err(LaunchError::Input)?;
    match spec.command {
        Some(command) => Err(execute(command, spec.environment)),
        None => Ok(()),
    }
}

/// The user to become, unless it is the present one.
fn account(user: &str) -> Result<Option<Account>, LaunchError> {
    let found =
        Account::find(user).map_err(|source| LaunchError::Lookup { user: user.to_string(), source })?;
    let account = found.ok_or_else(|| LaunchError::NoUser { user: user.to_string() })?;
    Ok((!account.is_current()).then_some(account))
}

fn enter_sandbox(sandbox: &Path, user: Option<&Account>) -> Result<(), LaunchError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| LaunchError::Sandbox { path, source }
    };
    let null = Path::new("/dev/null");
    let input = File::open(null).map_err(at(null))?;
    let mut streams = Vec::with_capacity(2);
    for name in ["stdout", "stderr"] {
        let path = sandbox.join(name);
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(at(&path))?;
        if let Some(account) = user {
            account.own(&path).map_err(at(&path))?;
        }
        streams.push(OwnedFd::from(file));
    }
    if let Some(account) = user {
        account.own(sandbox).map_err(at(sandbox))?;
    }
    std::env::set_current_dir(sandbox).map_err(at(sandbox))?;
    os::replace_streams(&input, &streams[0], &streams[1]).map_err(at(sandbox))
}

fn execute(command: Command, environment: Vec<(String, String)>) -> LaunchError {
    let (program, arg0, arguments) = match command {
        Command::Shell(text) => ("/bin/sh".to_string(), "sh".to_string(), vec!["-c".to_string(), text]),
        Command::Argv { path, arguments } => {
            let mut arguments = arguments.into_iter();
            let arg0 = arguments.next().unwrap_or_else(|| path.clone());
            (path, arg0, arguments.collect())
        }
    };
    let environment =
        environment.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let source = Process::new(&program).arg0(arg0).args(arguments).env_clear().envs(environment).exec();
    LaunchError::Exec { program, source }
}
