//! Starting the processes of a task: its own, and those that look at it.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use protocol::{Command, CommandInfo, TaskInfo};
use tokio::process::Child;

use crate::process::{self, Awaited, AwaitedChild};

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
pub(crate) struct Surroundings {
    /// Before what the task adds.
    pub(crate) environment: super::Variables,
    /// Where it starts; absent: where this process is.
    pub(crate) sandbox: Option<PathBuf>,
    pub(crate) output: TaskOutput,
    /// The children that are waited for here.
    pub(crate) awaited: Awaited,
}

/// A process that was started, in a process group of its own.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) child: Child,
    /// Its process id, and its process group's.
    pub(crate) pid: i32,
    _awaited: AwaitedChild,
}

/// Starts a task's command.
pub(super) fn launch(task: &TaskInfo, around: &Surroundings) -> Result<Launched, String> {
    let info = task.command.as_ref().ok_or("the task has no command")?;
    let mut command = prepare(info, task, around)?;
    set_variables(&mut command, info)?;
    if let TaskOutput::Files { stdout, stderr } = &around.output {
        command.stdout(copy(stdout)?).stderr(copy(stderr)?);
    }
    start(command, info, around)
}

/// Starts the command of a check as the task it looks at was started: in its environment, to which it adds, in its sandbox, and
/// as its user if it names none. What it prints goes to where the task's errors go. `mark` is a variable of its own.
pub(crate) fn launch_check(
    info: &CommandInfo,
    task: &TaskInfo,
    around: &Surroundings,
    mark: &(&str, String),
) -> Result<Launched, String> {
    let as_task = CommandInfo {
        user: info.user.clone().or_else(|| task.command.as_ref().and_then(|own| own.user.clone())),
        ..info.clone()
    };
    let mut command = prepare(&as_task, task, around)?;
    if let Some(own) = &task.command {
        set_variables(&mut command, own)?;
    }
    set_variables(&mut command, info)?;
    command.env(mark.0, &mark.1);
    match &around.output {
        TaskOutput::Files { stderr, .. } => command.stdout(copy(stderr)?).stderr(copy(stderr)?),
        TaskOutput::Inherited => {
            let stderr = std::io::stderr().as_fd().try_clone_to_owned();
            command.stdout(stderr.map_err(|error| format!("no output for the check: {error}"))?)
        }
    };
    start(command, info, around)
}

/// All but what it adds to the environment, and its output.
fn prepare(
    info: &CommandInfo,
    task: &TaskInfo,
    around: &Surroundings,
) -> Result<std::process::Command, String> {
    let mut command = match &info.command {
        Command::Shell(text) => {
            let mut command = std::process::Command::new("/bin/sh");
            command.arg("-c").arg(text);
            command
        }
        Command::Argv { path, arguments } => {
            let mut command = std::process::Command::new(path);
            if let Some((name, rest)) = arguments.split_first() {
                command.arg0(name).args(rest);
            }
            command
        }
    };
    command.env_clear().envs(around.environment.iter().cloned());
    command.env("MESOS_TASK_ID", task.task_id.as_str()).env("MESOS_TASK_NAME", &task.name);
    if let Some(user) = &info.user
        && let Some(identity) = process::identity(user)?
    {
        command.uid(identity.uid).gid(identity.gid);
    }
    if let Some(sandbox) = &around.sandbox {
        command.current_dir(sandbox);
    }
    command.stdin(Stdio::null());
    Ok(command)
}

fn set_variables(command: &mut std::process::Command, info: &CommandInfo) -> Result<(), String> {
    for (name, value) in &info.environment.0 {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("'{}' can't be the name of an environment variable", name.escape_debug()));
        }
        command.env(name, value);
    }
    Ok(())
}

fn copy(file: &File) -> Result<File, String> {
    file.try_clone().map_err(|error| format!("the sandbox's files can't be given to the task: {error}"))
}

fn start(
    mut command: std::process::Command,
    info: &CommandInfo,
    around: &Surroundings,
) -> Result<Launched, String> {
    // A group without a closure before exec: the child is made by posix_spawn.
    command.process_group(0);
    let shown = match &info.command {
        Command::Shell(_) => "/bin/sh",
        Command::Argv { path, .. } => path,
    };
    let child = tokio::process::Command::from(command)
        .spawn()
        .map_err(|error| format!("'{}' can't be started: {error}", shown.escape_debug()))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("the process has no id")?;
    Ok(Launched { child, pid, _awaited: around.awaited.add(pid) })
}
