//! Containers that are held to their share by cgroups, whichever version this machine has.

mod block_devices;
mod pure_v2;
mod swap;
mod world;

use std::path::Path;
use std::time::Duration;

use agent::containerizer::isolation::DeviceRule;
use agent::containerizer::isolation::cgroups::CgroupSettings;
use agent::containerizer::{Containerizer, Usage};
use agent::core::{ContainerEnd, Found};
use protocol::Reason;

use world::World;

const MB: u64 = 1 << 20;
/// One that has nothing to do.
const IDLE: &str = "echo ready; exec sleep 1000";
const BURN: &str = "while :; do :; done";

fn settings() -> CgroupSettings {
    CgroupSettings::default()
}

#[tokio::test]
async fn limits_are_there_and_change() {
    let cfs = CgroupSettings { enable_cfs: true, pids_limit: Some(77), ..settings() };
    let Some(mut world) = World::new("cgroups/cpu,cgroups/mem,cgroups/pids", cfs) else { return };
    let container = world.start("limits", "cpus:0.5;mem:64", IDLE).await;
    let usage = world.usage(&container);
    assert_eq!(usage.cpus_limit, Some(0.5));
    assert_eq!((usage.mem_limit_bytes, usage.mem_soft_limit_bytes), (Some(64 * MB), Some(64 * MB)));
    let pids = usage.pids.unwrap();
    assert_eq!((pids.limit, pids.refused), (Some(77), 0));
    assert!(pids.current >= 1 && usage.mem_total_bytes.unwrap() > 0, "{usage:?}");
    world.containerizer.update(&container.0, &"cpus:1.5;mem:96".parse().unwrap());
    let limits = |usage: &Usage| (usage.cpus_limit, usage.mem_limit_bytes, usage.mem_soft_limit_bytes);
    let more = (Some(1.5), Some(96 * MB), Some(96 * MB));
    world.until(&container, |usage| limits(usage) == more).await;
    // Less than the least is the least.
    world.containerizer.update(&container.0, &"cpus:0.001;mem:1".parse().unwrap());
    let least = (Some(0.01), Some(32 * MB), Some(32 * MB));
    world.until(&container, |usage| limits(usage) == least).await;
    world.destroy(&container.0).await;
    world.end();
}

#[tokio::test]
async fn a_limit_never_goes_below_what_is_used() {
    let Some(mut world) = World::new("cgroups/mem", settings()) else { return };
    // What a program keeps of a line that does not end can't be reclaimed.
    let script = "exec 3>&1; (head -c 52000000 /dev/zero; echo ready >&3; exec sleep 1000) | tail >/dev/null";
    let container = world.start("shrink", "mem:256", script).await;
    world.says(&container.0, "ready").await;
    world.containerizer.update(&container.0, &"mem:32".parse().unwrap());
    let usage = world.until(&container, |usage| usage.mem_soft_limit_bytes == Some(32 * MB)).await;
    assert!(usage.mem_limit_bytes.unwrap() > 50_000_000, "{usage:?}");
    let end = world.destroy(&container.0).await;
    assert_eq!(end.limitation, None);
    world.end();
}

#[tokio::test]
async fn burners_share_a_cpu_by_what_they_asked_for() {
    let one_cpu = CgroupSettings { cpus: Some("0".to_owned()), ..settings() };
    // A machine with one CPU has no need of a set, and may not have the controller.
    let single = std::thread::available_parallelism().unwrap().get() == 1;
    let isolation = if single { "cgroups/cpu" } else { "cgroups/cpu,cgroups/cpuset" };
    let Some(mut world) = World::new(isolation, one_cpu) else { return };
    let small = world.start("small", "cpus:0.5;mem:32", BURN).await;
    let large = world.start("large", "cpus:2;mem:32", BURN).await;
    let time = |usage: Usage| (usage.cpus_user + usage.cpus_system).as_secs_f64();
    let mut ratio = 0.0;
    // A machine that is not left to run itself may cut one look short.
    for _ in 0..3 {
        let before = (time(world.usage(&small)), time(world.usage(&large)));
        let enough = before.1 + 1.5;
        let after = time(world.until(&large, |usage| time(usage.clone()) >= enough).await);
        let (small_time, large_time) = (time(world.usage(&small)) - before.0, after - before.1);
        ratio = large_time / small_time;
        println!(
            "a CPU is shared {small_time:.2} s to {large_time:.2} s: 1 to {ratio:.2}, asked for was 1 to 4"
        );
        if (2.8..5.6).contains(&ratio) {
            break;
        }
    }
    assert!((2.8..5.6).contains(&ratio), "{ratio}");
    for container in [&small, &large] {
        world.destroy(&container.0).await;
    }
    world.end();
}

#[tokio::test]
async fn a_quota_holds_though_nobody_else_wants_the_cpu() {
    let cfs = CgroupSettings { enable_cfs: true, ..settings() };
    let Some(mut world) = World::new("cgroups/cpu", cfs) else { return };
    let container = world.start("quota", "cpus:0.2;mem:32", BURN).await;
    let usage = world
        .until(&container, |usage| usage.cpu_throttling.is_some_and(|throttling| throttling.throttled >= 8))
        .await;
    let throttling = usage.cpu_throttling.unwrap();
    let used = (usage.cpus_user + usage.cpus_system).as_secs_f64();
    // A period is a tenth of a second; what was begun within one more may be used already.
    let allowed = (throttling.periods + 2) as f64 * 0.1 * 0.2;
    println!("{used:.2} s of CPU in {} periods, {} of them cut", throttling.periods, throttling.throttled);
    assert!(used <= allowed * 1.5 + 0.1 && throttling.time > Duration::ZERO, "{used} {allowed} {usage:?}");
    world.destroy(&container.0).await;
    world.end();
}

fn is_memory(end: &ContainerEnd) -> String {
    let limitation = end.limitation.clone().unwrap_or_else(|| panic!("{end:?}"));
    assert_eq!(limitation.reason, Reason::ContainerLimitationMemory);
    assert!(limitation.message.contains("Memory limit exceeded: requested: 64 MB"), "{limitation:?}");
    assert_eq!(limitation.resources.mem(), protocol::resources::Scalar::from_units(64), "{limitation:?}");
    limitation.message
}

#[tokio::test]
async fn a_hog_is_killed_with_all_of_its_container_and_no_other() {
    let Some(mut world) = World::new("cgroups/mem", settings()) else { return };
    let neighbour = world.start("neighbour", "mem:64", IDLE).await;
    // The first process is not the one that is killed.
    let script = "sleep 1000 & tail /dev/zero; echo survived; sleep 1000";
    let hog = world.start("hog", "mem:64", script).await;
    let end = world.ended(&hog.0).await;
    println!("{}", is_memory(&end));
    // The first process itself.
    let hog = world.start("alone", "mem:64", "exec tail /dev/zero").await;
    let end = world.ended(&hog.0).await;
    is_memory(&end);
    assert_eq!(end.status, Some(137));
    assert!(world.usage(&neighbour).processes == 1);
    world.destroy(&neighbour.0).await;
    world.end();
}

#[tokio::test]
async fn a_fork_bomb_is_refused_and_its_neighbour_is_not() {
    let few = CgroupSettings { pids_limit: Some(40), ..settings() };
    let Some(mut world) = World::new("cgroups/pids", few) else { return };
    let script = "(while :; do sleep 1000 & done) 2>/dev/null; echo refused; exec sleep 1000";
    let bomb = world.start("bomb", "mem:64", script).await;
    world.says(&bomb.0, "refused").await;
    let pids = world.usage(&bomb).pids.unwrap();
    assert!(pids.refused >= 1 && pids.current <= 40 && pids.current >= 38, "{pids:?}");
    let neighbour =
        world.start("neighbour", "mem:64", "for i in 1 2 3 4 5; do /bin/true; done; echo ready").await;
    assert_eq!(world.ended(&neighbour.0).await, ContainerEnd::with_status(0));
    world.destroy(&bomb.0).await;
    world.end();
}

/// A device that no driver of this machine has: who may open it is told that there is none.
const NOBODYS: DeviceRule = DeviceRule { block: false, major: 195, minor: Some(7) };

#[tokio::test]
async fn device_files_are_closed_but_for_those_that_are_allowed() {
    let allowed = CgroupSettings { allowed_devices: vec![NOBODYS], ..settings() };
    for (settings, said) in [(settings(), "Operation not permitted"), (allowed, "No such device or address")]
    {
        let Some(mut world) = World::new("cgroups/devices", settings) else { return };
        let script = "head -c 1 /dev/zero >/dev/null && echo zero; while [ ! -e go ]; do sleep 0.1; done; cat node 2>&1; mknod other c 195 9 && echo made; exit 0";
        let (id, _) = world.start("devices", "mem:64", script).await;
        let node = world.sandbox(&id).join("node");
        let made = std::process::Command::new("mknod").arg(&node).args(["c", "195", "7"]).status().unwrap();
        assert!(made.success());
        std::fs::write(world.sandbox(&id).join("go"), "").unwrap();
        assert_eq!(world.ended(&id).await, ContainerEnd::with_status(0));
        let stdout = world.stdout(&id);
        assert!(
            stdout.starts_with("zero\n") && stdout.contains(said) && !stdout.contains("made"),
            "{stdout}"
        );
        world.end();
    }
}

#[tokio::test]
async fn a_container_that_has_ended_leaves_no_file_open() {
    let Some(mut world) = World::new("cgroups/cpu,cgroups/mem,cgroups/pids", settings()) else { return };
    for number in 0..5 {
        let container = world.start(&format!("files-{number}"), "cpus:0.1;mem:32", IDLE).await;
        // Who is asked about pressure opens files for it.
        world.usage(&container);
        assert!(!world.open().is_empty(), "its end is waited for");
        world.destroy(&container.0).await;
    }
    let closing = async {
        while !world.open().iter().all(|path| path.is_dir()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), closing).await.is_err() {
        panic!("still open: {:?}", world.open());
    }
    world.end();
}

#[tokio::test]
async fn whole_cpus_are_pinned_and_the_others_share_the_rest() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        eprintln!("SKIPPED: there is one CPU: none can be given away");
        return;
    }
    let pin = CgroupSettings { pin: true, cpus: Some("0-1".to_owned()), ..settings() };
    let Some(mut world) = World::new("cgroups/cpuset", pin) else { return };
    let allowed = |pid: u32| {
        let status =
            std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned()
    };
    let shared = world.start("shared", "cpus:0.5;mem:32", IDLE).await;
    assert_eq!(allowed(shared.1), "0-1");
    let own = world.start("own", "cpus:1;mem:32", IDLE).await;
    assert_eq!((allowed(own.1), allowed(shared.1)), ("0".to_owned(), "1".to_owned()));
    // The last one is not given away.
    let second = world.start("second", "cpus:1;mem:32", IDLE).await;
    assert_eq!(allowed(second.1), "1");
    world.destroy(&own.0).await;
    assert_eq!(allowed(shared.1), "0-1");
    for container in [&shared, &second] {
        world.destroy(&container.0).await;
    }
    world.end();
}

#[test]
fn an_agent_that_comes_back_holds_its_containers_again() {
    const ALL: &str = "cgroups/cpu,cgroups/mem,cgroups/pids";
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let begun = first.block_on(async {
        let mut world = World::new(ALL, settings())?;
        let waits = "echo ready; while [ ! -e go ]; do sleep 0.1; done; tail /dev/zero; sleep 1000";
        let later = world.start("later", "cpus:1;mem:64", waits).await;
        let away = world.start("away", "cpus:1;mem:64", &waits.replace("; sleep 1000", "")).await;
        let idle = world.start("idle", "cpus:1;mem:64", IDLE).await;
        for container in [&later, &away, &idle] {
            world.says(&container.0, "ready").await;
        }
        let go = world.sandbox(&away.0).join("go");
        Some((world.away(), later, away, idle, go))
    });
    // All that the agent was doing ends here.
    drop(first);
    let Some((directory, later, away, idle, go)) = begun else { return };
    std::fs::write(go, "").unwrap();
    runtime().block_on(async {
        let looking = async {
            // Nobody has waited for it.
            while std::fs::read_to_string(format!("/proc/{}/stat", away.1))
                .is_ok_and(|stat| !stat.contains(") Z"))
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap();
        let changed = CgroupSettings { enable_cfs: true, pids_limit: Some(99), ..settings() };
        let named = vec![later.0.clone(), away.0.clone(), idle.0.clone()];
        let (mut world, found) = World::again(directory, ALL, changed, named).await;
        assert_eq!(found[&later.0], Found::Running(later.1));
        let Found::Ended(end) = &found[&away.0] else { panic!("{found:?}") };
        is_memory(end);
        // The flags of this life count.
        let usage = world.usage(&idle);
        assert_eq!((usage.cpus_limit, usage.pids.unwrap().limit), (Some(1.0), Some(99)));
        std::fs::write(world.sandbox(&later.0).join("go"), "").unwrap();
        let end = world.ended(&later.0).await;
        is_memory(&end);
        world.destroy(&idle.0).await;
        world.end();
    });
}
