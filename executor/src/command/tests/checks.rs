//! Tasks that are looked at while they run.

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use protocol::wire::{convert, v1};
use protocol::{Carried, CheckStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;

/// Looked at often, from the start.
fn often(kind: v1::health_check::Type) -> v1::HealthCheck {
    v1::HealthCheck {
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.0),
        timeout_seconds: Some(10.0),
        grace_period_seconds: Some(0.0),
        r#type: Some(kind.into()),
        ..Default::default()
    }
}

fn by_command(text: &str) -> v1::HealthCheck {
    let command = Some(convert::command_to_wire(&CommandInfo::shell(text)));
    v1::HealthCheck { command, ..often(v1::health_check::Type::Command) }
}

fn by_http(port: u16) -> v1::HealthCheck {
    let http = v1::health_check::HttpCheckInfo {
        port: port.into(),
        path: Some("/health".into()),
        ..Default::default()
    };
    v1::HealthCheck { http: Some(http), ..often(v1::health_check::Type::Http) }
}

fn by_tcp(port: u16) -> v1::HealthCheck {
    let tcp = v1::health_check::TcpCheckInfo { port: port.into(), ..Default::default() };
    v1::HealthCheck { tcp: Some(tcp), ..often(v1::health_check::Type::Tcp) }
}

fn general(text: &str) -> v1::CheckInfo {
    let command = convert::command_to_wire(&CommandInfo::shell(text));
    v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Command.into()),
        command: Some(v1::check_info::Command { command }),
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.0),
        timeout_seconds: Some(10.0),
        ..Default::default()
    }
}

/// A task that lasts until it is told to end.
fn looked_at(health_check: Option<v1::HealthCheck>, check: Option<v1::CheckInfo>) -> TaskInfo {
    let unread = v1::TaskInfo { health_check, check, ..Default::default() };
    TaskInfo { unread: Carried::new(&unread), ..shell("exec sleep 1000") }
}

fn check_of(status: &TaskStatus) -> Option<v1::CheckStatusInfo> {
    status.unread.as_ref()?.read().check_status
}

/// A server that answers every request with a code that the test sets, and counts them; 0 is silence.
struct Server {
    port: u16,
    code: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(code: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (code, asked) = (Arc::new(AtomicU16::new(code)), Arc::new(AtomicUsize::new(0)));
        let shared = (code.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (code, asked) = shared.clone();
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    let read = stream.read(&mut request).await.unwrap_or(0);
                    assert!(request[..read].starts_with(b"GET /health HTTP/1.1\r\n"));
                    asked.fetch_add(1, Ordering::SeqCst);
                    match code.load(Ordering::SeqCst) {
                        0 => std::future::pending().await,
                        code => {
                            let answer = format!("HTTP/1.1 {code} x\r\nContent-Length: 0\r\n\r\n");
                            let _ = stream.write_all(answer.as_bytes()).await;
                        }
                    }
                });
            }
        });
        Self { port, code, asked }
    }

    fn answers(&self, code: u16) {
        self.code.store(code, Ordering::SeqCst);
    }
}

impl Bench {
    /// Expects TASK_RUNNING with news of its health, and gives the message.
    async fn health(&mut self, healthy: bool) -> String {
        let status = self.update().await;
        assert_eq!((status.state, status.healthy), (TaskState::Running, Some(healthy)), "{status:?}");
        assert_eq!(status.reason, Some(Reason::TaskHealthCheckStatusUpdated));
        status.message.unwrap()
    }

    /// Expects TASK_RUNNING with a new result of its check.
    async fn checked(&mut self, result: CheckStatus) {
        let status = self.update().await;
        assert_eq!((status.state, status.reason), (TaskState::Running, Some(Reason::TaskCheckStatusUpdated)));
        assert_eq!(check_of(&status), Some(result.to_wire()));
    }

    /// Expects that it is killed because it is not healthy, and gives the message.
    async fn killed_as_sick(mut self) -> String {
        let killing = self.update().await;
        assert_eq!((killing.state, killing.healthy), (TaskState::Killing, Some(false)));
        let (status, _) = self.ended().await;
        assert_eq!((status.state, status.healthy), (TaskState::Killed, Some(false)));
        assert_eq!(status.reason, Some(Reason::TaskHealthCheckStatusUpdated));
        status.message.unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }
}

#[tokio::test]
async fn a_server_that_falls_ill_and_gets_well_and_falls_ill_again() {
    let server = Server::start(200).await;
    let check = v1::HealthCheck { consecutive_failures: Some(20), ..by_http(server.port) };
    let mut bench = Bench::run(looked_at(Some(check), None)).await;
    bench.running().await;
    assert_eq!(bench.health(true).await, "HTTP health check passed");
    server.answers(503);
    let told = bench.health(false).await;
    assert!(told.starts_with("HTTP health check failed ("), "{told}");
    assert!(told.ends_with(" of 20): Unexpected HTTP response code: 503"), "{told}");
    server.answers(399);
    while bench.update().await.healthy == Some(false) {}
    server.answers(400);
    bench.health(false).await;
    // Repeated failures are told too, at their pace.
    let told = loop {
        let status = bench.update().await;
        assert_eq!(status.healthy, Some(false));
        if status.state == TaskState::Killing {
            break bench.ended().await.0;
        }
    };
    assert_eq!((told.state, told.healthy, told.exit_status), (TaskState::Killed, Some(false), Some(143)));
    assert_eq!(
        told.message.as_deref(),
        Some(
            "The task was killed because it was not healthy: HTTP health check failed 20 times in a row: Unexpected HTTP response code: 400. Command terminated with signal Terminated"
        )
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_healthy() {
    let server = Server::start(0).await;
    let check = v1::HealthCheck {
        timeout_seconds: Some(0.05),
        consecutive_failures: Some(1),
        ..by_http(server.port)
    };
    let mut bench = Bench::run(looked_at(Some(check), None)).await;
    bench.running().await;
    assert_eq!(bench.health(false).await, "HTTP health check failed (1 of 1): no answer within 50ms");
    bench.killed_as_sick().await;
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let check = v1::HealthCheck { consecutive_failures: Some(1_000), ..by_tcp(port) };
    let mut bench = Bench::run(looked_at(Some(check), None)).await;
    bench.running().await;
    let told = bench.health(false).await;
    assert!(
        told.starts_with("TCP health check failed (1 of 1000): TCP connection failed: Connection refused"),
        "{told}"
    );
    let listener = socket.listen(16).unwrap();
    while bench.update().await.healthy == Some(false) {}
    drop(listener);
    bench.health(false).await;
    bench.destroyed().await;
}

#[tokio::test]
async fn failures_before_the_first_success_are_excused() {
    let check = v1::HealthCheck {
        grace_period_seconds: Some(1000.0),
        consecutive_failures: Some(2),
        ..by_command("echo >> tries; test -e well")
    };
    let mut bench = Bench::start(Scope::Marked).launched(looked_at(Some(check), None)).await;
    bench.running().await;
    let tries = bench.file("tries");
    while std::fs::metadata(&tries).map_or(0, |file| file.len()) < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::write(bench.file("well"), "").unwrap();
    assert_eq!(bench.health(true).await, "COMMAND health check passed");
    std::fs::remove_file(bench.file("well")).unwrap();
    let told = bench.health(false).await;
    assert!(told.contains("(1 of 2): Command exited with status 1") || told.contains("(2 of 2)"), "{told}");
    bench.destroyed().await;
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_it_has_started() {
    let text = format!("{RUNAWAY}; echo $$ > itself; exec sleep 1000");
    let check =
        v1::HealthCheck { timeout_seconds: Some(1.0), consecutive_failures: Some(1), ..by_command(&text) };
    let mut bench = Bench::start(Scope::Marked).with_pipe().launched(looked_at(Some(check), None)).await;
    bench.running().await;
    let runaway = bench.ready().await;
    assert!(lives(&runaway));
    assert_eq!(bench.health(false).await, "COMMAND health check failed (1 of 1): no answer within 1secs");
    assert!(!lives(&runaway));
    assert!(!lives(std::fs::read_to_string(bench.file("itself")).unwrap().trim()));
    let told = bench.killed_as_sick().await;
    assert!(told.contains("COMMAND health check failed once: no answer within 1secs"), "{told}");
}

#[tokio::test]
async fn a_check_tells_what_has_changed_and_kills_nothing() {
    let mut bench =
        Bench::start(Scope::Marked).launched_with(looked_at(None, Some(general("test -e flag")))).await;
    let starting = bench.update().await;
    let running = bench.update().await;
    for (status, state) in [(&starting, TaskState::Starting), (&running, TaskState::Running)] {
        assert_eq!(status.state, state);
        assert_eq!(check_of(status), Some(CheckStatus::Command(None).to_wire()), "{state}");
        assert_eq!((status.healthy, status.reason), (None, None));
    }
    bench.returned().await;
    bench.checked(CheckStatus::Command(Some(1))).await;
    std::fs::write(bench.file("flag"), "").unwrap();
    bench.checked(CheckStatus::Command(Some(0))).await;
    bench.kill(None).await;
    let killing = bench.update().await;
    bench.returned().await;
    let (killed, _) = bench.ended().await;
    for (status, state) in [(&killing, TaskState::Killing), (&killed, TaskState::Killed)] {
        assert_eq!((status.state, status.healthy), (state, None));
        assert_eq!(check_of(status), Some(CheckStatus::Command(Some(0)).to_wire()), "the last one");
    }
}

#[tokio::test]
async fn both_kinds_of_checks_go_along() {
    let task = looked_at(Some(by_command("true")), Some(general("exit 3")));
    let mut bench = Bench::run(task).await;
    bench.running().await;
    let (first, second) = (bench.update().await, bench.update().await);
    // Whichever is first, the second one carries it along.
    let reasons = [first.reason, second.reason];
    assert!(reasons.contains(&Some(Reason::TaskCheckStatusUpdated)), "{reasons:?}");
    assert!(reasons.contains(&Some(Reason::TaskHealthCheckStatusUpdated)), "{reasons:?}");
    assert_eq!(second.healthy, Some(true));
    assert_eq!(check_of(&second), Some(CheckStatus::Command(Some(3)).to_wire()));
    bench.destroyed().await;
}

#[tokio::test]
async fn the_command_of_a_check_has_what_its_task_has() {
    let command =
        CommandInfo::shell("test \"$OF_CHECK$OF_BOTH$OF_TASK$MESOS_TASK_ID\" = c2c1tt && pwd > where");
    let command = command.env("OF_CHECK", "c2").env("OF_BOTH", "c1");
    let mut check = by_command("");
    check.command = Some(convert::command_to_wire(&command));
    let mut task = looked_at(Some(check), None);
    task.command =
        Some(CommandInfo::shell("exec sleep 1000").env("OF_TASK", "t").env("OF_BOTH", "overwritten"));
    let mut bench = Bench::run(task).await;
    bench.running().await;
    assert_eq!(bench.health(true).await, "COMMAND health check passed");
    let place = std::fs::read_to_string(bench.file("where")).unwrap();
    assert_eq!(place.trim(), std::fs::canonicalize(bench.sandbox.path()).unwrap().to_string_lossy());
    bench.destroyed().await;
}

#[tokio::test]
async fn the_command_of_a_check_is_run_as_the_user_of_its_task() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: only root can run a command as somebody else");
        return;
    }
    let mut task = looked_at(Some(by_command("test \"$(id -un)\" = nobody")), None);
    task.command.as_mut().unwrap().user = Some("nobody".into());
    let bench = Bench::start(Scope::Marked);
    std::fs::set_permissions(bench.sandbox.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let mut bench = bench.launched(task).await;
    bench.running().await;
    assert_eq!(bench.health(true).await, "COMMAND health check passed");
    bench.destroyed().await;
}

#[tokio::test]
async fn nothing_is_asked_of_a_task_that_is_being_killed() {
    let server = Server::start(200).await;
    let mut task = looked_at(Some(by_http(server.port)), None);
    task.command = Some(CommandInfo::shell("trap '' TERM; echo > ready; while :; do sleep 0.01; done"));
    let mut bench = Bench::start(Scope::Marked).with_pipe().launched(task).await;
    bench.running().await;
    bench.ready().await;
    bench.health(true).await;
    bench.kill(Some(Duration::from_millis(500))).await;
    assert_eq!(bench.update().await.state, TaskState::Killing);
    bench.returned().await;
    let before = server.asked.load(Ordering::SeqCst);
    server.answers(500);
    let (status, _) = bench.ended().await;
    // Killed by the framework: it was healthy when it was looked at last, and that is not why it ended.
    assert_eq!((status.state, status.healthy, status.reason), (TaskState::Killed, None, None));
    assert!(server.asked.load(Ordering::SeqCst) <= before + 1, "the one under way at most");
}

#[tokio::test]
async fn what_was_found_while_the_agent_was_away_is_told_once_it_is_back() {
    let server = Server::start(200).await;
    let check = v1::HealthCheck { consecutive_failures: Some(1_000_000), ..by_http(server.port) };
    let mut bench = Bench::run(looked_at(Some(check), None)).await;
    bench.running().await;
    bench.health(true).await;
    bench.call(Callback::Disconnected).await;
    bench.returned().await;
    server.answers(500);
    // Several reports' worth.
    let before = server.asked.load(Ordering::SeqCst);
    while server.asked.load(Ordering::SeqCst) < before + 25 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(bench.calls.is_empty(), "nothing is told to an agent that is away");
    let agent = AgentInfo {
        hostname: "host".into(),
        port: 1,
        resources: Resources::default(),
        attributes: Attributes::default(),
        id: None,
    };
    bench.call(Callback::Reregistered { agent_id: "a".into(), agent }).await;
    let told = bench.health(false).await;
    assert!(told.contains("Unexpected HTTP response code: 500"), "{told}");
    bench.returned().await;
    bench.destroyed().await;
}

#[tokio::test]
async fn a_check_that_cannot_be_done_is_said() {
    let mut bench = Bench::run(looked_at(Some(v1::HealthCheck::default()), None)).await;
    let status = bench.update().await;
    assert_eq!((status.state, status.reason), (TaskState::Failed, Some(Reason::CommandExecutorFailed)));
    assert_eq!(status.message.as_deref(), Some("HealthCheck must specify 'type'"));

    let mut missing = by_command("");
    missing.command = Some(convert::command_to_wire(&CommandInfo::argv("/no/such/program", ["x"])));
    missing.consecutive_failures = Some(1);
    let mut bench = Bench::run(looked_at(Some(missing), None)).await;
    bench.running().await;
    let told = bench.health(false).await;
    assert!(told.contains("'/no/such/program' can't be started: No such file or directory"), "{told}");
    bench.killed_as_sick().await;
}
