//! Containers that do all they can not to end, or to reach what made them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::containerizer::{Containerizer, LauncherKind, ProcessConfig};
use libactor::processes::Stat;
use protocol::{CommandInfo, ContainerId};

use crate::containers::{World, marked_processes, spec, unique, wait_ready};

/// Every kind of tree, and one with process ids of its own.
fn worlds() -> impl Iterator<Item = World> {
    let kinds = [
        (LauncherKind::Cgroup, "posix/cpu"),
        (LauncherKind::Posix, "posix/cpu"),
        (LauncherKind::Cgroup, "auto,namespaces/pid"),
    ];
    kinds.into_iter().filter_map(|(kind, isolation)| {
        World::with(kind, |config: &mut ProcessConfig| config.isolation = isolation.to_owned())
    })
}

/// Has a container run a script four times, each in a session of its own, and ends it.
async fn run_away(mut world: World, runner: &str) {
    let id = unique("runaway");
    let ready = world.ready_pipe();
    let path = world.directory.path().join("runner");
    fs::write(&path, runner).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.display();
    let script = format!(
        "for i in 1 2 3 4; do (setsid {path} &); done; sleep 0.1; echo ready > {}; while :; do sleep 1000; done",
        ready.display()
    );
    world.containerizer.launch(spec(&id, CommandInfo::shell(script)));
    assert!(world.launched().await.is_ok());
    wait_ready(&ready).await;
    assert_ne!(marked_processes(&id), Vec::<String>::new());
    world.containerizer.destroy(&id.as_str().into());
    assert_eq!(world.exited().await, 137);
    assert_eq!(marked_processes(&id), Vec::<String>::new());
}

/// Each process starts its successor in a new session and ends: whoever is looked for is gone.
#[tokio::test]
async fn processes_that_run_away_from_session_to_session_end_with_their_container() {
    for world in worlds() {
        run_away(world, "#!/bin/sh\ntrap '' TERM HUP INT\nsetsid $0 &\nsleep 0.02\nexit 0\n").await;
    }
}

/// All processes can't be looked at while one of these lives.
#[tokio::test]
async fn processes_that_live_as_short_as_they_can_end_with_their_container() {
    for world in worlds() {
        run_away(world, "#!/bin/sh\nsetsid $0 &\nexit 0\n").await;
    }
}

/// A name may be any bytes.
#[tokio::test]
async fn a_process_whose_name_is_no_text_ends_with_its_container() {
    for mut world in worlds() {
        let id = unique("nameless");
        let ready = world.ready_pipe();
        let program = world.directory.path().join(OsStr::from_bytes(b"\xff) Z \xfe"));
        fs::copy("/bin/sleep", &program).unwrap();
        let script = format!(
            "(setsid {}/\"$(printf '\\377) Z \\376')\" 1000 &); sleep 0.1; echo ready > {}; while :; do sleep 1000; done",
            world.directory.path().display(),
            ready.display()
        );
        world.containerizer.launch(spec(&id, CommandInfo::shell(script)));
        assert!(world.launched().await.is_ok());
        wait_ready(&ready).await;
        assert!(!processes_of(&program).is_empty());
        world.containerizer.destroy(&id.as_str().into());
        assert_eq!(world.exited().await, 137);
        assert_eq!(processes_of(&program), Vec::<i32>::new());
    }
}

/// The kernel shows such a process as one that has ended, and without an environment.
#[tokio::test]
async fn a_process_whose_first_thread_has_ended_ends_with_its_container() {
    const PROGRAM: &str = "#include <pthread.h>\n#include <unistd.h>\n\
                           static void *rest(void *none) { for (;;) pause(); }\n\
                           int main(void) { pthread_t t; pthread_create(&t, 0, rest, 0); pthread_exit(0); }\n";
    for mut world in worlds() {
        let id = unique("headless");
        let ready = world.ready_pipe();
        let directory = world.directory.path().to_owned();
        fs::write(directory.join("headless.c"), PROGRAM).unwrap();
        let program = directory.join("headless");
        let compiled = std::process::Command::new("cc")
            .args(["-pthread", "-o"])
            .args([&program, &directory.join("headless.c")])
            .status();
        if !compiled.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no C compiler here");
            return;
        }
        let script = format!(
            "(setsid {} & echo $! > pid); until grep -q ') Z ' /proc/$(cat pid)/stat; do :; done; \
             cp pid {}; while :; do sleep 1000; done",
            program.display(),
            ready.display()
        );
        world.containerizer.launch(spec(&id, CommandInfo::shell(script)));
        assert!(world.launched().await.is_ok());
        let pid = tokio::task::spawn_blocking(move || fs::read_to_string(ready)).await.unwrap().unwrap();
        // Seen from a namespace it has another one.
        let inside = Stat::of(pid.trim().parse().unwrap()).filter(|stat| stat.state == b'Z');
        world.containerizer.destroy(&id.as_str().into());
        assert_eq!(world.exited().await, 137);
        if let Some(seen) = inside {
            let left = Stat::of(seen.pid).filter(|stat| stat.began == seen.began && stat.lives());
            assert_eq!(left, None);
        }
    }
}

#[tokio::test]
async fn a_task_that_fills_its_output_is_killed_like_any_other() {
    for mut world in worlds() {
        let id = unique("filler");
        let ready = world.ready_pipe();
        // As much as the kernel takes in that time, at most.
        let script = format!(
            "trap '' PIPE TERM; ulimit -f 2000000; (yes | head -c 1000; echo ready > {}); exec yes",
            ready.display()
        );
        world.containerizer.launch(spec(&id, CommandInfo::shell(script)));
        assert!(world.launched().await.is_ok());
        wait_ready(&ready).await;
        world.containerizer.destroy(&id.as_str().into());
        assert_eq!(world.exited().await, 137);
        assert_eq!(marked_processes(&id), Vec::<String>::new());
        assert!(fs::metadata(world.sandbox(&id).join("stdout")).unwrap().len() >= 1000);
    }
}

#[tokio::test]
async fn a_container_holds_nothing_of_what_made_it() {
    for mut world in worlds() {
        let id = unique("descriptors");
        // All that is open but the directory that is read.
        let script = "for fd in /proc/self/fd/*; do readlink $fd; done | grep -v '^/proc/'; grep -c . /proc/self/environ";
        world.containerizer.launch(spec(&id, CommandInfo::shell(script)));
        assert!(world.launched().await.is_ok());
        assert_eq!(world.exited().await, 0);
        let sandbox = world.sandbox(&id);
        let stdout = fs::read_to_string(sandbox.join("stdout")).unwrap();
        let open: Vec<&str> =
            stdout.lines().filter(|line| line.contains("socket") || line.contains("anon_inode")).collect();
        assert_eq!(open, Vec::<&str>::new());
        assert!(stdout.contains("/dev/null"), "{stdout}");
    }
}

/// The processes that run a program.
fn processes_of(program: &Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn signal(name: &str, pid: i32) {
    let status = std::process::Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn the_launcher_is_started_again_when_it_is_killed_and_ends_with_its_agent() {
    for kind in [LauncherKind::Cgroup, LauncherKind::Posix] {
        let mut program = PathBuf::new();
        let made = World::with(kind, |config| {
            program = config.work_dir.with_file_name("launcher");
            fs::copy(&config.launcher[0], &program).unwrap();
            config.launcher = vec![program.clone().into_os_string()];
        });
        let Some(mut world) = made else { continue };
        let [first] = processes_of(&program)[..] else { panic!("one launcher waits") };
        signal("KILL", first);
        for attempt in 0..3 {
            let id = unique(&format!("again{attempt}"));
            world.containerizer.launch(spec(&id, CommandInfo::shell("exit 6")));
            assert_eq!(world.launched().await.map(drop), Ok(()));
            assert_eq!(world.exited().await, 6);
        }
        let [second] = processes_of(&program)[..] else { panic!("one launcher waits") };
        assert_ne!(first, second);
        let World { containerizer, directory, .. } = world;
        drop(containerizer);
        let ended = async {
            while !processes_of(&program).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it ends with its agent");
        drop(directory);
    }
}

#[tokio::test]
async fn what_can_not_be_executed_below_a_first_process_says_why() {
    let isolated = |config: &mut ProcessConfig| config.isolation = "namespaces/pid".to_owned();
    let Some(mut world) = World::with(LauncherKind::Cgroup, isolated) else { return };
    let id = unique("program");
    world.containerizer.launch(spec(&id, CommandInfo::argv("/no/such/program", Vec::<String>::new())));
    let why = world.launched().await.unwrap_err();
    assert!(why.contains("can't run '/no/such/program': No such file"), "{why}");
    let id = ContainerId::from(unique("signal").as_str());
    world.containerizer.launch(spec(id.as_str(), CommandInfo::shell("kill -SEGV $$")));
    assert!(world.launched().await.is_ok());
    assert_eq!(world.exited().await, 139, "as it would be told of the executor itself");
}
