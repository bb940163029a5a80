//! Which hierarchy has which controller: version 1, version 2, or some here and some there.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What holds processes to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    /// Shares of CPUs and quotas.
    Cpu,
    /// Time on CPUs; version 2 counts it always.
    Cpuacct,
    /// Memory.
    Memory,
    /// Processes and threads.
    Pids,
    /// Device nodes; version 2 has programs instead.
    Devices,
    /// Block devices.
    Io,
    /// Which CPUs.
    Cpuset,
}

use Controller::{Cpu, Cpuacct, Cpuset, Devices, Io, Memory, Pids};

impl Controller {
    const ALL: [Self; 7] = [Cpu, Cpuacct, Memory, Pids, Devices, Io, Cpuset];

    /// Its name in a version.
    pub(crate) fn name(self, version: Version) -> &'static str {
        match (self, version) {
            (Cpu, _) => "cpu",
            (Cpuacct, _) => "cpuacct",
            (Memory, _) => "memory",
            (Pids, _) => "pids",
            (Devices, _) => "devices",
            (Io, Version::V1) => "blkio",
            (Io, Version::V2) => "io",
            (Cpuset, _) => "cpuset",
        }
    }

    /// Whether version 2 has it in every directory, without being asked.
    fn is_built_in(self) -> bool {
        matches!(self, Cpuacct | Devices)
    }
}

/// Of the interface of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// A hierarchy for each controller, or for a few.
    V1,
    /// One hierarchy for all.
    V2,
}

/// How a machine's controllers are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Not at all.
    None,
    /// All by version 1.
    V1,
    /// All by version 2.
    V2,
    /// By version 1, with version 2 beside it.
    Hybrid,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::None => "none",
            Layout::V1 => "version 1",
            Layout::V2 => "version 2",
            Layout::Hybrid => "version 1 with version 2 beside it",
        })
    }
}

/// Where a controller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) version: Version,
    pub(crate) mount: PathBuf,
}

/// The mounts of a machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hierarchies {
    v1: BTreeMap<Controller, PathBuf>,
    unified: Option<PathBuf>,
    /// What the unified one has.
    controllers: Vec<String>,
}

impl Hierarchies {
    /// Those that this process sees; among several mounts of version 2 the one that holds `tree`.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn find(tree: Option<&Path>) -> io::Result<Self> {
        let mut found = Self::parse(&fs::read_to_string("/proc/self/mountinfo")?, tree);
        if let Some(unified) = &found.unified {
            let text = fs::read_to_string(unified.join("cgroup.controllers"))?;
            found.controllers = text.split_whitespace().map(str::to_owned).collect();
        }
        Ok(found)
    }

    fn parse(mountinfo: &str, tree: Option<&Path>) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((mount, about)) = line.split_once(" - ") else { continue };
            let Some(mount) = mount.split(' ').nth(4).map(PathBuf::from) else { continue };
            let mut about = about.split(' ');
            match about.next() {
                Some("cgroup2") => {
                    let better = tree.is_some_and(|tree| tree.starts_with(&mount));
                    if found.unified.is_none() || better {
                        found.unified = Some(mount);
                    }
                }
                Some("cgroup") => {
                    for option in about.nth(1).unwrap_or_default().split(',') {
                        let named = |one: &&Controller| one.name(Version::V1) == option;
                        if let Some(controller) = Controller::ALL.iter().find(named) {
                            found.v1.entry(*controller).or_insert_with(|| mount.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// How they are mounted.
    pub(crate) fn layout(&self) -> Layout {
        match (self.v1.is_empty(), &self.unified) {
            (true, None) => Layout::None,
            (false, None) => Layout::V1,
            (true, Some(_)) => Layout::V2,
            (false, Some(_)) => Layout::Hybrid,
        }
    }

    /// Where a controller is, if anywhere.
    pub(crate) fn place(&self, controller: Controller) -> Option<Place> {
        if let Some(mount) = self.v1.get(&controller) {
            return Some(Place { version: Version::V1, mount: mount.clone() });
        }
        let mount = self.unified.clone()?;
        let name = controller.name(Version::V2);
        let has = controller.is_built_in() || self.controllers.iter().any(|one| one == name);
        has.then_some(Place { version: Version::V2, mount })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 20 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
34 30 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
35 30 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
36 30 0:31 / /other rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn a_hybrid_has_its_controllers_in_the_first_version() {
        let mut found = Hierarchies::parse(HYBRID, None);
        found.controllers = vec!["hugetlb".to_owned(), "pids".to_owned()];
        assert_eq!(found.layout(), Layout::Hybrid);
        let v1 =
            |name: &str| Some(Place { version: Version::V1, mount: Path::new("/sys/fs/cgroup").join(name) });
        assert_eq!(found.place(Cpu), v1("cpu,cpuacct"));
        assert_eq!(found.place(Cpuacct), v1("cpu,cpuacct"));
        assert_eq!(found.place(Memory), v1("memory"));
        assert_eq!(found.place(Io), v1("blkio"));
        // What the first version has not mounted the second one may have.
        let v2 = Some(Place { version: Version::V2, mount: "/sys/fs/cgroup/unified".into() });
        assert_eq!((found.place(Pids), found.place(Devices)), (v2.clone(), v2));
        assert_eq!(found.place(Cpuset), None);
    }

    #[test]
    fn the_mount_of_the_tree_is_taken() {
        let found = Hierarchies::parse(HYBRID, Some(Path::new("/other/meseta/1")));
        assert_eq!(found.unified.as_deref(), Some(Path::new("/other")));
    }

    #[test]
    fn pure_layouts() {
        let v2 = "35 30 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let mut found = Hierarchies::parse(v2, None);
        found.controllers = vec!["io".to_owned()];
        assert_eq!(found.layout(), Layout::V2);
        let place = Some(Place { version: Version::V2, mount: "/sys/fs/cgroup".into() });
        assert_eq!((found.place(Io), found.place(Cpu)), (place, None));
        let first: String =
            HYBRID.lines().filter(|line| !line.contains("cgroup2")).map(|line| format!("{line}\n")).collect();
        assert_eq!(Hierarchies::parse(&first, None).layout(), Layout::V1);
        assert_eq!(Hierarchies::parse("", None).layout(), Layout::None);
        assert_eq!(Hierarchies::parse("", None).place(Cpu), None);
    }

    #[test]
    fn this_machine_is_understood() {
        let found = Hierarchies::find(None).unwrap();
        if found.layout() == Layout::None {
            eprintln!("SKIPPED: no cgroups are mounted here");
            return;
        }
        for controller in Controller::ALL {
            if let Some(place) = found.place(controller) {
                assert!(place.mount.join("cgroup.procs").exists(), "{controller:?}: {place:?}");
            }
        }
    }
}
