//! Lives of an agent's containerizer in processes of their own: what one that is killed has left is found by the next.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use agent::containerizer::{
    ContainerEvent, Containerizer, LauncherKind, ProcessConfig, ProcessContainerizer,
};
use agent::core::{ContainerSpec, Found};
use protocol::{CommandInfo, ContainerId, ExecutorInfo, Resources};

/// Says that the test's process is a life: the work directory, the kind of launcher, isolators.
const LIFE: &str = "MESETA_TEST_LIFE";
/// Begins each line that a life says, among those of the test's frame.
const SAYS: &str = "life: ";
/// The cgroup below which all this happens.
const ROOT: &str = "meseta-test-lives";

/// Not a test: a life, where it is asked for. It does what the lines of its standard input say, and says what comes.
#[test]
#[allow(clippy::print_stdout, reason = "the other side reads it")]
fn a_life() {
    let Ok(asked) = std::env::var(LIFE) else { return };
    let parts: Vec<&str> = asked.split('|').collect();
    let [work_dir, kind, isolation] = parts[..] else { panic!("{asked}") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = ProcessConfig::new(work_dir).unwrap();
        config.launcher = vec![env!("CARGO_BIN_EXE_agent-launch").into()];
        config.kind = if kind == "posix" { LauncherKind::Posix } else { LauncherKind::Cgroup };
        config.cgroups_root = ROOT.into();
        config.isolation = isolation.into();
        let (mut containerizer, mut events) = ProcessContainerizer::new(config).unwrap();
        let (lines, mut asked) = tokio::sync::mpsc::channel::<String>(8);
        std::thread::spawn(move || {
            std::io::stdin().lines().map_while(Result::ok).all(|line| lines.blocking_send(line).is_ok())
        });
        loop {
            tokio::select! {
                line = asked.recv() => match line {
                    Some(line) => carry_out(&mut containerizer, &line),
                    None => return,
                },
                event = events.recv() => println!("\n{SAYS}{}", shown(event.unwrap())),
            }
        }
    });
}

fn carry_out(containerizer: &mut ProcessContainerizer, line: &str) {
    let mut words = line.splitn(3, ' ');
    match (words.next().unwrap(), words.next(), words.next()) {
        ("recover", named, _) => {
            let named = named.unwrap_or_default().split(',').filter(|id| !id.is_empty());
            containerizer.recover(named.map(ContainerId::from).collect(), false);
        }
        ("launch", Some(id), Some(script)) => containerizer.launch(ContainerSpec {
            container_id: id.into(),
            framework_id: "F".into(),
            environment: vec![("MESOS_CONTAINER_ID".into(), id.into())],
            executor: ExecutorInfo::new("e", CommandInfo::shell(script)),
            command_executor: false,
            sandbox: PathBuf::from("slaves/a/frameworks/F/executors/e/runs").join(id),
            user: None,
            resources: Resources::new(),
            container: None,
        }),
        ("destroy", Some(id), _) => containerizer.destroy(&id.into()),
        _ => panic!("{line}"),
    }
}

fn shown(event: ContainerEvent) -> String {
    match event {
        ContainerEvent::Piped { container_id, .. } => format!("piped {container_id}"),
        ContainerEvent::Launched { result, .. } => format!("launched {}", result.unwrap()),
        ContainerEvent::Exited { container_id, end } => {
            format!("exited {container_id} {:?} {:?} {:?}", end.status, end.message, end.limitation)
        }
        ContainerEvent::Recovered { containers } => {
            let one = |(id, found): (ContainerId, Found)| match found {
                Found::Running(pid) => format!(" {id} runs {pid}"),
                Found::Ended(end) => format!(" {id} ended {:?}", end.status),
            };
            format!("recovered{}", containers.into_iter().map(one).collect::<String>())
        }
        ContainerEvent::Resources { .. } => "resources".into(),
    }
}

struct Life {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Life {
    fn begin(place: &Place) -> Self {
        let asked = format!("{}|{}|{}", place.work_dir().display(), place.kind, place.isolation);
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lives::a_life", "--nocapture"])
            .env(LIFE, asked)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, output }
    }

    fn ask(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// What it says next. (A hang is ended by the frame of the tests.)
    fn said(&mut self) -> String {
        let own = self
            .output
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| Some(line.strip_prefix(SAYS)?.to_owned()));
        own.expect("it lives")
    }

    fn launch(&mut self, id: &str, script: &str) -> String {
        self.ask(&format!("launch {id} {script}"));
        let said = self.said();
        said.strip_prefix("launched ").unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    /// As `kill -9` does.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Where lives follow one another.
struct Place {
    directory: tempfile::TempDir,
    kind: &'static str,
    isolation: &'static str,
}

impl Place {
    fn new(kind: &'static str, isolation: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("work")).unwrap();
        Self { directory, kind, isolation }
    }

    fn work_dir(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    fn pipe(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// Of which containers something is kept.
    fn records(&self) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        for line in fs::read_to_string(self.work_dir().join("run/containers")).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let id = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            match (&line["container"], &line["gone"]) {
                (record, serde_json::Value::Null) => drop(kept.insert(id(&record["container_id"]))),
                (_, gone) => drop(kept.remove(&id(gone))),
            }
        }
        kept
    }

    /// No process, record, mount or cgroup of it is left.
    fn is_clean(&self) {
        let mark = self.work_dir().display().to_string();
        let processes: Vec<String> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| {
                let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                let text = String::from_utf8_lossy(&environment);
                text.split('\0').any(|one| one.starts_with(&format!("MESOS_SANDBOX={mark}")))
            })
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(processes, Vec::<String>::new());
        assert_eq!(self.records(), BTreeSet::new());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&mark), "{mounts}");
    }

    /// What is left of a container below the roots of all hierarchies.
    fn cgroups_of(&self, id: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            for agent in fs::read_dir(hierarchy.path().join(ROOT)).into_iter().flatten().flatten() {
                found.extend(Some(agent.path().join(id)).filter(|path| path.exists()));
            }
        }
        found
    }
}

fn unique(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    format!("{name}-{}", directory.path().file_name().unwrap().to_string_lossy().trim_start_matches('.'))
}

fn read_line(pipe: &Path) -> String {
    BufReader::new(fs::File::open(pipe).unwrap()).lines().next().unwrap().unwrap()
}

const KINDS: [(&str, &str); 4] = [
    ("linux", "posix/cpu,posix/mem"),
    ("posix", "posix/cpu,posix/mem"),
    ("linux", "auto"),
    ("linux", "auto,namespaces/pid,namespaces/ipc"),
];

/// The kinds that can work for whoever runs this.
fn places() -> impl Iterator<Item = Place> {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    KINDS.into_iter().filter_map(move |(kind, isolation)| {
        if !root && kind == "linux" {
            eprintln!("SKIPPED: {kind} {isolation}: only root can");
            return None;
        }
        Some(Place::new(kind, isolation))
    })
}

#[test]
fn a_container_outlives_its_agent_and_its_end_is_told_to_the_next_life() {
    for place in places() {
        let id = unique("outlives");
        let (ready, go) = (place.pipe("ready"), place.pipe("go"));
        let script = format!("echo ready > {}; read x < {}; echo $x; exit 7", ready.display(), go.display());
        let mut first = Life::begin(&place);
        first.ask("recover");
        assert_eq!(first.said(), "recovered");
        let pid = first.launch(&id, &script);
        assert_eq!(read_line(&ready), "ready");
        first.kill();
        let mut second = Life::begin(&place);
        second.ask(&format!("recover {id},never-there"));
        let said = second.said();
        let mut parts = [format!("{id} runs {pid}"), "never-there ended None".to_owned()];
        parts.sort();
        assert_eq!(
            said,
            format!("recovered {} {}", parts[0], parts[1]),
            "{} {}",
            place.kind,
            place.isolation
        );
        fs::write(&go, "on\n").unwrap();
        assert_eq!(
            second.said(),
            format!("exited {id} Some(7) None None"),
            "{} {}",
            place.kind,
            place.isolation
        );
        let sandbox = place.work_dir().join("slaves/a/frameworks/F/executors/e/runs").join(&id);
        assert_eq!(fs::read_to_string(sandbox.join("stdout")).unwrap(), "on\n");
        place.is_clean();
        assert_eq!(place.cgroups_of(&id), Vec::<PathBuf>::new());
        second.kill();
    }
}

#[test]
fn a_recovered_container_is_destroyed_with_all_that_it_has_started() {
    for place in places() {
        let id = unique("recovered");
        let ready = place.pipe("ready");
        let script = format!(
            "trap '' TERM; setsid sh -c '(setsid sleep 1000 &); echo ready > {}; sleep 1000' & while :; do sleep 1000; done",
            ready.display()
        );
        let mut first = Life::begin(&place);
        first.ask("recover");
        first.said();
        let pid = first.launch(&id, &script);
        assert_eq!(read_line(&ready), "ready");
        first.kill();
        let mut second = Life::begin(&place);
        second.ask(&format!("recover {id}"));
        assert_eq!(second.said(), format!("recovered {id} runs {pid}"));
        second.ask(&format!("destroy {id}"));
        assert_eq!(
            second.said(),
            format!("exited {id} Some(137) None None"),
            "{} {}",
            place.kind,
            place.isolation
        );
        place.is_clean();
        assert_eq!(place.cgroups_of(&id), Vec::<PathBuf>::new());
        second.kill();
    }
}

/// Each process starts its successor in a new session and ends at once. Whoever is told of their ends, it is not the agent.
#[test]
fn processes_that_run_away_from_containers_of_an_earlier_life_end_with_them() {
    // Memory is not limited: what has ended and is reaped late is charged too.
    for place in places().filter(|place| !place.isolation.contains("auto")) {
        let (kept, unnamed) = (unique("kept"), unique("unnamed"));
        let runner = place.directory.path().join("runner");
        fs::write(&runner, "#!/bin/sh\nsetsid $0 &\nexit 0\n").unwrap();
        fs::set_permissions(&runner, fs::Permissions::from_mode(0o755)).unwrap();
        let mut first = Life::begin(&place);
        first.ask("recover");
        first.said();
        let mut pids = Vec::new();
        for id in [&kept, &unnamed] {
            let ready = place.pipe(id);
            let script = format!(
                "for i in 1 2; do (setsid {} &); done; sleep 0.1; echo ready > {}; while :; do sleep 1000; done",
                runner.display(),
                ready.display()
            );
            pids.push(first.launch(id, &script));
            assert_eq!(read_line(&ready), "ready");
        }
        first.kill();
        let mut second = Life::begin(&place);
        second.ask(&format!("recover {kept}"));
        assert_eq!(second.said(), format!("recovered {kept} runs {}", pids[0]));
        second.ask(&format!("destroy {kept}"));
        let said = second.said();
        assert_eq!(said, format!("exited {kept} Some(137) None None"), "{} {}", place.kind, place.isolation);
        place.is_clean();
        second.kill();
    }
}

#[test]
fn what_ended_while_the_agent_was_away_is_told_and_what_nobody_names_is_ended() {
    for place in places() {
        let (gone, orphan) = (unique("gone"), unique("orphan"));
        let (ready, go) = (place.pipe("ready"), place.pipe("go"));
        let mut first = Life::begin(&place);
        first.ask("recover");
        first.said();
        let script = format!("(setsid sleep 1000 &); read x < {}; exit 3", go.display());
        let pid = first.launch(&gone, &script);
        first
            .launch(&orphan, &format!("(setsid sleep 1000 &); echo ready > {}; sleep 1000", ready.display()));
        assert_eq!(read_line(&ready), "ready");
        first.kill();
        fs::write(&go, "on\n").unwrap();
        wait_for_end(&pid);
        let mut second = Life::begin(&place);
        second.ask(&format!("recover {gone}"));
        assert_eq!(
            second.said(),
            format!("recovered {gone} ended None"),
            "{} {}",
            place.kind,
            place.isolation
        );
        place.is_clean();
        for id in [&gone, &orphan] {
            assert_eq!(place.cgroups_of(id), Vec::<PathBuf>::new());
        }
        second.kill();
    }
}

/// Nobody tells of the end of another's process but the kernel's files.
fn wait_for_end(pid: &str) {
    for _ in 0..3_000 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X'])) {
            return;
        }
        assert!(Command::new("sleep").arg("0.01").status().unwrap().success());
    }
    panic!("{pid} does not end");
}
