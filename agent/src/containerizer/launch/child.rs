//! What a container's first process does before it is the executor.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command as Process;

use libactor::pipe;
use nix::fcntl::OFlag;
use protocol::Command;

use super::rights::{self, RightsError};
use super::{BORN, LaunchError, LaunchSpec, mounts};
use crate::account::Account;
use crate::os;

/// Most bytes of a launch's description. Ours: above what the kernel takes as arguments and environment.
const MAX_SPEC_BYTES: u32 = 16 << 20;

/// The last step.
pub(super) enum Next {
    /// Go on as the command executor.
    CommandExecutor {
        environment: Vec<(String, String)>,
        /// Whether it keeps the socket.
        pipe: bool,
    },
    /// Execute a custom executor's command.
    Execute {
        command: Command,
        environment: Vec<(String, String)>,
        /// In a process of its own, below this one.
        below: bool,
    },
}

/// Does all but the last step.
pub(super) fn prepare(stream: &mut UnixStream, null: File) -> Result<Next, LaunchError> {
    let spec = hear(stream)?;
    os::new_session().map_err(LaunchError::Session)?;
    for path in &spec.plan.cgroups {
        let joined = std::fs::write(path.join("cgroup.procs"), "0");
        joined.map_err(|source| LaunchError::Cgroup { path: path.clone(), source })?;
    }
    // Users are looked up before a mount can hide where they are told.
    let user = spec.user.as_deref().map(Account::find).transpose().map_err(RightsError::from)?.flatten();
    mounts::make(&spec.plan, &spec.sandbox)?;
    enter_sandbox(&spec.sandbox, user.as_ref(), &null)?;
    drop(null);
    rights::take(&spec.plan, user)?;
    let pipe = spec.command.is_none() && spec.pipe == Some(pipe::VERSION);
    if pipe {
        stream.write_all(&[BORN]).map_err(LaunchError::Input)?;
    }
    Ok(match spec.command {
        Some(command) => {
            Next::Execute { command, environment: spec.environment, below: spec.plan.namespaces.pid }
        }
        None => Next::CommandExecutor { environment: usable(spec.environment), pipe },
    })
}

/// Without what can't be a variable.
fn usable(mut environment: Vec<(String, String)>) -> Vec<(String, String)> {
    environment
        .retain(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
    environment
}

fn hear(stream: &mut UnixStream) -> Result<LaunchSpec, LaunchError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(LaunchError::Input)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_SPEC_BYTES {
        return Err(LaunchError::Input(io::ErrorKind::FileTooLarge.into()));
    }
    let mut input = vec![0; length as usize];
    stream.read_exact(&mut input).map_err(LaunchError::Input)?;
    Ok(serde_json::from_slice(&input)?)
}

fn enter_sandbox(sandbox: &Path, user: Option<&Account>, null: &File) -> Result<(), LaunchError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| LaunchError::Sandbox { path, source }
    };
    let mut streams = Vec::with_capacity(2);
    // What was fetched into the sandbox must not lead elsewhere.
    let no_link = OFlag::O_NOFOLLOW.bits();
    for name in ["stdout", "stderr"] {
        let path = sandbox.join(name);
        let file = OpenOptions::new().append(true).create(true).custom_flags(no_link).open(&path);
        let file = file.map_err(at(&path))?;
        if let Some(account) = user {
            account.own(&file).map_err(at(&path))?;
        }
        streams.push(file);
    }
    if let Some(account) = user {
        let directory = OpenOptions::new().read(true).custom_flags(no_link).open(sandbox);
        directory.and_then(|directory| account.own(&directory)).map_err(at(sandbox))?;
    }
    std::env::set_current_dir(sandbox).map_err(at(sandbox))?;
    os::replace_streams(null, &streams[0], &streams[1]).map_err(at(sandbox))
}

/// Returns only where it can't.
pub(super) fn execute(command: Command, environment: Vec<(String, String)>) -> LaunchError {
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
