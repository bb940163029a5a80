//! The process containerizer, for both launcher kinds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::containerizer::{
    ContainerEvent, Containerizer, LauncherKind, ProcessConfig, ProcessContainerizer,
};
use agent::core::{ContainerEnd, ContainerSpec};
use protocol::{CommandInfo, ContainerId, ExecutorInfo, Resources};
use tokio::sync::mpsc::Receiver;

const LAUNCHER: &str = env!("CARGO_BIN_EXE_agent-launch");
/// Far longer than anything here takes: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) containerizer: ProcessContainerizer,
    pub(crate) events: Receiver<ContainerEvent>,
}

impl World {
    /// `None`, said aloud, where the machine has not what the kind needs.
    fn new(kind: LauncherKind) -> Option<Self> {
        Self::with(kind, |config| config.isolation = "posix/cpu,posix/mem".into())
    }

    /// The same, with settings of its own.
    pub(crate) fn with(kind: LauncherKind, set: impl FnOnce(&mut ProcessConfig)) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut config = ProcessConfig::new(directory.path().join("work")).unwrap();
        config.launcher = vec![LAUNCHER.into()];
        config.kind = kind;
        config.cgroups_root = "meseta-test".into();
        set(&mut config);
        match ProcessContainerizer::new(config) {
            Ok((containerizer, events)) => Some(Self { directory, containerizer, events }),
            Err(error) => {
                eprintln!("SKIPPED for {kind:?}: {error}");
                None
            }
        }
    }

    pub(crate) async fn event(&mut self) -> ContainerEvent {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            match event.expect("an event comes").expect("the containerizer lives") {
                ContainerEvent::Piped { .. } => {}
                event => return event,
            }
        }
    }

    pub(crate) async fn launched(&mut self) -> Result<u32, String> {
        match self.event().await {
            ContainerEvent::Launched { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn exited(&mut self) -> i32 {
        match self.event().await {
            ContainerEvent::Exited { end, .. } => {
                let status = end.status.expect("it was waited for");
                assert_eq!(end, ContainerEnd::with_status(status));
                status
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn sandbox(&self, id: &str) -> PathBuf {
        self.directory.path().join("work/executors/e/runs").join(id)
    }

    /// A pipe with a name: a script says there that it is ready.
    pub(crate) fn ready_pipe(&self) -> PathBuf {
        let path = self.directory.path().join("ready");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }
}

pub(crate) async fn wait_ready(path: &Path) {
    let path = path.to_path_buf();
    let read = tokio::task::spawn_blocking(move || fs::read_to_string(path));
    let text = tokio::time::timeout(PATIENCE, read).await.expect("the script is ready").unwrap().unwrap();
    assert_eq!(text, "ready\n");
}

pub(crate) fn spec(id: &str, command: CommandInfo) -> ContainerSpec {
    ContainerSpec {
        container_id: ContainerId::from(id),
        framework_id: "F".into(),
        environment: vec![("MESOS_CONTAINER_ID".into(), id.into()), ("COLOUR".into(), "red".into())],
        executor: ExecutorInfo::new("e", command),
        command_executor: false,
        sandbox: PathBuf::from("executors/e/runs").join(id),
        user: None,
        resources: Resources::new(),
        container: None,
    }
}

/// Containers of other test runs on this machine must not be meant.
pub(crate) fn unique(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    format!("{name}-{}", directory.path().file_name().unwrap().to_string_lossy().trim_start_matches('.'))
}

pub(crate) fn marked_processes(id: &str) -> Vec<String> {
    let mark = format!("MESOS_CONTAINER_ID={id}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()) {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!("{:?}: {}", entry.file_name(), line.replace('\0', " ")));
        }
    }
    found
}

fn both() -> impl Iterator<Item = World> {
    [LauncherKind::Cgroup, LauncherKind::Posix].into_iter().filter_map(World::new)
}

#[tokio::test]
async fn an_executor_runs_in_its_sandbox() {
    for mut world in both() {
        let id = unique("plain");
        let script = "pwd; echo $COLOUR $MESOS_SANDBOX $HOME; echo to stderr >&2; read x || exit 3";
        world.containerizer.launch(spec(&id, CommandInfo::shell(script)));
        assert!(world.launched().await.is_ok());
        assert_eq!(world.exited().await, 3);
        let sandbox = world.sandbox(&id);
        let place = sandbox.display();
        let stdout = fs::read_to_string(sandbox.join("stdout")).unwrap();
        assert_eq!(stdout, format!("{place}\nred {place}\n"));
        assert_eq!(fs::read_to_string(sandbox.join("stderr")).unwrap(), "to stderr\n");
        assert_eq!(fs::read_link(world.sandbox("latest")).unwrap(), Path::new(&id));
    }
}

#[tokio::test]
async fn argv_is_not_seen_by_a_shell() {
    for mut world in both() {
        let id = unique("argv");
        world.containerizer.launch(spec(&id, CommandInfo::argv("echo", ["echo", "$COLOUR", "a b"])));
        assert!(world.launched().await.is_ok());
        assert_eq!(world.exited().await, 0);
        assert_eq!(fs::read_to_string(world.sandbox(&id).join("stdout")).unwrap(), "$COLOUR a b\n");
    }
}

/// As its framework finds it on the agent: by its absolute path, or in the sandbox.
#[tokio::test]
async fn an_executor_may_be_a_script() {
    let found =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let Ok(python) = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()) else {
        eprintln!("SKIPPED: no python3 here");
        return;
    };
    let script = "import os, sys\nprint(os.environ['COLOUR'], os.getcwd() == os.environ['MESOS_SANDBOX'])\n\
                  print('complaint', file=sys.stderr)\nsys.exit(7)\n";
    for mut world in both() {
        let absolute = world.directory.path().join("executor.py");
        fs::write(&absolute, script).unwrap();
        let absolute = absolute.to_string_lossy().into_owned();
        for (name, command) in [
            ("shell", CommandInfo::shell(format!("exec {python} {absolute}"))),
            ("argv", CommandInfo::argv(python.clone(), ["python3".to_owned(), absolute])),
            ("own", CommandInfo::shell("exec ./executor.py")),
        ] {
            let id = unique(name);
            let sandbox = world.sandbox(&id);
            fs::create_dir_all(&sandbox).unwrap();
            let own = sandbox.join("executor.py");
            fs::write(&own, format!("#!{python}\n{script}")).unwrap();
            fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
            world.containerizer.launch(spec(&id, command));
            assert!(world.launched().await.is_ok());
            assert_eq!(world.exited().await, 7, "{name}");
            assert_eq!(fs::read_to_string(sandbox.join("stdout")).unwrap(), "red True\n", "{name}");
            assert_eq!(fs::read_to_string(sandbox.join("stderr")).unwrap(), "complaint\n", "{name}");
        }
    }
}

#[tokio::test]
async fn the_command_executor_goes_on_in_the_launcher() {
    for mut world in both() {
        let id = unique("command");
        world
            .containerizer
            .launch(ContainerSpec { command_executor: true, ..spec(&id, CommandInfo::shell("never")) });
        assert!(world.launched().await.is_ok());
        assert_eq!(world.exited().await, 2);
        let stderr = fs::read_to_string(world.sandbox(&id).join("stderr")).unwrap();
        assert!(stderr.contains("no command executor"), "{stderr}");
    }
}

#[tokio::test]
async fn what_a_container_uses_is_known_while_it_runs() {
    for mut world in both() {
        let id = unique("usage");
        let ready = world.ready_pipe();
        // Some work, three processes.
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1000 & sleep 1000 & \
                      echo ready > $READY; wait";
        let mut spec = spec(&id, CommandInfo::shell(script));
        spec.environment.push(("READY".into(), ready.display().to_string()));
        world.containerizer.launch(spec);
        let main = world.launched().await.unwrap();
        wait_ready(&ready).await;
        let meter = world.containerizer.meter().unwrap();
        let container_id = ContainerId::from(id.as_str());
        let nobody = (ContainerId::from("nobody"), i32::MAX as u32);
        let usage = meter.read(&[(container_id.clone(), main), nobody.clone()]);
        let [one] = usage.values().collect::<Vec<_>>()[..] else { panic!("{usage:?}") };
        assert_eq!((one.processes, one.threads), (3, 3), "{one:?}");
        assert!(one.cpus_user + one.cpus_system > Duration::ZERO, "{one:?}");
        assert!(one.mem_rss_bytes > 100_000, "{one:?}");
        world.containerizer.destroy(&container_id);
        assert_eq!(world.exited().await, 137);
        assert!(meter.read(&[(container_id, main), nobody]).is_empty());
    }
}

/// Forks twice, leaves the session, ignores TERM: the usual way to escape.
const DAEMON: &str = "setsid sh -c 'trap \"\" TERM HUP; (setsid sleep 1000 &); (sleep 1000 &); echo ready > $READY; \
                      while :; do sleep 1000; done' & ";

#[tokio::test]
async fn destroy_leaves_no_orphan() {
    for mut world in both() {
        let id = unique("destroy");
        let ready = world.ready_pipe();
        let script = format!("trap '' TERM; ({DAEMON}) & while :; do sleep 1000; done");
        let command = CommandInfo::shell(script);
        let mut spec = spec(&id, command);
        spec.environment.push(("READY".into(), ready.display().to_string()));
        world.containerizer.launch(spec);
        assert!(world.launched().await.is_ok());
        wait_ready(&ready).await;
        // The last process of the first one may not have begun yet.
        assert!(marked_processes(&id).len() >= 4, "{:?}", marked_processes(&id));
        world.containerizer.destroy(&id.as_str().into());
        assert_eq!(world.exited().await, 128 + 9);
        assert_eq!(marked_processes(&id), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_an_executor_leaves_behind_ends_with_it() {
    for mut world in both() {
        let id = unique("leave");
        let ready = world.ready_pipe();
        let mut spec = spec(&id, CommandInfo::shell(format!("({DAEMON}) & read x < $READY; exit 5")));
        spec.environment.push(("READY".into(), ready.display().to_string()));
        world.containerizer.launch(spec);
        assert!(world.launched().await.is_ok());
        assert_eq!(world.exited().await, 5);
        assert_eq!(marked_processes(&id), Vec::<String>::new());
    }
}

#[tokio::test]
async fn many_at_once_all_end() {
    for mut world in both() {
        let ids: Vec<String> = (0..40).map(|number| unique(&format!("many{number}"))).collect();
        for id in &ids {
            world.containerizer.launch(spec(id, CommandInfo::shell("(setsid sleep 1000 &); exit 0")));
        }
        for id in ids.iter().step_by(2) {
            world.containerizer.destroy(&id.as_str().into());
        }
        let (mut failed, mut started, mut exited) = (0, 0, 0);
        while failed + exited < ids.len() {
            match world.event().await {
                ContainerEvent::Launched { result: Ok(_), .. } => started += 1,
                ContainerEvent::Launched { result: Err(message), .. } => {
                    assert_eq!(message, "killed while it was being launched");
                    failed += 1;
                }
                ContainerEvent::Exited { .. } => exited += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(started, exited);
        for id in &ids {
            assert_eq!(marked_processes(id), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn what_can_not_start_says_why() {
    for mut world in both() {
        let argv = CommandInfo::argv("/no/such/program", Vec::<String>::new());
        world.containerizer.launch(spec(&unique("program"), argv));
        let message = world.launched().await.unwrap_err();
        assert!(message.contains("can't run '/no/such/program': No such file"), "{message}");

        let mut nobody = spec(&unique("user"), CommandInfo::shell("true"));
        nobody.user = Some("no-such-user".into());
        world.containerizer.launch(nobody);
        assert_eq!(world.launched().await.unwrap_err(), "there is no user 'no-such-user' on this agent");

        let mut outside = spec(&unique("path"), CommandInfo::shell("true"));
        outside.sandbox = "../outside".into();
        world.containerizer.launch(outside);
        assert!(world.launched().await.unwrap_err().contains("not a path below"));

        let work = world.directory.path().join("work");
        fs::write(work.join("frameworks"), "").unwrap();
        let mut blocked = spec(&unique("blocked"), CommandInfo::shell("true"));
        blocked.sandbox = "frameworks/f/e".into();
        world.containerizer.launch(blocked);
        assert!(world.launched().await.unwrap_err().starts_with("can't make the sandbox"));
    }
}

#[tokio::test]
async fn a_missing_launcher_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = ProcessConfig::new(directory.path()).unwrap();
    config.launcher = vec!["/no/such/launcher".into()];
    config.kind = LauncherKind::Posix;
    let (mut containerizer, mut events) = ProcessContainerizer::new(config).unwrap();
    containerizer.launch(spec(&unique("launcher"), CommandInfo::shell("true")));
    let Some(ContainerEvent::Launched { result: Err(message), .. }) = events.recv().await else { panic!() };
    assert!(message.starts_with("can't start the launcher '/no/such/launcher'"), "{message}");
}

#[tokio::test]
async fn root_runs_a_task_as_its_user() {
    let id = std::process::Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    for mut world in both() {
        let id = unique("switch");
        let mut spec = spec(&id, CommandInfo::shell("id -un; touch mine; stat -c %U mine stdout ."));
        spec.user = Some("nobody".into());
        world.containerizer.launch(spec);
        assert_eq!(world.launched().await.map(|_| ()), Ok(()));
        assert_eq!(world.exited().await, 0);
        let stdout = fs::read_to_string(world.sandbox(&id).join("stdout")).unwrap();
        assert_eq!(stdout, "nobody\nnobody\nnobody\nnobody\n");
    }
}

/// The runtime of the first life ends like a killed agent: nobody ends its containers.
#[test]
fn what_a_killed_agent_has_left_is_ended_by_its_next_life() {
    for kind in [LauncherKind::Cgroup, LauncherKind::Posix] {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (id, other_id) = (unique("left"), unique("other"));
        let first = runtime();
        let (Some(mut world), Some(mut other)) =
            first.block_on(async { (World::new(kind), World::new(kind)) })
        else {
            continue;
        };
        let script = "trap '' TERM; (setsid sleep 1000 &); echo ready > \"$READY\"; sleep 1000";
        first.block_on(async {
            for (world, id) in [(&mut world, &id), (&mut other, &other_id)] {
                let ready = world.ready_pipe();
                let mut spec = spec(id, CommandInfo::shell(script));
                spec.environment.push(("READY".into(), ready.to_string_lossy().into_owned()));
                world.containerizer.launch(spec);
                assert!(world.launched().await.is_ok());
                wait_ready(&ready).await;
            }
        });
        drop(first);
        assert!(!marked_processes(&id).is_empty());
        let second = runtime();
        second.block_on(async {
            let mut config = ProcessConfig::new(world.directory.path().join("work")).unwrap();
            config.launcher = vec![LAUNCHER.into()];
            config.kind = kind;
            config.cgroups_root = "meseta-test".into();
            let (mut containerizer, mut events) = ProcessContainerizer::new(config).unwrap();
            containerizer.recover(Vec::new(), false);
            let found = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap();
            assert!(matches!(found, Some(ContainerEvent::Recovered { containers }) if containers.is_empty()));
            wait_until_nothing_is_left(&id).await;
        });
        assert!(!marked_processes(&other_id).is_empty(), "those of another agent are not touched");
        second.block_on(async {
            let mut config = ProcessConfig::new(other.directory.path().join("work")).unwrap();
            (config.kind, config.cgroups_root) = (kind, "meseta-test".into());
            let (mut containerizer, mut events) = ProcessContainerizer::new(config).unwrap();
            containerizer.recover(Vec::new(), false);
            let found = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap();
            assert!(matches!(found, Some(ContainerEvent::Recovered { containers }) if containers.is_empty()));
            wait_until_nothing_is_left(&other_id).await;
        });
    }
}

/// No process, and no cgroup where there are some. Their end is the kernel's to finish.
async fn wait_until_nothing_is_left(id: &str) {
    let root = Path::new("/sys/fs/cgroup/unified/meseta-test");
    let of_agents = || fs::read_dir(root).into_iter().flatten().flatten();
    let gone = async {
        while !marked_processes(id).is_empty() || of_agents().any(|agent| agent.path().join(id).exists()) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, gone).await;
    assert!(waited.is_ok(), "{:?}", marked_processes(id));
}
