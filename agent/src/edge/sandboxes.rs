//! Sandboxes among the served files. Each run of an executor is found under three names, as in Mesos: its real path, the real
//! path of `latest` beside it, and `/frameworks/<framework>/executors/<executor>/runs/latest`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libactor::files::Files;
use protocol::{ContainerId, ExecutorId, FrameworkId};

use crate::core::{Agent, ContainerSpec};

/// The sandboxes of the runs that the machine knows.
#[derive(Debug)]
pub(crate) struct Sandboxes {
    files: Files,
    work_dir: PathBuf,
    /// The same without symbolic links.
    real: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The newest run of each executor: there for as long as any run of the executor is known.
    latest: BTreeMap<(FrameworkId, ExecutorId), ContainerId>,
    /// Runs that are being launched, or looked for: where they will be, and their names.
    launching: BTreeMap<ContainerId, (PathBuf, [String; 3])>,
}

impl Sandboxes {
    pub(crate) fn new(files: Files, work_dir: PathBuf) -> Arc<Self> {
        // One that is not there has no sandboxes that could be served.
        let real = work_dir.canonicalize().unwrap_or_else(|_| work_dir.clone());
        Arc::new(Self { files, work_dir, real, known: Mutex::default() })
    }

    /// A run has been asked for.
    pub(crate) fn launch(&self, spec: &ContainerSpec) {
        self.begin(&spec.framework_id, &spec.executor.executor_id, &spec.container_id, &spec.sandbox);
    }

    /// The runs of an earlier life of the agent: they are served once it is known what has become of them.
    pub(crate) fn recover(&self, agent: &Agent) {
        for (framework_id, framework) in agent.frameworks() {
            for (executor_id, executor) in &framework.executors {
                self.begin(framework_id, executor_id, &executor.container_id, &executor.sandbox);
            }
        }
    }

    fn begin(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        container_id: &ContainerId,
        sandbox: &Path,
    ) {
        let names = self.names(framework_id, executor_id, sandbox);
        let mut known = self.lock();
        known.latest.insert((framework_id.clone(), executor_id.clone()), container_id.clone());
        known.launching.insert(container_id.clone(), (self.real.join(sandbox), names));
    }

    /// The newest run of an executor.
    pub(crate) fn latest(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> Option<ContainerId> {
        self.lock().latest.get(&(framework_id.clone(), executor_id.clone())).cloned()
    }

    /// The launch, or the search, has come to something. Nobody else makes anything on the way to a sandbox, so that no link is there.
    /// `made`: whether the sandbox certainly is; else the file system is asked, which may take long.
    pub(crate) fn attach(&self, container_id: &ContainerId, made: bool) {
        let Some((real, names)) = self.lock().launching.remove(container_id) else { return };
        if !made && !real.is_dir() {
            return tracing::debug!(%container_id, "there is no sandbox to be served");
        }
        for name in names {
            if let Err(error) = self.files.attach_known(&name, real.clone()) {
                tracing::debug!(%container_id, %error, "a sandbox can't be served");
                return;
            }
        }
    }

    /// A run is not known any more; `last`: no run of its executor is.
    pub(crate) fn forget(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        sandbox: &Path,
        last: bool,
    ) {
        let [own, latest, short] = self.names(framework_id, executor_id, sandbox);
        self.files.detach(&own);
        if last {
            self.files.detach(&latest);
            self.files.detach(&short);
            self.lock().latest.remove(&(framework_id.clone(), executor_id.clone()));
        }
    }

    fn names(&self, framework_id: &FrameworkId, executor_id: &ExecutorId, sandbox: &Path) -> [String; 3] {
        let real = self.work_dir.join(sandbox);
        let latest = real.with_file_name("latest");
        let short = format!("/frameworks/{framework_id}/executors/{executor_id}/runs/latest");
        [real.to_string_lossy().into_owned(), latest.to_string_lossy().into_owned(), short]
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use protocol::{CommandInfo, ExecutorInfo, Resources};

    use super::*;

    fn spec(run: &str) -> ContainerSpec {
        ContainerSpec {
            container_id: run.into(),
            framework_id: "F".into(),
            executor: ExecutorInfo::new("e", CommandInfo::shell("")),
            command_executor: false,
            sandbox: PathBuf::from("executors/e/runs").join(run),
            user: None,
            environment: Vec::new(),
            resources: Resources::new(),
            container: None,
        }
    }

    #[test]
    fn the_latest_run_is_found_under_three_names_until_it_is_forgotten() {
        let work_dir = tempfile::tempdir().unwrap();
        let files = Files::new();
        let sandboxes = Sandboxes::new(files.clone(), work_dir.path().to_path_buf());
        let (framework_id, executor_id) = ("F".into(), "e".into());
        let real = |run: &str| work_dir.path().join("executors/e/runs").join(run).display().to_string();
        for run in ["one", "two"] {
            let spec = spec(run);
            std::fs::create_dir_all(work_dir.path().join(&spec.sandbox)).unwrap();
            sandboxes.launch(&spec);
            sandboxes.attach(&spec.container_id, true);
            assert_eq!(sandboxes.latest(&framework_id, &executor_id), Some(run.into()));
        }
        let short = "/frameworks/F/executors/e/runs/latest".to_owned();
        let served = files.debug();
        assert_eq!(
            served.keys().cloned().collect::<Vec<_>>(),
            [short.clone(), real("latest"), real("one"), real("two")]
        );
        assert!(served[&short].ends_with("/two") && served[&real("latest")].ends_with("/two"));
        sandboxes.forget(&framework_id, &executor_id, &spec("one").sandbox, false);
        assert!(!files.debug().contains_key(&real("one")));
        sandboxes.forget(&framework_id, &executor_id, &spec("two").sandbox, true);
        assert!(files.debug().is_empty());
        assert_eq!(sandboxes.latest(&framework_id, &executor_id), None);
    }

    #[test]
    fn a_sandbox_that_could_not_be_made_is_not_served() {
        let work_dir = tempfile::tempdir().unwrap();
        let files = Files::new();
        let sandboxes = Sandboxes::new(files.clone(), work_dir.path().to_path_buf());
        sandboxes.launch(&spec("one"));
        sandboxes.attach(&"one".into(), false);
        sandboxes.attach(&"nobody".into(), true);
        assert!(files.debug().is_empty());
    }
}
