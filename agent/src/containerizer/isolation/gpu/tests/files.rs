//! Device files, as the kernel gives and refuses them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::super::{Chosen, Container, LaunchPlan};
use super::super::GpuSettings;
use super::fake::Fake;
use super::machine::{remove_cgroups, spec, surroundings};

/// What a process in these cgroups is told when it opens each of these devices of the driver, by their minor numbers: a
/// device that it may use is not there on this machine.
fn opened(place: &Path, cgroups: &LaunchPlan, minors: &[u32]) -> Vec<&'static str> {
    let mut script = String::new();
    for directory in &cgroups.cgroups {
        script += &format!("echo $$ > {}/cgroup.procs || exit 9\n", directory.display());
    }
    for minor in minors {
        script += &format!("true < {}/nvidia{minor}\n", place.display());
    }
    let done = Command::new("sh").arg("-c").arg(script).env("LC_ALL", "C").output().unwrap();
    assert_ne!(done.status.code(), Some(9), "{done:?}");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let how = |line: &str| match line {
        line if line.contains("Operation not permitted") => "EPERM",
        line if line.contains("No such device or address") => "ENXIO",
        _ => panic!("{said}"),
    };
    said.lines().map(how).collect()
}

#[tokio::test]
async fn a_container_opens_its_own_gpus_alone() {
    let place = tempfile::tempdir().unwrap();
    for minor in [0, 1, 255] {
        let node = place.path().join(format!("nvidia{minor}"));
        let made = Command::new("mknod").arg(node).args(["c", "195", &minor.to_string()]).output().unwrap();
        if !made.status.success() {
            eprintln!("SKIPPED: device files can't be made here (needs root)");
            return;
        }
    }
    let Some(fake) = Fake::with_gpus(2) else { return };
    let mut gpu = GpuSettings::find(Some(&fake.library()), "").unwrap();
    (gpu.dev, gpu.proc) = (place.path().join("dev"), place.path().join("proc"));
    let (around, _broken, _offered) = surroundings(place.path(), gpu);
    fs::create_dir_all(&around.runtime_dir).unwrap();
    let chosen = match Chosen::from_names("cgroups/devices,gpu", &around) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            return;
        }
    };
    let plan = |name: &str, gpus: &str| {
        let spec = spec(name, gpus);
        chosen.prepare(&Container { spec: &spec, sandbox: place.path() }).unwrap().0
    };
    let [none, one, two] =
        [("none", "cpus:1"), ("one", "gpus:1"), ("two", "gpus:1")].map(|(name, gpus)| plan(name, gpus));
    let all = [0, 1, 255];
    assert_eq!(opened(place.path(), &none, &all), ["EPERM", "EPERM", "EPERM"]);
    assert_eq!(opened(place.path(), &one, &all), ["ENXIO", "EPERM", "ENXIO"]);
    assert_eq!(opened(place.path(), &two, &all), ["EPERM", "ENXIO", "ENXIO"]);
    // Its tasks change: what it owns moves to another container, which runs already.
    chosen.update(&"two".into(), &"cpus:1".parse().unwrap()).unwrap();
    assert_eq!(opened(place.path(), &two, &all), ["EPERM", "EPERM", "EPERM"]);
    chosen.update(&"none".into(), &"gpus:1".parse().unwrap()).unwrap();
    assert_eq!(opened(place.path(), &none, &all), ["EPERM", "ENXIO", "ENXIO"]);
    for name in ["none", "one", "two"] {
        assert_eq!(chosen.cleanup(&name.into()), [""; 0]);
    }
    remove_cgroups(&around);
}
