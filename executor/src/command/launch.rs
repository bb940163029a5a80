//! Starting the process of a task.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use protocol::{Command, TaskInfo};
use tokio::process::Child;

use crate::process;

/// Where a task's output goes.
#[derive(Debug)]
pub enum TaskOutput {
    /// To where this process's goes.
    Inherited,
    /// To files.
    Files {
        /// Its standard output.
        stdout: File,
        /// Its standard error.
        stderr: File,
    },
}

/// What a task is started with.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// Before what the task adds.
    pub(super) environment: super::Variables,
    /// Where it starts; absent: where this process is.
    pub(super) sandbox: Option<PathBuf>,
    pub(super) output: TaskOutput,
}

/// A task's first process.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) child: Child,
    /// Its process id, and its process group's.
    pub(super) pid: i32,
}

/// Starts a task's command in a process group of its own.
pub(super) fn launch(task: &TaskInfo, around: &Surroundings) -> Result<Launched, String> {
    let info = task.command.as_ref().ok_or("the task has no command")?;
    let (mut command, shown) = match &info.command {
        Command::Shell(text) => {
            let mut command = std::process::Command::new("/bin/sh");
            command.arg("-c").arg(text);
            (command, "/bin/sh")
        }
        Command::Argv { path, arguments } => {
            let mut command = std::process::Command::new(path);
            if let Some((name, rest)) = arguments.split_first() {
                command.arg0(name).args(rest);
            }
            (command, path.as_str())
        }
    };
    command.env_clear().envs(around.environment.iter().cloned());
    command.env("MESOS_TASK_ID", task.task_id.as_str()).env("MESOS_TASK_NAME", &task.name);
    for (name, value) in &info.environment.0 {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("'{}' can't be the name of an environment variable", name.escape_debug()));
        }
        command.env(name, value);
    }
    if let Some(user) = &info.user
        && let Some(identity) = process::identity(user)?
    {
        command.uid(identity.uid).gid(identity.gid);
    }
    if let Some(sandbox) = &around.sandbox {
        command.current_dir(sandbox);
    }
    command.stdin(Stdio::null());
    if let TaskOutput::Files { stdout, stderr } = &around.output {
        let copy = |file: &File| {
            file.try_clone()
                .map_err(|error| format!("the sandbox's files can't be given to the task: {error}"))
        };
        command.stdout(copy(stdout)?).stderr(copy(stderr)?);
    }
    // A group without a closure before exec: the child is made by posix_spawn.
    command.process_group(0);
    let child = tokio::process::Command::from(command)
        .spawn()
        .map_err(|error| format!("'{}' can't be started: {error}", shown.escape_debug()))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("the process has no id")?;
    Ok(Launched { child, pid })
}
