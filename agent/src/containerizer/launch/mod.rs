//! What `meseta launch` does: between the agent and the executors, in processes of their own.
//!
//! The agent starts it once, with a socket as its standard input. Single-threaded, it waits there for requests: what the
//! new process is to have of its own, and two descriptors, of a socket and of the container's cgroup. It copies itself
//! ([`server`]); the copy is a child of the agent. It ends when its socket does.
//!
//! The copy ([`child`]) speaks with the agent through the other socket:
//!
//! | from | what |
//! |---|---|
//! | agent | the length of the description of the launch, four bytes, little endian; the description |
//! | launcher | its end: the executor runs; or [`BORN`]: it does, and keeps the socket; or a sentence that says why it does not, and the end |
//! | both | after [`BORN`] what a command executor and the agent say to each other ([`libactor::pipe`]) |
//!
//! Before it is told what to be it does nothing, and it ends where nobody tells it: until then the agent writes down that it is
//! there.
//!
//! It makes itself the leader of a session, joins the container's cgroups, makes its mounts ([`mounts`]), puts the sandbox's
//! `stdout` and `stderr` in the place of its own, becomes the task's user with what rights that is to have ([`rights`]), and
//! then *is* the executor: it executes the custom executor's command, or goes on as the command executor without another
//! exec. In a namespace of process ids a custom executor has a parent, the first process there, which reaps ([`init`]).
//!
//! It asks for no signal at its parent's death (`PR_SET_PDEATHSIG`): that one comes when the *thread* that started it
//! ends, and the agent's threads come and go. Executors notice the end of their agent by their link to it.

mod child;
mod floor;
mod init;
mod mounts;
mod rights;
mod server;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use protocol::Command;
use serde::{Deserialize, Serialize};

use super::isolation::LaunchPlan;
use super::syscalls;
use child::Next;
use server::Served;

pub use floor::floor;

/// Where programs are looked up unless an executor says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// This process is the command executor from now on, and keeps the socket. No sentence begins with it.
pub(crate) const BORN: u8 = 0;

/// What the agent tells the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaunchSpec {
    /// Absolute; exists.
    pub(crate) sandbox: PathBuf,
    /// The user to become; absent: stay who the agent is.
    pub(crate) user: Option<String>,
    /// What to execute; absent: go on as the command executor.
    pub(crate) command: Option<Command>,
    /// All of the environment of what is executed.
    pub(crate) environment: Vec<(String, String)>,
    /// What the isolators want.
    pub(crate) plan: LaunchPlan,
    /// The version of messages that the agent speaks with a command executor over the socket; absent: none.
    #[serde(default)]
    pub(crate) pipe: Option<u16>,
}

/// What a command executor is born with.
#[derive(Debug)]
pub struct Born {
    /// All of its environment.
    pub environment: Vec<(String, String)>,
    /// A socket whose other end the agent holds, for messages of [`libactor::pipe::VERSION`]; absent: the agent has none.
    pub pipe: Option<UnixStream>,
}

/// Why the executor does not start.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("can't hear what to launch: {0}")]
    Input(io::Error),
    #[error("can't understand what to launch: {0}")]
    Spec(#[from] serde_json::Error),
    #[error("can't begin a session: {0}")]
    Session(io::Error),
    #[error("can't join the cgroup {path}: {source}")]
    Cgroup { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Mount(#[from] mounts::MountError),
    #[error("can't open {path} in the sandbox: {source}")]
    Sandbox { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Rights(#[from] rights::RightsError),
    #[error("can't make the executor's process: {0}")]
    Fork(io::Error),
    #[error("can't run '{program}': {source}")]
    Exec { program: String, source: io::Error },
}

/// The body of `main`: serves the agent that is at the other end of the standard input until that is over. In the process
/// of a command executor it ends with the exit status that `command_executor` returns.
pub fn launch_main(command_executor: impl FnOnce(Born) -> u8) -> ExitCode {
    let Ok(Served::Child { mut stream, null }) = server::serve() else { return ExitCode::SUCCESS };
    // Its end tells the agent that the executor runs.
    let error = match child::prepare(&mut stream, null) {
        Ok(Next::CommandExecutor { environment, pipe }) => {
            let pipe = pipe.then_some(stream);
            let status = command_executor(Born { environment, pipe });
            // Nothing was begun that would want an end: there may be a thousand of them at once.
            syscalls::exit(status);
        }
        Ok(Next::Execute { command, environment, below: false }) => child::execute(command, environment),
        Ok(Next::Execute { command, environment, below: true }) => match syscalls::clone_process(0, None) {
            Ok(Some(executor)) => {
                drop(stream);
                return init::outlive(executor);
            }
            Ok(None) => child::execute(command, environment),
            Err(error) => LaunchError::Fork(error),
        },
        Err(error) => error,
    };
    // Where the agent is gone, nobody is left to be told.
    let _ = write!(stream, "{error}");
    ExitCode::FAILURE
}
