//! The same tests on a kernel that has the second version alone, where such a kernel can be had: as a process of this machine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says to the tests that they run in that kernel.
const WITHIN: &str = "MESETA_PURE_V2";

/// Whether this is that kernel: what is done to it is done to no other.
pub(super) fn is_here() -> bool {
    std::env::var_os(WITHIN).is_some()
}

#[test]
fn a_kernel_with_the_second_version_alone() {
    if is_here() {
        let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
        assert!(
            ["cpu", "io", "memory", "pids"].iter().all(|name| controllers.contains(name)),
            "{controllers}"
        );
        return;
    }
    if Command::new("linux.uml").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no user-mode-linux on this machine (apt-get install user-mode-linux kmod)");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pure_v2.sh");
    let own = std::env::current_exe().unwrap();
    // That machine has one slow CPU: one test at a time, and none that needs two.
    let run = Command::new(script)
        .arg(own)
        .args(["cgroups::", "--test-threads=1", "--nocapture", "--skip=whole_cpus"])
        .env(WITHIN, "1")
        .output();
    let run = run.unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    println!("{said}");
    assert!(run.status.success(), "{}", run.status);
    let done = said.lines().find(|line| line.contains("test result: ok."));
    assert!(done.is_some_and(|line| !line.contains(" 0 passed")), "the tests have run");
}

/// CPU sets need more CPUs than user-mode-linux has.
#[test]
fn a_kernel_with_the_second_version_alone_and_two_cpus() {
    if is_here() {
        return;
    }
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let kernels = std::fs::read_dir("/boot").into_iter().flatten().flatten().map(|entry| entry.path());
    let is_kernel = |path: &PathBuf| path.to_string_lossy().contains("/vmlinuz-") && File::open(path).is_ok();
    let kernel = std::env::var_os("TWO_CPUS_KERNEL").is_some() || kernels.filter(is_kernel).count() > 0;
    if !cfg!(target_arch = "x86_64") || !there("qemu-system-x86_64") || !there("cpio") || !kernel {
        eprintln!(
            "SKIPPED: it needs qemu-system-x86_64, cpio, and a kernel in /boot (.ci/run says where from)"
        );
        return;
    }
    let run = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/two_cpus_v2.sh"))
        .arg(env!("CARGO_BIN_EXE_agent-launch"))
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args(["cgroups::whole_cpus", "cgroups::burners", "--test-threads=1", "--nocapture"])
        .env(WITHIN, "1")
        .output();
    let run = run.unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    println!("{said}");
    let begun = said.lines().find_map(|line| line.split_once("begun with: "));
    if !begun.is_some_and(|(_, controllers)| controllers.contains("cpuset")) {
        eprintln!("SKIPPED: the kernel in /boot does not run in qemu, or has no CPU sets");
        return;
    }
    assert!(run.status.success(), "{}", run.status);
    assert!(said.contains("test result: ok. 2 passed"), "the tests have run");
}
