//! Isolators of namespaces, mounts, limits and privileges, each by what a real container sees.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use agent::containerizer::{Containerizer, LauncherKind, ProcessConfig};
use agent::core::ContainerSpec;
use protocol::wire::v1::linux_info::IpcMode;
use protocol::wire::v1::r_limit_info::{RLimit, r_limit::Type};
use protocol::wire::v1::volume::{self, Mode, source};
use protocol::wire::v1::{CapabilityInfo, ContainerInfo, LinuxInfo, RLimitInfo, Volume, capability_info};
use protocol::{Carried, CommandInfo};

use crate::containers::{World, marked_processes, spec, unique, wait_ready};

/// `None`, said aloud, where only root can.
fn world(isolation: &str) -> Option<World> {
    world_with(isolation, |_| {})
}

fn world_with(isolation: &str, set: impl FnOnce(&mut ProcessConfig)) -> Option<World> {
    World::with(LauncherKind::Cgroup, |config| {
        config.isolation = isolation.to_owned();
        set(config);
    })
}

fn asking(id: &str, script: &str, asked: &ContainerInfo) -> ContainerSpec {
    ContainerSpec { container: Carried::new(asked), ..spec(id, CommandInfo::shell(script)) }
}

fn linux(linux_info: LinuxInfo) -> ContainerInfo {
    ContainerInfo { linux_info: Some(linux_info), ..ContainerInfo::default() }
}

impl World {
    /// Runs a container to its end: its exit status, and its output.
    async fn run(&mut self, spec: ContainerSpec) -> (i32, String) {
        let sandbox = self.sandbox(spec.container_id.as_str());
        self.containerizer.launch(spec);
        assert_eq!(self.launched().await.map(drop), Ok(()));
        let status = self.exited().await;
        let [out, err] = ["stdout", "stderr"].map(|name| fs::read_to_string(sandbox.join(name)).unwrap());
        (status, format!("{out}{err}"))
    }

    async fn refused(&mut self, spec: ContainerSpec) -> String {
        self.containerizer.launch(spec);
        self.launched().await.expect_err("it is refused")
    }

    /// Nothing of its containers is mounted where this process can see it.
    fn has_no_mounts(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.directory.path().display().to_string();
        assert!(!mounts.contains(&own), "{mounts}");
    }
}

#[tokio::test]
async fn a_container_sees_its_own_processes_only() {
    let Some(mut world) = world("namespaces/pid") else { return };
    let id = unique("pid");
    // The executor is below the first process, which reaps.
    let script = "echo $$; (sh -c 'sleep 0.01' &); ls /proc | grep -c '^[0-9]'; kill -9 -1; exit 4";
    let (status, output) = world.run(asking(&id, script, &ContainerInfo::default())).await;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "2");
    assert!(lines[1].parse::<u32>().unwrap() <= 6, "{output}");
    assert_eq!(status, 4, "its parent is out of its reach");
    world.has_no_mounts();
    let shared = linux(LinuxInfo { share_pid_namespace: Some(true), ..LinuxInfo::default() });
    let (_, output) = world.run(asking(&unique("shared"), "echo $$", &shared)).await;
    assert!(output.trim().parse::<u32>().unwrap() > 2, "{output}");
}

#[tokio::test]
async fn a_container_that_kills_all_it_sees_meets_itself_only() {
    let Some(mut world) = world("namespaces/pid") else { return };
    let neighbour = unique("neighbour");
    let ready = world.ready_pipe();
    let script = format!("echo ready > {}; sleep 1000", ready.display());
    world.containerizer.launch(asking(&neighbour, &script, &ContainerInfo::default()));
    assert!(world.launched().await.is_ok());
    wait_ready(&ready).await;
    let (status, output) = world
        .run(asking(
            &unique("killer"),
            "trap '' TERM; kill -9 -1; for p in /proc/[0-9]*; do kill -9 ${p#/proc/}; done",
            &ContainerInfo::default(),
        ))
        .await;
    // Its own shell is the last that it meets; the first process ignores it.
    assert_eq!(status, 137, "{output}");
    assert!(!marked_processes(&neighbour).is_empty());
    world.containerizer.destroy(&neighbour.as_str().into());
    assert_eq!(world.exited().await, 137);
}

#[tokio::test]
async fn shared_memory_is_a_container_s_own() {
    let Some(mut world) = world("namespaces/ipc") else { return };
    let id = unique("shm");
    let beacon = format!("/dev/shm/{id}");
    fs::write(&beacon, "").unwrap();
    let script = format!(
        "ls -A /dev/shm | wc -l; stat -fc '%b %S' /dev/shm; touch /dev/shm/x{id}; stat -Lc %i /proc/self/ns/ipc"
    );
    let own = fs::read_link("/proc/self/ns/ipc").unwrap().display().to_string();
    let private =
        LinuxInfo { ipc_mode: Some(IpcMode::Private as i32), shm_size: Some(3), ..LinuxInfo::default() };
    let (status, output) = world.run(asking(&id, &script, &linux(private))).await;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((status, &lines[..2]), (0, &["0", "768 4096"][..]), "{output}");
    assert!(!own.contains(lines[2]), "{own} {output}");
    assert!(!Path::new(&format!("/dev/shm/x{id}")).exists());
    let shared = LinuxInfo { ipc_mode: Some(IpcMode::ShareParent as i32), ..LinuxInfo::default() };
    let script = format!("test -e {beacon} && stat -Lc %i /proc/self/ns/ipc");
    let (status, output) = world.run(asking(&unique("shared"), &script, &linux(shared))).await;
    assert!(status == 0 && own.contains(output.trim()), "{own} {output}");
    let odd =
        LinuxInfo { ipc_mode: Some(IpcMode::ShareParent as i32), shm_size: Some(3), ..LinuxInfo::default() };
    let why = world.refused(asking(&unique("odd"), "true", &linux(odd))).await;
    assert!(why.contains("'shm_size' is for a container with a /dev/shm of its own"), "{why}");
    fs::remove_file(&beacon).unwrap();
    world.has_no_mounts();
}

fn volume(container_path: &str, mode: Mode, source: volume::Source) -> Volume {
    Volume {
        container_path: container_path.to_owned(),
        mode: mode as i32,
        source: Some(source),
        ..Volume::default()
    }
}

fn host(path: &Path) -> volume::Source {
    let host_path = source::HostPath { path: path.display().to_string(), ..source::HostPath::default() };
    let kind = Some(source::Type::HostPath as i32);
    volume::Source { r#type: kind, host_path: Some(host_path), ..volume::Source::default() }
}

fn own(path: &str) -> volume::Source {
    let kind = Some(source::sandbox_path::Type::Self_ as i32);
    let sandbox_path = source::SandboxPath { path: path.to_owned(), r#type: kind };
    let kind = Some(source::Type::SandboxPath as i32);
    volume::Source { r#type: kind, sandbox_path: Some(sandbox_path), ..volume::Source::default() }
}

fn volumes(volumes: Vec<Volume>) -> ContainerInfo {
    ContainerInfo { volumes, ..ContainerInfo::default() }
}

#[tokio::test]
async fn volumes_are_where_they_are_asked_for_and_read_only_ones_refuse_writes() {
    let Some(mut world) = world("filesystem/linux") else { return };
    let id = unique("volumes");
    let data = world.directory.path().join("data");
    fs::create_dir_all(data.join("deep")).unwrap();
    fs::write(data.join("words"), "here\n").unwrap();
    let asked = volumes(vec![
        volume("ro", Mode::Ro, host(&data)),
        volume("a/rw", Mode::Rw, host(&data)),
        volume("words", Mode::Ro, host(&data.join("words"))),
        volume("/mnt", Mode::Rw, own("kept/here")),
    ]);
    let script = "cat ro/words words; touch ro/x ro/deep/x; echo more >> words; touch a/rw/y; touch /mnt/z; \
                  ls kept/here; grep -c $MESOS_SANDBOX /proc/self/mountinfo";
    let (status, output) = world.run(asking(&id, script, &asked)).await;
    assert_eq!(status, 0, "{output}");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(&lines[..4], ["here", "here", "z", "4"], "{output}");
    assert_eq!(output.matches("Read-only file system").count(), 3, "{output}");
    assert!(data.join("y").exists() && !data.join("x").exists() && !data.join("deep/x").exists());
    assert!(fs::read_dir("/mnt").unwrap().flatten().all(|entry| entry.file_name() != "z"));
    assert_eq!(fs::read_dir(world.sandbox(&id).join("ro")).unwrap().count(), 0, "it was mounted there only");
    world.has_no_mounts();
}

#[tokio::test]
async fn a_volume_of_the_sandbox_belongs_to_the_container_s_user() {
    let Some(mut world) = world("filesystem/linux") else { return };
    let id = unique("owner");
    let asked = volumes(vec![volume("/mnt", Mode::Rw, own("kept/here"))]);
    let spec = asking(&id, "id -un; touch /mnt/z && stat -c %U kept kept/here kept/here/z", &asked);
    let (status, output) = world.run(ContainerSpec { user: Some("nobody".into()), ..spec }).await;
    assert_eq!((status, output.as_str()), (0, "nobody\nnobody\nnobody\nnobody\n"));
}

#[tokio::test]
async fn volumes_that_lead_elsewhere_are_refused() {
    let Some(mut world) = world("filesystem/linux") else { return };
    let victim = world.directory.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let data = world.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    for (volume, why) in [
        (volume("../x", Mode::Rw, host(&data)), "without '..'"),
        (volume(".", Mode::Rw, host(&data)), "must name a place below"),
        (volume("/no/such/place", Mode::Rw, host(&data)), "must be there on the agent"),
        (volume("x", Mode::Rw, host(Path::new("/no/such/place"))), "No such file"),
        (volume("x", Mode::Rw, own("../../x")), "without '..'"),
        (volume("x", Mode::Rw, own("/etc")), "must be relative"),
        (volume("trap/x", Mode::Rw, host(&data)), "Not a directory"),
        (volume("trap", Mode::Rw, host(&data)), "Too many levels of symbolic links"),
        (volume("x", Mode::Rw, own("trap/x")), "Not a directory"),
    ] {
        let id = unique("escape");
        let sandbox = world.sandbox(&id);
        fs::create_dir_all(&sandbox).unwrap();
        symlink(&victim, sandbox.join("trap")).unwrap();
        let said = world.refused(asking(&id, "true", &volumes(vec![volume]))).await;
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    world.has_no_mounts();
}

#[tokio::test]
async fn what_a_sandbox_holds_does_not_lead_its_output_elsewhere() {
    let Some(mut world) = world("posix/cpu") else { return };
    let id = unique("output");
    let victim = world.directory.path().join("victim");
    fs::write(&victim, "").unwrap();
    fs::create_dir_all(world.sandbox(&id)).unwrap();
    symlink(&victim, world.sandbox(&id).join("stdout")).unwrap();
    let why = world.refused(spec(&id, CommandInfo::shell("echo harm"))).await;
    assert!(why.contains("Too many levels of symbolic links"), "{why}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "");
}

#[tokio::test]
async fn tmp_is_a_container_s_own() {
    let private = |config: &mut ProcessConfig| config.settings.filesystem.private_tmp = true;
    let Some(mut world) = world_with("filesystem/linux", private) else { return };
    let id = unique("tmp");
    let beacon = tempfile::NamedTempFile::new_in("/tmp").unwrap();
    let script = format!(
        "test ! -e {}; echo $?; touch /tmp/{id} /var/tmp/{id}; stat -c %a /tmp; pwd; test -e $MESOS_SANDBOX/stdout && echo here",
        beacon.path().display()
    );
    let (status, output) = world.run(asking(&id, &script, &ContainerInfo::default())).await;
    let sandbox = world.sandbox(&id);
    assert_eq!((status, output), (0, format!("0\n1777\n{}\nhere\n", sandbox.display())));
    assert!(!Path::new("/tmp").join(&id).exists() && !Path::new("/var/tmp").join(&id).exists());
    assert!(sandbox.join(".private/tmp").join(&id).exists());
    world.has_no_mounts();
}

fn limits(rlimits: Vec<RLimit>) -> ContainerInfo {
    ContainerInfo { rlimit_info: Some(RLimitInfo { rlimits }), ..ContainerInfo::default() }
}

fn limit(kind: Type, soft: Option<u64>, hard: Option<u64>) -> RLimit {
    RLimit { r#type: Some(kind as i32), soft, hard }
}

#[tokio::test]
async fn limits_of_processes_hold() {
    let Some(mut world) = world("auto") else { return };
    let asked = limits(vec![
        limit(Type::RlmtNofile, Some(50), Some(60)),
        limit(Type::RlmtFsize, Some(1024), Some(1024)),
        limit(Type::RlmtCore, Some(0), Some(0)),
    ]);
    let script = "ulimit -Sn; ulimit -Hn; ulimit -n 61 2>&1 | grep -c 'not permitted'; ulimit -c; \
                  head -c 4096 /dev/zero > big; stat -c %s big";
    let (status, output) = world.run(asking(&unique("limits"), script, &asked)).await;
    assert!(status == 0 && output.starts_with("50\n60\n1\n0\n1024\n"), "{status} {output}");
    for (asked, why) in [
        (limit(Type::RlmtNofile, Some(2), Some(1)), "'soft' is above 'hard'"),
        (limit(Type::RlmtNofile, Some(2), None), "either both"),
        (limit(Type::Unknown, None, None), "no such limit"),
    ] {
        let said = world.refused(asking(&unique("odd"), "true", &limits(vec![asked]))).await;
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_limit_that_the_agent_can_not_raise_is_an_error_that_says_so() {
    let Some(mut world) = world("posix/rlimits") else { return };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    if u64::from_str_radix(held.trim(), 16).unwrap() & (1 << 24) != 0 {
        eprintln!("SKIPPED: this agent may raise hard limits");
        return;
    }
    let spec = asking(&unique("raise"), "true", &limits(vec![limit(Type::RlmtMemlock, None, None)]));
    let why = world.refused(spec).await;
    assert!(why.contains("RLMT_MEMLOCK to infinity") && why.contains("may not raise a hard limit"), "{why}");
}

fn capabilities(all: &[capability_info::Capability]) -> Option<CapabilityInfo> {
    Some(CapabilityInfo { capabilities: all.iter().map(|one| *one as i32).collect() })
}

const CAPS: &str = "grep -E 'Cap(Eff|Prm|Bnd|Amb)' /proc/self/status | tr -d '\\t' | tr '\\n' ' '";

#[tokio::test]
async fn a_container_has_exactly_the_capabilities_that_it_asks_for() {
    use capability_info::Capability::{Chown, Kill, NetRaw};
    let Some(mut world) = world("linux/capabilities") else { return };
    let asked = LinuxInfo {
        effective_capabilities: capabilities(&[NetRaw]),
        bounding_capabilities: capabilities(&[NetRaw, Kill]),
        ..LinuxInfo::default()
    };
    // As root and as another user: the same.
    for user in [None, Some("nobody".to_owned())] {
        let spec = ContainerSpec { user, ..asking(&unique("caps"), CAPS, &linux(asked.clone())) };
        let (_, output) = world.run(spec).await;
        let [one, two] = ["0000000000002000", "0000000000002020"];
        assert_eq!(output.trim(), format!("CapPrm:{one} CapEff:{one} CapBnd:{two} CapAmb:{one}"));
    }
    let bound = LinuxInfo { bounding_capabilities: capabilities(&[Chown]), ..LinuxInfo::default() };
    let user = Some("nobody".to_owned());
    let spec = ContainerSpec { user, ..asking(&unique("bound"), CAPS, &linux(bound.clone())) };
    let (_, output) = world.run(spec).await;
    let [none, one] = ["0000000000000000", "0000000000000001"];
    assert_eq!(output.trim(), format!("CapPrm:{none} CapEff:{none} CapBnd:{one} CapAmb:{none}"));
    let (_, output) = world.run(asking(&unique("root"), CAPS, &linux(bound))).await;
    assert!(output.starts_with(&format!("CapPrm:{one} CapEff:{one} CapBnd:{one}")), "{output}");
    let beyond = LinuxInfo {
        effective_capabilities: capabilities(&[NetRaw]),
        bounding_capabilities: capabilities(&[Kill]),
        ..LinuxInfo::default()
    };
    let why = world.refused(asking(&unique("beyond"), "true", &linux(beyond))).await;
    assert!(why.contains("NET_RAW: it is beyond the bounding set"), "{why}");
}

#[tokio::test]
async fn the_operator_bounds_capabilities() {
    use capability_info::Capability::{Chown, NetRaw};
    let set = |config: &mut ProcessConfig| {
        config.settings.capabilities.bounding = Some("CHOWN,KILL".parse().unwrap());
        config.settings.capabilities.effective = Some("KILL".parse().unwrap());
    };
    let Some(mut world) = world_with("linux/capabilities", set) else { return };
    let (_, output) = world.run(asking(&unique("default"), CAPS, &ContainerInfo::default())).await;
    assert!(output.contains("CapEff:0000000000000020 CapBnd:0000000000000021"), "{output}");
    for (name, asked) in [
        ("CHOWN", LinuxInfo { effective_capabilities: capabilities(&[Chown]), ..LinuxInfo::default() }),
        ("", LinuxInfo { effective_capabilities: capabilities(&[NetRaw]), ..LinuxInfo::default() }),
    ] {
        let spec = asking(&unique("asks"), CAPS, &linux(asked));
        match name {
            "" => assert!(world.refused(spec).await.contains("NET_RAW: it is beyond the bounding set")),
            _ => assert!(world.run(spec).await.1.contains("CapEff:0000000000000001")),
        }
    }
}

#[tokio::test]
async fn no_program_brings_new_privileges() {
    for (isolation, gained) in [("posix/cpu", "0"), ("linux/nnp", "65534")] {
        let Some(mut world) = world(isolation) else { return };
        // A program of root's that runs as root whoever starts it.
        let path = world.directory.path().join("id");
        fs::copy("/usr/bin/id", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        let spec = spec(&unique("nnp"), CommandInfo::shell(format!("{} -u", path.display())));
        let (_, output) = world.run(ContainerSpec { user: Some("nobody".into()), ..spec }).await;
        assert_eq!(output.trim(), gained, "{isolation}");
    }
}

#[tokio::test]
async fn a_user_s_other_groups_come_with_it() {
    let Some(mut world) = world("auto") else { return };
    let groups = fs::read_to_string("/etc/group").unwrap();
    let member = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, user) = (fields.next()?, fields.nth(2)?.split(',').next()?);
        (!user.is_empty() && user != "root").then(|| (name.to_owned(), user.to_owned()))
    });
    let Some((group, user)) = member else {
        eprintln!("SKIPPED: no user of this machine is in a second group");
        return;
    };
    let spec = spec(&unique("groups"), CommandInfo::shell("id -Gn"));
    let (_, output) = world.run(ContainerSpec { user: Some(user), ..spec }).await;
    assert!(output.split_whitespace().any(|one| one == group), "{group}: {output}");
}

#[tokio::test]
async fn what_nobody_gives_is_refused() {
    let Some(mut world) = world("posix/cpu") else { return };
    let pids = LinuxInfo { share_pid_namespace: Some(false), ..LinuxInfo::default() };
    let memory = LinuxInfo { shm_size: Some(1), ..LinuxInfo::default() };
    let caps = LinuxInfo { effective_capabilities: capabilities(&[]), ..LinuxInfo::default() };
    for (asked, isolator) in [
        (volumes(vec![volume("x", Mode::Rw, own("y"))]), "filesystem/linux"),
        (limits(vec![limit(Type::RlmtCore, None, None)]), "posix/rlimits"),
        (linux(caps), "linux/capabilities"),
        (linux(pids), "namespaces/pid"),
        (linux(memory), "namespaces/ipc"),
    ] {
        let why = world.refused(asking(&unique("lacks"), "true", &asked)).await;
        assert!(why.contains(&format!("that needs '{isolator}' in the agent's --isolation")), "{why}");
    }
}
