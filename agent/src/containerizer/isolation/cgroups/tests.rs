//! Programs that decide about devices, on a machine whose other controllers are in the first version as well.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::testing::surroundings;
use super::super::{IsolationSettings, LaunchPlan};
use super::driver::{Driver, add, create, destroy};
use super::hierarchy::{Controller, Version};
use super::{DeviceRule, Group, bpf, v2};

/// Removed with its scope.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None`, said aloud, where there is none of the second version.
    fn make(name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let Some(mount) = mount.and_then(|line| line.split(' ').nth(1)) else {
            eprintln!("SKIPPED: no cgroup2 file system is mounted");
            return None;
        };
        let path = Path::new(mount).join(format!("meseta-test-{name}-{}", std::process::id()));
        match create(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                eprintln!("SKIPPED: {error}");
                None
            }
        }
    }

    /// What a script in it says, in both streams.
    fn run(&self, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("read go; exec 2>&1; {script}")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        add(&self.0, child.id()).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        destroy(&self.0).unwrap();
    }
}

#[test]
fn a_program_takes_the_place_of_the_one_before_it() {
    let Some(cgroup) = Cgroup::make("devices") else { return };
    let rule = |minor| DeviceRule { block: false, major: 1, minor: Some(minor) };
    let script = "for one in zero full random; do head -c 1 /dev/$one >/dev/null && echo $one; done";
    let [null, zero, full] = [rule(3), rule(5), rule(7)];
    v2::V2.set_devices(&cgroup.0, &[null, zero]).unwrap();
    let said = cgroup.run(script);
    assert!(said.starts_with("zero\n") && said.matches("Operation not permitted").count() == 2, "{said}");
    // What one allowed before and another one allows now is nothing that both must allow.
    v2::V2.set_devices(&cgroup.0, &[null, full]).unwrap();
    let said = cgroup.run(script);
    assert!(said.contains("full\n") && said.matches("Operation not permitted").count() == 2, "{said}");
    assert_eq!(bpf::attached(File::open(&cgroup.0).unwrap().as_fd()).unwrap().len(), 1);
}

#[test]
fn a_cgroup_is_removed_with_those_below_it() {
    let Some(cgroup) = Cgroup::make("below") else { return };
    create(&cgroup.0.join("one/two")).unwrap();
    destroy(&cgroup.0).unwrap();
    assert!(!cgroup.0.exists());
    // And once more.
    destroy(&cgroup.0).unwrap();
}

#[test]
fn an_id_that_leads_elsewhere_names_no_cgroup() {
    let place = tempfile::tempdir().unwrap();
    let (around, _breaches) = surroundings(place.path(), IsolationSettings::default());
    // Plain directories do for cgroups here.
    let group = Group::at(Controller::Devices, Version::V2, place.path(), &around).unwrap();
    let mut plan = LaunchPlan::default();
    for id in ["../x", "/x", "a/b", "..", ".", ""] {
        assert!(group.make(&id.into(), &mut plan).is_err(), "{id}");
    }
    assert_eq!(plan.cgroups, [] as [PathBuf; 0]);
    group.make(&"a".into(), &mut plan).unwrap();
    assert_eq!(plan.cgroups, [group.base.join("a")]);
    group.remove(&"a".into()).unwrap();
}
