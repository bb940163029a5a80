//! A containerizer with isolators, and its containers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use agent::containerizer::isolation::cgroups::CgroupSettings;
use agent::containerizer::{
    ContainerEvent, Containerizer, LauncherKind, Meter, ProcessConfig, ProcessContainerizer, Usage,
};
use agent::core::{ContainerEnd, ContainerSpec, Found};
use protocol::{CommandInfo, ContainerId, ExecutorInfo};
use tokio::sync::mpsc::Receiver;

const LAUNCHER: &str = env!("CARGO_BIN_EXE_agent-launch");
/// Far longer than anything here takes: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at what a container uses.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct World {
    directory: tempfile::TempDir,
    pub(super) containerizer: ProcessContainerizer,
    events: Receiver<ContainerEvent>,
    root: String,
}

impl World {
    /// `None`, said aloud, where the machine has not what is needed.
    pub(super) fn new(isolation: &str, settings: CgroupSettings) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self::within(directory, isolation, settings)
    }

    fn within(directory: tempfile::TempDir, isolation: &str, settings: CgroupSettings) -> Option<Self> {
        let name = directory.path().file_name().unwrap().to_string_lossy();
        let root = format!("meseta-test-{}", name.trim_start_matches('.'));
        let mut config = ProcessConfig::new(directory.path().join("work")).unwrap();
        config.launcher = vec![LAUNCHER.into()];
        config.kind = LauncherKind::Cgroup;
        config.cgroups_root.clone_from(&root);
        config.isolation = isolation.to_owned();
        config.settings.cgroups = settings;
        match ProcessContainerizer::new(config) {
            Ok((containerizer, events)) => Some(Self { directory, containerizer, events, root }),
            Err(error) => {
                remove(&root);
                eprintln!("SKIPPED: {error}");
                None
            }
        }
    }

    /// Starts a script; the id of its container and its process.
    pub(super) async fn start(&mut self, name: &str, resources: &str, script: &str) -> (ContainerId, u32) {
        let id = ContainerId::from(format!("{}-{name}", self.root).as_str());
        self.containerizer.launch(ContainerSpec {
            container_id: id.clone(),
            framework_id: "F".into(),
            environment: Vec::new(),
            executor: ExecutorInfo::new("e", CommandInfo::shell(script)),
            command_executor: false,
            sandbox: self.sandbox(&id).strip_prefix(self.directory.path().join("work")).unwrap().to_owned(),
            user: None,
            resources: resources.parse().unwrap(),
            container: None,
        });
        match self.event().await {
            ContainerEvent::Launched { container_id, result } if container_id == id => (id, result.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// What is left when the agent goes away with its runtime.
    pub(super) fn away(self) -> tempfile::TempDir {
        self.directory
    }

    /// The agent comes back to that, with other settings, and looks for its containers.
    pub(super) async fn again(
        directory: tempfile::TempDir,
        isolation: &str,
        settings: CgroupSettings,
        containers: Vec<ContainerId>,
    ) -> (Self, BTreeMap<ContainerId, Found>) {
        let mut world = Self::within(directory, isolation, settings).expect("it could before");
        world.containerizer.recover(containers, false);
        match world.event().await {
            ContainerEvent::Recovered { containers } => (world, containers),
            other => panic!("{other:?}"),
        }
    }

    async fn event(&mut self) -> ContainerEvent {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event comes").expect("the containerizer lives")
    }

    /// The end of a container, the next event there is.
    pub(super) async fn ended(&mut self, id: &ContainerId) -> ContainerEnd {
        match self.event().await {
            ContainerEvent::Exited { container_id, end } if container_id == *id => end,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn destroy(&mut self, id: &ContainerId) -> ContainerEnd {
        self.containerizer.destroy(id);
        let end = self.ended(id).await;
        assert_eq!((&end.message, &end.limitation), (&None, &None), "{id}");
        end
    }

    pub(super) fn sandbox(&self, id: &ContainerId) -> PathBuf {
        self.directory.path().join("work/executors/e/runs").join(id.as_str())
    }

    pub(super) fn stdout(&self, id: &ContainerId) -> String {
        fs::read_to_string(self.sandbox(id).join("stdout")).unwrap_or_default()
    }

    /// What the kernel holds in the first of these files that a container has, in any hierarchy.
    pub(super) fn held(&self, id: &ContainerId, files: &[&str]) -> String {
        let own =
            directories(&self.root).into_iter().flat_map(|path| fs::read_dir(path).into_iter().flatten());
        let mut groups = own.flatten().map(|own| own.path().join(id.as_str())).filter(|path| path.is_dir());
        let found =
            groups.find_map(|path| files.iter().find_map(|file| fs::read_to_string(path.join(file)).ok()));
        found.unwrap_or_else(|| panic!("{id} has none of {files:?}")).trim_end().to_owned()
    }

    /// Which files of this world's cgroups this process holds open.
    pub(super) fn open(&self) -> Vec<PathBuf> {
        let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().contains(&self.root)).collect()
    }

    /// What a container uses now.
    pub(super) fn usage(&self, container: &(ContainerId, u32)) -> Usage {
        let meter = self.containerizer.meter().unwrap();
        let mut all = Meter::read(&*meter, std::slice::from_ref(container));
        all.remove(&container.0).unwrap_or_else(|| panic!("{} is measured", container.0))
    }

    /// Looks at a container until it is as it should be.
    pub(super) async fn until(&self, container: &(ContainerId, u32), is: impl Fn(&Usage) -> bool) -> Usage {
        let looking = async {
            loop {
                let usage = self.usage(container);
                if is(&usage) {
                    return usage;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(usage) => usage,
            Err(_) => panic!("{} stays as it is: {:?}", container.0, self.usage(container)),
        }
    }

    /// Waits for a line of a container.
    pub(super) async fn says(&self, id: &ContainerId, line: &str) {
        let looking = async {
            while !self.stdout(id).lines().any(|one| one == line) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, looking).await.is_err() {
            panic!("no '{line}' in {:?}", self.stdout(id));
        }
    }

    /// Ends it, and looks whether anything of it is left in any hierarchy.
    pub(super) fn end(self) {
        let Self { directory, containerizer, events, root } = self;
        drop((containerizer, events, directory));
        let left: Vec<PathBuf> = directories(&root)
            .into_iter()
            .flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten())
            .flat_map(|own| fs::read_dir(own.path()).into_iter().flatten().flatten())
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        remove(&root);
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

/// The directories of a test in all hierarchies.
fn directories(root: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let groups =
        mounts.lines().filter(|line| line.split(' ').nth(2).is_some_and(|kind| kind.starts_with("cgroup")));
    groups.filter_map(|line| Some(PathBuf::from(line.split(' ').nth(1)?).join(root))).collect()
}

fn remove(root: &str) {
    for path in directories(root) {
        for own in fs::read_dir(&path).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(own.path());
        }
        let _ = fs::remove_dir(path);
    }
}
