//! `--cgroups_limit_swap`: what is written to swap space counts as memory.

use std::path::PathBuf;
use std::process::Command;

use agent::containerizer::Containerizer;
use agent::containerizer::isolation::cgroups::CgroupSettings;
use agent::core::Found;
use protocol::{ContainerId, Reason};

use super::pure_v2;
use super::world::World;

const MB: u64 = 1 << 20;
/// What both versions are told: memory with swap space, and swap space alone.
const LIMITS: [&str; 2] = ["memory.memsw.limit_in_bytes", "memory.swap.max"];

fn settings(limit_swap: bool) -> CgroupSettings {
    CgroupSettings { limit_swap, ..CgroupSettings::default() }
}

/// Whether swap space counts within so many bytes of memory.
fn counts(held: &str, bytes: u64) -> bool {
    held == "0" || held == bytes.to_string()
}

fn has_no_limit(held: &str) -> bool {
    held == "max" || held.parse::<u64>().is_ok_and(|bytes| bytes > 1 << 60)
}

/// What an agent was told in an earlier life neither stays nor stands in the way of more memory.
#[test]
fn swap_counts_as_memory_as_long_as_that_is_wanted() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let begun = first.block_on(async {
        let mut world = World::new("cgroups/mem", settings(true))?;
        let container = world.start("swap", "mem:64", "echo ready; exec sleep 1000").await;
        world.says(&container.0, "ready").await;
        let held = world.held(&container.0, &LIMITS);
        assert!(counts(&held, 64 * MB), "{held}");
        for mem in [96, 80] {
            give(&mut world, &container, mem).await;
            let held = world.held(&container.0, &LIMITS);
            assert!(counts(&held, mem * MB), "{held}");
        }
        Some((world.away(), container))
    });
    drop(first);
    let Some((directory, container)) = begun else { return };
    let named = || vec![container.0.clone()];
    let second = runtime();
    let directory = second.block_on(async {
        let (mut world, found) = World::again(directory, "cgroups/mem", settings(false), named()).await;
        assert_eq!(found[&container.0], Found::Running(container.1));
        let held = world.held(&container.0, &LIMITS);
        assert!(has_no_limit(&held), "{held}");
        give(&mut world, &container, 128).await;
        world.away()
    });
    drop(second);
    runtime().block_on(async {
        let (mut world, _) = World::again(directory, "cgroups/mem", settings(true), named()).await;
        let held = world.held(&container.0, &LIMITS);
        assert!(counts(&held, 128 * MB), "{held}");
        world.destroy(&container.0).await;
        world.end();
    });
}

async fn give(world: &mut World, container: &(ContainerId, u32), mem: u64) {
    world.containerizer.update(&container.0, &format!("mem:{mem}").parse().unwrap());
    world.until(container, |usage| usage.mem_limit_bytes == Some(mem * MB)).await;
}

/// Swap space of the test's own, in memory; there until it is dropped.
struct Swap {
    device: PathBuf,
    _place: tempfile::TempDir,
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Swap {
    fn begin() -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("swap");
        // All of it is there from the beginning: what is written out of a container must not be charged to it again.
        std::fs::write(&file, vec![0; 64 << 20]).unwrap();
        let device = done(Command::new("losetup").args(["--find", "--show"]).arg(&file)).trim().to_owned();
        done(Command::new("mkswap").arg(&device));
        done(Command::new("swapon").arg(&device));
        Self { device: device.into(), _place: place }
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        for words in [["swapoff"].as_slice(), &["losetup", "--detach"]] {
            let _ = Command::new(words[0]).args(&words[1..]).arg(&self.device).status();
        }
    }
}

/// On a machine that others use, swap space would be theirs too.
#[tokio::test]
async fn nobody_flees_into_swap_space() {
    if !pure_v2::is_here() {
        println!("this one is run by a_kernel_with_the_second_version_alone");
        return;
    }
    let _swap = Swap::begin();
    // Holds more than its limit.
    let hog = "exec 3>&1; (head -c 76000000 /dev/zero; echo held >&3; exec sleep 1000) | tail >/dev/null";
    let mut world = World::new("cgroups/mem", settings(false)).unwrap();
    let container = world.start("flees", "mem:64", hog).await;
    world.says(&container.0, "held").await;
    let swapped = world.usage(&container).mem_swap_bytes.unwrap();
    assert!(swapped > 4 * MB, "{swapped}");
    world.destroy(&container.0).await;
    world.end();
    let mut world = World::new("cgroups/mem", settings(true)).unwrap();
    let container = world.start("stays", "mem:64", hog).await;
    let end = world.ended(&container.0).await;
    assert_eq!(end.limitation.map(|limitation| limitation.reason), Some(Reason::ContainerLimitationMemory));
    world.end();
}
