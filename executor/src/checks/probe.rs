//! Asking: a command, an HTTP server, a port.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use libactor::Clock;
use protocol::notation::Span;
use protocol::{CommandInfo, Probe, TaskInfo};
use tokio::net::TcpStream;

use super::http::{self, Target};
use super::machine::Answer;
use crate::command::launch::{Surroundings, launch_check};
use crate::host;
use crate::process::{self, Scope};

/// A question under way. Dropping it ends it, with the processes that it has made.
pub(super) type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Asks on behalf of a task.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    pub(crate) task: Arc<TaskInfo>,
    pub(crate) around: Arc<Surroundings>,
    pub(crate) scope: Scope,
    pub(crate) clock: Clock,
}

impl Prober {
    /// Asks, for at most so long.
    pub(super) fn ask(&self, probe: &Probe, timeout: Option<Duration>) -> Asking {
        let limit = Limit { clock: self.clock.clone(), timeout };
        match probe.clone() {
            Probe::Command(info) => Box::pin(run(self.clone(), info, limit)),
            Probe::Http { secure, port, path, ipv6 } => {
                let target = Target::new(secure, SocketAddr::new(http::loopback(ipv6), port), &path);
                Box::pin(limit.of(async move {
                    match http::get(target).await {
                        Ok(code) => Answer::Status(code),
                        Err(why) => Answer::None(why),
                    }
                }))
            }
            Probe::Tcp { port, ipv6 } => Box::pin(limit.of(async move {
                let made = TcpStream::connect((http::loopback(ipv6), port)).await;
                Answer::Connected(made.map(drop).map_err(|error| error.to_string()))
            })),
        }
    }
}

/// How long an answer may take.
struct Limit {
    clock: Clock,
    timeout: Option<Duration>,
}

impl Limit {
    async fn over(&self) {
        match self.timeout {
            Some(timeout) => self.clock.sleep(timeout).await,
            None => std::future::pending().await,
        }
    }

    fn answer(&self) -> Answer {
        Answer::None(format!("no answer within {}", Span(self.timeout.unwrap_or_default())))
    }

    async fn of(self, work: impl Future<Output = Answer>) -> Answer {
        tokio::select! {
            biased;
            answer = work => answer,
            () = self.over() => self.answer(),
        }
    }
}

/// The process group of a check's command: killed with the question.
struct Group(i32);

impl Drop for Group {
    fn drop(&mut self) {
        process::kill_group(self.0);
    }
}

async fn run(prober: Prober, info: CommandInfo, limit: Limit) -> Answer {
    // What it starts is found by this, wherever it has gone.
    let mark = ("MESETA_CHECK", format!("{:016x}", host::seed()));
    let mut launched = match launch_check(&info, &prober.task, &prober.around, &mark) {
        Ok(launched) => launched,
        Err(why) => return Answer::None(why),
    };
    let group = Group(launched.pid);
    let scope = Scope::Marked(format!("{}={}", mark.0, mark.1));
    let answer = tokio::select! {
        biased;
        ended = launched.child.wait() => match ended {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Answer::Exited(code),
                (None, signal) => {
                    let name = signal.map_or_else(|| "unknown".to_owned(), process::signal_name);
                    Answer::None(format!("Command terminated with signal {name}"))
                }
            },
            Err(error) => Answer::None(format!("The end of the command could not be waited for: {error}")),
        },
        () = limit.over() => {
            process::kill_tree(launched.pid, &scope).await;
            return limit.answer();
        }
    };
    drop(group);
    if prober.scope == Scope::Own {
        process::kill_adopted(&scope).await;
    }
    answer
}
