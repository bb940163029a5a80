//! Starting the processes of a task: its own, and those that look at it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use protocol::{Command, CommandInfo, TaskInfo};
use tokio::process::Child;

use crate::process::{self, Awaited, AwaitedChild};

const SHELL: &str = "/bin/sh";
/// Where programs are looked up without `PATH`. Source: glibc.
const DEFAULT_SEARCH: &str = "/bin:/usr/bin";

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
    let make = |how| {
        let mut command = prepare(info, &[info], task, around, how)?;
        if let TaskOutput::Files { stdout, stderr } = &around.output {
            command.stdout(copy(stdout)?).stderr(copy(stderr)?);
        }
        Ok(command)
    };
    start(make, info, around)
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
    let variables: Vec<&CommandInfo> = task.command.iter().chain([info]).collect();
    let make = |how| {
        let mut command = prepare(&as_task, &variables, task, around, how)?;
        command.env(mark.0, &mark.1);
        match &around.output {
            TaskOutput::Files { stderr, .. } => command.stdout(copy(stderr)?).stderr(copy(stderr)?),
            TaskOutput::Inherited => {
                let stderr = std::io::stderr().as_fd().try_clone_to_owned();
                command.stdout(stderr.map_err(|error| format!("no output for the check: {error}"))?)
            }
        };
        Ok(command)
    };
    start(make, info, around)
}

/// How a program is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Itself,
    /// By a shell: it is text, and does not say by what it is to be read.
    ByShell,
}

/// All but its output. What `variables` add to the environment comes in their order.
fn prepare(
    info: &CommandInfo,
    variables: &[&CommandInfo],
    task: &TaskInfo,
    around: &Surroundings,
    how: How,
) -> Result<std::process::Command, String> {
    let mut command = match &info.command {
        Command::Shell(text) => {
            let mut command = std::process::Command::new(SHELL);
            command.arg("-c").arg(text);
            command
        }
        Command::Argv { path, arguments } => {
            let program = find(path, search_path(variables, around).as_deref());
            let name = arguments.first().unwrap_or(path);
            let rest = arguments.get(1..).unwrap_or_default();
            match how {
                How::Itself => {
                    let mut command = std::process::Command::new(program);
                    command.arg0(name).args(rest);
                    command
                }
                How::ByShell => {
                    let mut command = std::process::Command::new(SHELL);
                    command.arg(program).args(rest);
                    command
                }
            }
        }
    };
    command.env_clear().envs(around.environment.iter().map(|(name, value)| (name, value)));
    command.env("MESOS_TASK_ID", task.task_id.as_str()).env("MESOS_TASK_NAME", &task.name);
    for added in variables {
        set_variables(&mut command, added)?;
    }
    if let Some(user) = &info.user
        && let Some(identity) = process::identity(user)?
    {
        command.uid(identity.uid).gid(identity.gid);
    }
    if let Some(sandbox) = &around.sandbox {
        command.current_dir(sandbox);
    }
    // Where the output is this process's, so is the input, which is empty.
    if matches!(around.output, TaskOutput::Files { .. }) {
        command.stdin(Stdio::null());
    }
    Ok(command)
}

/// Where programs are looked up.
fn search_path(variables: &[&CommandInfo], around: &Surroundings) -> Option<OsString> {
    let added = variables.iter().rev().find_map(|info| {
        let path = info.environment.0.iter().rfind(|(name, _)| name == "PATH");
        path.map(|(_, value)| OsString::from(value))
    });
    added.or_else(|| {
        let path = around.environment.iter().rfind(|(name, _)| name == "PATH");
        path.map(|(_, value)| value.clone())
    })
}

/// The program of that name, as `execvp` finds it; where there is none, its name. Found here, since a process that may
/// have another search path than this one can't be made without copying this one.
fn find(name: &str, search: Option<&OsStr>) -> PathBuf {
    if name.is_empty() || name.contains('/') {
        return name.into();
    }
    let places = std::env::split_paths(search.unwrap_or(OsStr::new(DEFAULT_SEARCH)));
    let candidates = places.map(|place| match place.as_os_str().is_empty() {
        true => Path::new(".").join(name),
        false => place.join(name),
    });
    candidates.into_iter().find(|path| process::is_program(path)).unwrap_or_else(|| name.into())
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
    make: impl Fn(How) -> Result<std::process::Command, String>,
    info: &CommandInfo,
    around: &Surroundings,
) -> Result<Launched, String> {
    let shown = match &info.command {
        Command::Shell(_) => SHELL,
        Command::Argv { path, .. } => path,
    };
    let spawn = |how| {
        let mut command = make(how)?;
        // A group without a closure before exec: the child is made by posix_spawn.
        command.process_group(0);
        Ok(tokio::process::Command::from(command).spawn())
    };
    let mut spawned: Result<_, String> = spawn(How::Itself);
    if matches!(&spawned, Ok(Err(error)) if process::is_no_program(error)) {
        spawned = spawn(How::ByShell);
    }
    let child = spawned?.map_err(|error| format!("'{}' can't be started: {error}", shown.escape_debug()))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("the process has no id")?;
    Ok(Launched { child, pid, _awaited: around.awaited.add(pid) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn programs_are_found_as_execvp_finds_them() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| place.path().join(name));
        for (directory, mode) in [(&first, 0o644), (&second, 0o755)] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("tool"), "").unwrap();
            fs::set_permissions(directory.join("tool"), fs::Permissions::from_mode(mode)).unwrap();
            fs::create_dir(directory.join("directory")).unwrap();
        }
        let search = std::env::join_paths([&first, &second]).unwrap();
        let found = |name| find(name, Some(&search));
        assert_eq!(found("tool"), second.join("tool"), "the first can't be executed");
        assert_eq!(found("directory"), Path::new("directory"));
        assert_eq!(found("no-such-tool"), Path::new("no-such-tool"));
        assert_eq!(found("./tool"), Path::new("./tool"));
        assert_eq!(find("sh", None), Path::new("/bin/sh"));
    }
}
