//! The command executor with real processes.

mod checks;
mod kills;

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libactor::Clock;
use libactor::processes::{self, Stat};
use protocol::{
    AgentInfo, Attributes, Capability, CommandInfo, ExecutorInfo, FrameworkInfo, KillPolicy, Reason,
    Resources, TaskInfo, TaskState, TaskStatus,
};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::launch::{Surroundings, TaskOutput};
use super::runner::{Held, Runner};
use crate::ExecutorDriver;
use crate::core::{Callback, DriverCall, Input};
use crate::process::{self, Awaited, Scope};

/// A runner whose agent is the test.
struct Bench {
    callbacks: mpsc::Sender<Callback>,
    calls: mpsc::Receiver<Input>,
    destroy: Arc<Notify>,
    work: JoinHandle<()>,
    sandbox: TempDir,
}

impl Bench {
    fn start(scope: impl FnOnce(String) -> Scope) -> Self {
        Self::timed(scope, Clock::real(), Duration::from_millis(100))
    }

    fn timed(scope: impl FnOnce(String) -> Scope, clock: Clock, shutdown_grace: Duration) -> Self {
        let sandbox = tempfile::tempdir().unwrap();
        let (driver, calls) = ExecutorDriver::unattended();
        driver.shared().start();
        let (callbacks, receiver) = mpsc::channel(1);
        let destroy = Arc::new(Notify::new());
        let mark = format!("c-{}", sandbox.path().display());
        let variable = |name: &str| (name.into(), std::env::var_os(name).unwrap_or_default());
        let environment = vec![variable("PATH"), ("MESOS_CONTAINER_ID".into(), mark.clone().into())];
        let file = |name| File::create(sandbox.path().join(name)).unwrap();
        let output = TaskOutput::Files { stdout: file("stdout"), stderr: file("stderr") };
        let runner = Runner {
            driver,
            callbacks: receiver,
            destroy: destroy.clone(),
            clock,
            around: Arc::new(Surroundings {
                environment,
                sandbox: Some(sandbox.path().to_owned()),
                output,
                awaited: Awaited::default(),
            }),
            scope: scope(format!("MESOS_CONTAINER_ID={mark}")),
            shutdown_grace,
            tells_killing: false,
            held: Held::default(),
        };
        let work = tokio::spawn(runner.run());
        Self { callbacks, calls, destroy, work, sandbox }
    }

    /// Starts, registers and launches.
    async fn run(task: TaskInfo) -> Self {
        Self::start(Scope::Marked).launched(task).await
    }

    async fn launched(self, task: TaskInfo) -> Self {
        let mut bench = self.launched_with(task).await;
        assert_eq!(bench.update().await.state, TaskState::Starting);
        bench
    }

    /// Registers and launches, and expects nothing yet.
    async fn launched_with(mut self, task: TaskInfo) -> Self {
        let mut framework = FrameworkInfo::new("test");
        framework.capabilities.insert(Capability::TaskKillingState);
        self.call(Callback::Registered {
            executor: ExecutorInfo::new("e", CommandInfo::shell("")),
            framework,
            agent_id: "a".into(),
            agent: AgentInfo {
                hostname: "host".into(),
                port: 1,
                resources: Resources::default(),
                attributes: Attributes::default(),
                id: None,
            },
        })
        .await;
        self.returned().await;
        self.call(Callback::Launch(task)).await;
        self
    }

    async fn call(&mut self, callback: Callback) {
        self.callbacks.send(callback).await.unwrap();
    }

    async fn kill(&mut self, grace: Option<Duration>) {
        let kill_policy = grace.map(|grace| KillPolicy { grace_period: Some(grace) });
        self.call(Callback::Kill { task_id: "t".into(), kill_policy }).await;
    }

    async fn next(&mut self) -> Input {
        self.calls.recv().await.expect("the runner speaks")
    }

    async fn returned(&mut self) {
        let input = self.next().await;
        assert!(matches!(input, Input::CallbackReturned), "{input:?}");
    }

    async fn update(&mut self) -> TaskStatus {
        match self.next().await {
            Input::Call(DriverCall::Update(status)) => status,
            other => panic!("expected an update, not {other:?}"),
        }
    }

    /// Expects TASK_RUNNING.
    async fn running(&mut self) {
        assert_eq!(self.update().await.state, TaskState::Running);
        self.returned().await;
    }

    /// Expects the terminal update and the end.
    async fn ended(mut self) -> (TaskStatus, TempDir) {
        let status = self.update().await;
        assert!(status.state.is_terminal(), "{status:?}");
        while !matches!(self.next().await, Input::Call(DriverCall::Stop)) {}
        drop(self.callbacks);
        self.work.await.unwrap();
        (status, self.sandbox)
    }

    /// Kills all and waits until it is gone; what else is said meanwhile is not looked at.
    async fn destroyed(mut self) {
        self.destroy.notify_one();
        while !matches!(self.next().await, Input::Call(DriverCall::Abort)) {}
    }

    /// A pipe that the task writes to, to say that it is ready.
    fn pipe(&self) -> PathBuf {
        self.sandbox.path().join("ready")
    }

    /// Waits for the task to write a line into the pipe.
    async fn ready(&self) -> String {
        let pipe = self.pipe();
        let line = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe).unwrap()).await.unwrap();
        line.trim().to_owned()
    }

    fn with_pipe(self) -> Self {
        nix::unistd::mkfifo(&self.pipe(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        self
    }
}

fn shell(text: &str) -> TaskInfo {
    TaskInfo::command("t", "a".into(), Resources::default(), CommandInfo::shell(text))
}

fn argv(path: &str, arguments: &[&str]) -> CommandInfo {
    CommandInfo::argv(path, arguments.iter().copied())
}

/// Whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    Stat::of(pid.parse().unwrap()).is_some_and(|stat| stat.lives())
}

/// Starts four scripts that each start their successor in a new session and end at once; then `ready` says so.
const SPRINT: &str = "printf '#!/bin/sh\\necho >> steps\\nsetsid $0 &\\nexit 0\\n' > runner; chmod 755 runner; \
                      for i in 1 2 3 4; do (setsid $PWD/runner &); done; sleep 0.1; echo $$ > ready";

/// Whether a process is there that runs something in a sandbox; asked often, for it may be between two programs.
fn is_left(sandbox: &Path) -> bool {
    let place = sandbox.as_os_str().as_bytes();
    let runs_there = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.windows(place.len()).any(|part| part == place)
    };
    let before = steps(sandbox);
    (0..50).any(|_| processes::all().unwrap().keys().any(runs_there)) || steps(sandbox) > before
}

/// How many of those that sprint have begun.
fn steps(sandbox: &Path) -> u64 {
    std::fs::metadata(sandbox.join("steps")).map_or(0, |about| about.len())
}

#[tokio::test]
async fn processes_that_live_as_short_as_they_can_end_with_their_task() {
    let task = shell(&format!("{SPRINT}; exec sleep 1000"));
    let mut bench = Bench::start(Scope::Marked).with_pipe().launched(task).await;
    bench.running().await;
    bench.ready().await;
    // Whoever looks for one of them is mostly late: that they go on is seen by what they write.
    let before = steps(bench.sandbox.path());
    while steps(bench.sandbox.path()) < before + 100 {
        tokio::task::yield_now().await;
    }
    bench.kill(None).await;
    assert_eq!(bench.update().await.state, TaskState::Killing);
    bench.returned().await;
    let (status, sandbox) = bench.ended().await;
    assert_eq!(status.state, TaskState::Killed);
    assert!(!is_left(sandbox.path()));
}

#[tokio::test]
async fn a_command_that_ends_by_itself() {
    for (text, state, exit_status, message) in [
        ("exit 0", TaskState::Finished, 0, "Command exited with status 0"),
        ("exit 7", TaskState::Failed, 7, "Command exited with status 7"),
        ("kill -KILL $$", TaskState::Failed, 137, "Command terminated with signal Killed"),
        ("no-such-command-here", TaskState::Failed, 127, "Command exited with status 127"),
    ] {
        let mut bench = Bench::run(shell(text)).await;
        bench.running().await;
        let (status, _) = bench.ended().await;
        assert_eq!((status.state, status.exit_status), (state, Some(exit_status)), "{text}");
        assert_eq!(status.message.as_deref(), Some(message), "{text}");
    }
}

#[tokio::test]
async fn a_command_has_its_environment_arguments_and_sandbox() {
    let text = "printf '%s|%s|%s|%s' \"$0\" \"$1\" \"$MESOS_TASK_ID\" \"$OWN\"; pwd; echo bad >&2";
    let command =
        argv("sh", &["renamed", "-c", text, "zero", "one two"]).env("OWN", "first").env("OWN", "last");
    let mut task = shell("");
    task.command = Some(command);
    let mut bench = Bench::run(task).await;
    bench.running().await;
    let (status, sandbox) = bench.ended().await;
    assert_eq!(status.state, TaskState::Finished);
    let read = |name| std::fs::read_to_string(sandbox.path().join(name)).unwrap();
    let directory = std::fs::canonicalize(sandbox.path()).unwrap();
    assert_eq!(read("stdout"), format!("zero|one two|t|last{}\n", directory.display()));
    assert_eq!(read("stderr"), "bad\n");
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let mut user = CommandInfo::shell("true");
    user.user = Some("no-such-user-here".into());
    for (command, part) in [
        (argv("/no/such/program", &[]), "No such file or directory"),
        (argv("/etc", &[]), "denied"),
        (user, "there is no user 'no-such-user-here'"),
        (CommandInfo::shell("true").env("A=B", ""), "environment variable"),
    ] {
        let mut task = shell("");
        task.command = Some(command);
        let mut bench = Bench::run(task).await;
        let status = bench.update().await;
        assert_eq!((status.state, status.reason), (TaskState::Failed, Some(Reason::CommandExecutorFailed)));
        assert!(status.message.as_deref().unwrap().contains(part), "{status:?}");
    }
}

#[tokio::test]
async fn a_kill_is_polite_at_first() {
    let mut bench = Bench::start(Scope::Marked)
        .with_pipe()
        .launched(shell("trap 'exit 3' TERM; echo > ready; while :; do sleep 0.01; done"))
        .await;
    bench.running().await;
    bench.ready().await;
    bench.kill(Some(Duration::from_secs(60))).await;
    assert_eq!(bench.update().await.state, TaskState::Killing);
    bench.returned().await;
    let (status, _) = bench.ended().await;
    assert_eq!((status.state, status.exit_status), (TaskState::Killed, Some(3)));
}

#[tokio::test]
async fn a_kill_does_not_take_no_for_an_answer() {
    let task = shell("trap '' TERM; echo > ready; while :; do sleep 0.01; done");
    let mut bench = Bench::start(Scope::Marked).with_pipe().launched(task).await;
    bench.running().await;
    bench.ready().await;
    // The second kill brings the end nearer, and speaks of TASK_KILLING no second time.
    bench.kill(None).await;
    assert_eq!(bench.update().await.state, TaskState::Killing);
    bench.returned().await;
    bench.kill(Some(Duration::from_millis(20))).await;
    bench.returned().await;
    let (status, _) = bench.ended().await;
    assert_eq!((status.state, status.exit_status), (TaskState::Killed, Some(137)));
    assert_eq!(status.message.as_deref(), Some("Command terminated with signal Killed"));
}

/// Forks twice, leaves session and group, ignores TERM.
const RUNAWAY: &str = "(setsid sh -c 'trap \"\" TERM; echo $$ > ready; while :; do sleep 0.01; done' &)";

#[tokio::test]
async fn nothing_of_a_killed_task_gets_away() {
    let task = shell(&format!("{RUNAWAY}; sleep 1000"));
    let mut bench = Bench::start(Scope::Marked).with_pipe().launched(task).await;
    bench.running().await;
    let runaway = bench.ready().await;
    assert!(lives(&runaway));
    bench.kill(None).await;
    assert_eq!(bench.update().await.state, TaskState::Killing);
    bench.returned().await;
    let (status, _) = bench.ended().await;
    assert_eq!(status.exit_status, Some(143));
    assert!(!lives(&runaway));
}

#[tokio::test]
async fn nothing_of_a_finished_task_is_left() {
    let task = shell(&format!("mkfifo go; {RUNAWAY}; cat go"));
    let mut bench = Bench::start(Scope::Marked).with_pipe().launched(task).await;
    bench.running().await;
    let runaway = bench.ready().await;
    let go = bench.sandbox.path().join("go");
    tokio::task::spawn_blocking(move || std::fs::write(go, "").unwrap()).await.unwrap();
    let (status, _) = bench.ended().await;
    assert_eq!(status.state, TaskState::Finished);
    assert!(!lives(&runaway));
}

#[tokio::test]
async fn a_task_that_takes_too_long_fails() {
    let mut task = shell("trap '' TERM; sleep 1000");
    task.max_completion_time = Some(Duration::from_millis(20));
    task.kill_policy = Some(KillPolicy { grace_period: Some(Duration::from_millis(20)) });
    let mut bench = Bench::run(task).await;
    bench.running().await;
    let (status, _) = bench.ended().await;
    assert_eq!((status.state, status.reason), (TaskState::Failed, Some(Reason::MaxCompletionTimeReached)));
}

#[tokio::test]
async fn a_shutdown_returns_when_the_task_has_ended() {
    let task = shell("trap '' TERM; echo > ready; while :; do sleep 0.01; done");
    let mut bench = Bench::start(Scope::Marked).with_pipe().launched(task).await;
    bench.running().await;
    bench.ready().await;
    bench.call(Callback::Shutdown).await;
    assert_eq!(bench.update().await.state, TaskState::Killing);
    assert_eq!(bench.update().await.state, TaskState::Killed);
    bench.returned().await;
}

#[tokio::test]
async fn a_second_task_is_refused() {
    let mut bench = Bench::run(shell("sleep 1000")).await;
    bench.running().await;
    let mut second = shell("true");
    second.task_id = "u".into();
    bench.call(Callback::Launch(second)).await;
    let status = bench.update().await;
    assert_eq!((status.task_id.as_str(), status.state), ("u", TaskState::Failed));
    bench.returned().await;
    bench.destroy.notify_one();
    assert!(matches!(bench.next().await, Input::Call(DriverCall::Abort)));
}

#[tokio::test]
async fn a_destroyed_task_is_gone_without_a_word() {
    let mut bench =
        Bench::start(Scope::Marked).with_pipe().launched(shell(&format!("{RUNAWAY}; sleep 1000"))).await;
    bench.running().await;
    let runaway = bench.ready().await;
    bench.destroy.notify_one();
    assert!(matches!(bench.next().await, Input::Call(DriverCall::Abort)));
    assert!(!lives(&runaway));
}

#[test]
fn a_process_of_its_own_adopts_what_runs_away() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "command::tests::in_a_process_of_its_own", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[tokio::test]
#[ignore = "makes its process a subreaper: started by a_process_of_its_own_adopts_what_runs_away"]
async fn in_a_process_of_its_own() {
    process::become_subreaper().unwrap();
    for (text, state) in [
        (format!("{RUNAWAY}; sleep 1000"), TaskState::Killed),
        (format!("mkfifo go; {RUNAWAY}; cat go"), TaskState::Finished),
    ] {
        // The mark would find it too: without it there is only descent.
        let text = text.replace("setsid", "env -u MESOS_CONTAINER_ID setsid");
        let mut bench = Bench::start(|_| Scope::Own).with_pipe().launched(shell(&text)).await;
        bench.running().await;
        let runaway = bench.ready().await;
        if state == TaskState::Killed {
            bench.kill(None).await;
            assert_eq!(bench.update().await.state, TaskState::Killing);
            bench.returned().await;
        } else {
            let go = bench.sandbox.path().join("go");
            tokio::task::spawn_blocking(move || std::fs::write(go, "").unwrap()).await.unwrap();
        }
        assert_eq!(bench.ended().await.0.state, state);
        assert!(!lives(&runaway));
    }
    let text = format!("{SPRINT}; exit 0").replace("setsid", "env -u MESOS_CONTAINER_ID setsid");
    let mut bench = Bench::start(|_| Scope::Own).with_pipe().launched(shell(&text)).await;
    bench.running().await;
    bench.ready().await;
    let (status, sandbox) = bench.ended().await;
    assert_eq!(status.state, TaskState::Finished);
    assert!(!is_left(sandbox.path()));
}
