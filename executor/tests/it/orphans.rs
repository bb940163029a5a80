//! What tasks and checks leave behind in the process of a command executor.

use executor::protocol::Carried;
use executor::protocol::wire::v1;

use super::*;

/// Starts processes whose parents are gone, and ends when all of them are: until they are reaped they have ids.
const ORPHANS: &str = r#"
    for number in 1 2 3 4 5 6 7 8 9 10; do
        sh -c '(sh -c "echo \$\$ >> pids" &)'
    done
    while [ "$(wc -l < pids)" -lt 10 ]; do sleep 0.01; done
    for pid in $(cat pids); do
        while kill -0 $pid 2> /dev/null; do sleep 0.01; done
    done
"#;

async fn lets_nothing_stay(
    agent: &mut Agent,
    mut executor: tokio::process::Child,
    sandbox: &tempfile::TempDir,
) {
    agent.launch(&format!("cd {}; {ORPHANS}", sandbox.path().display())).await;
    for state in [TaskState::Starting, TaskState::Running, TaskState::Finished] {
        assert_eq!(agent.update().await.state, state);
    }
    assert!(executor.wait().await.unwrap().success());
}

#[test]
fn orphans_are_reaped_while_the_task_runs() {
    run(async {
        let sandbox = tempfile::tempdir().unwrap();
        let mut agent = Agent::start().await;
        let executor = spawn_executor(&agent, "as_a_command_executor", "5secs");
        lets_nothing_stay(&mut agent, executor, &sandbox).await;
        agent.node.shutdown().await;
    });
}

/// An executor that is the first process of a namespace, with or without a `/proc` that shows it.
fn as_first_process(agent: &Agent, options: &[&str]) -> Option<tokio::process::Child> {
    let works = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        println!("SKIPPED: processes can't have namespaces of their own here");
        return None;
    }
    let mut command = tokio::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).args(options).arg(std::env::current_exe().unwrap());
    Some(as_executor(command, agent, "as_a_command_executor", "5secs"))
}

#[test]
fn orphans_are_reaped_by_the_first_process_of_a_namespace() {
    run(async {
        let sandbox = tempfile::tempdir().unwrap();
        let mut agent = Agent::start().await;
        if let Some(executor) = as_first_process(&agent, &["--mount-proc"]) {
            lets_nothing_stay(&mut agent, executor, &sandbox).await;
        }
        agent.node.shutdown().await;
    });
}

#[test]
fn the_first_process_of_a_namespace_ends_all_others() {
    for options in [&["--mount-proc"][..], &[]] {
        run(async {
            let mut agent = Agent::start().await;
            if let Some(mut executor) = as_first_process(&agent, options) {
                let sandbox = tempfile::tempdir().unwrap();
                let ready = sandbox.path().join("ready");
                let runaway = format!("trap \"\" TERM; echo > {}; sleep 1000", ready.display());
                let text = format!("trap '' TERM; (setsid sh -c '{runaway}' &); sleep 1000; sleep 1000");
                let pid = agent.launch(&text).await;
                for state in [TaskState::Starting, TaskState::Running] {
                    assert_eq!(agent.update().await.state, state);
                }
                while !ready.exists() {
                    tokio::task::yield_now().await;
                }
                let kill_policy = Some(KillPolicy { grace_period: Some(Duration::from_millis(50)) });
                agent.tell(&pid, ExecutorEvent::Kill { task_id: "t".into(), kill_policy });
                let status = agent.update().await;
                assert_eq!((status.state, status.exit_status), (TaskState::Killed, Some(137)));
                assert!(executor.wait().await.unwrap().success());
            }
            agent.node.shutdown().await;
        });
    }
}

#[test]
fn nothing_is_left_of_the_command_of_a_check_that_has_ended() {
    run(async {
        let sandbox = tempfile::tempdir().unwrap();
        let mut agent = Agent::start().await;
        let _executor = spawn_executor(&agent, "as_a_command_executor", "5secs");
        // One that stays in its group, and one that leaves its session.
        let text = format!(
            "cd {}; sleep 1000 & echo $! >> pids; setsid sh -c 'echo $$ >> pids; exec sleep 1000' & \
             while [ \"$(wc -l < pids)\" -lt 2 ]; do sleep 0.01; done",
            sandbox.path().display()
        );
        let command = v1::CommandInfo { value: Some(text), ..Default::default() };
        let check = v1::CheckInfo {
            r#type: Some(v1::check_info::Type::Command.into()),
            command: Some(v1::check_info::Command { command }),
            delay_seconds: Some(0.0),
            interval_seconds: Some(1000.0),
            ..Default::default()
        };
        let unread = v1::TaskInfo { check: Some(check), ..Default::default() };
        let mut task =
            TaskInfo::command("t", "a".into(), Resources::default(), CommandInfo::shell("exec sleep 1000"));
        task.unread = Carried::new(&unread);
        let pid = agent.launch_task(task).await;
        for reason in [None, None, Some(Reason::TaskCheckStatusUpdated)] {
            assert_eq!(agent.update().await.reason, reason);
        }
        for left in std::fs::read_to_string(sandbox.path().join("pids")).unwrap().lines() {
            let program = std::path::Path::new("/proc").join(left).join("exe");
            while program.exists() {
                tokio::task::yield_now().await;
            }
        }
        agent.tell(&pid, ExecutorEvent::Shutdown);
        assert_eq!(agent.update().await.state, TaskState::Killed);
        agent.node.shutdown().await;
    });
}
