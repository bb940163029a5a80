//! GPUs of a real agent, as a fake of the driver's library tells of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use protocol::{Reason, TaskState};

use super::site::{Site, pause};
use super::work::Work;

/// Two GPUs that are not there.
pub(super) struct Gpus {
    place: tempfile::TempDir,
    pub(super) lines: Vec<String>,
}

impl Gpus {
    /// `None`, with a line that says so, where the library can't be built.
    pub(super) fn new() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fake_nvml.c");
        let lines = vec!["driver version=550.54.15".to_owned(), gpu(0), gpu(1)];
        let gpus = Self { place, lines };
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-o"])
            .arg(gpus.library())
            .arg(source)
            .arg("-ldl")
            .status();
        if !built.is_ok_and(|status| status.success()) {
            println!("SKIPPED: the fake library can't be built: no C compiler");
            return None;
        }
        gpus.write();
        Some(gpus)
    }

    fn library(&self) -> PathBuf {
        self.place.path().join("libnvidia-ml.so.1")
    }

    pub(super) fn flag(&self) -> String {
        format!("--nvml_library={}", self.library().display())
    }

    pub(super) fn write(&self) {
        let new = self.place.path().join("new");
        fs::write(&new, self.lines.join("\n") + "\n").unwrap();
        fs::rename(new, self.library().with_extension("1.txt")).unwrap();
    }
}

fn gpu(index: u32) -> String {
    format!(
        "gpu index={index} uuid=GPU-{index} minor={index} name=Fake bus=0000:0{index}:00.0 mem=1000 used=1 util=5 energy=1000 mig=0 dbe=0"
    )
}

/// A task that notes what it sees of GPUs, and stays until it is told.
pub(super) fn looks(site: &Site, id: &str) -> (PathBuf, String) {
    let seen = site.notes().join(format!("seen-{id}"));
    let go = site.notes().join(format!("go-{id}"));
    let script = format!(
        "echo $NVIDIA_VISIBLE_DEVICES/$CUDA_VISIBLE_DEVICES > {}; while [ ! -e {} ]; do sleep 0.05; done",
        seen.display(),
        go.display()
    );
    (seen, script)
}

pub(super) fn read(seen: &Path) -> String {
    loop {
        match fs::read_to_string(seen) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => pause(),
        }
    }
}

#[test]
fn tasks_own_gpus_through_a_crash_of_the_agent_until_one_falls_ill() {
    let Some(mut gpus) = Gpus::new() else { return };
    let flag = gpus.flag();
    let mut site = Site::start_with(&[&flag]);
    let work = Work::start(&site, "gpus", true);
    let mut owned = Vec::new();
    for (id, resources) in
        [("a", "cpus:0.1;mem:32;gpus:1"), ("b", "cpus:0.1;mem:32;gpus:1"), ("none", "cpus:0.1;mem:32")]
    {
        let (seen, script) = looks(&site, id);
        work.launch_with(id, resources, &script);
        work.wait_running(id);
        owned.push(read(&seen));
    }
    assert_eq!(owned, ["GPU-0/GPU-0", "GPU-1/GPU-1", "void/"]);
    site.kill_agent();
    site.start_agent(&[&flag], &[]);
    gpus.lines.push("event seq=1 gpu=0 type=8 data=31".into());
    gpus.lines.push("event seq=2 gpu=1 type=8 data=79".into());
    gpus.write();
    let heard = work.wait_over("b");
    let last = heard.statuses.last().unwrap();
    assert_eq!(
        (last.state, last.reason),
        (TaskState::Failed, Some(Reason::ContainerLimitation)),
        "{last:#?}"
    );
    let message = last.message.as_deref().unwrap_or_default();
    assert!(message.contains("GPU 1 (Fake, GPU-1)") && message.contains("XID 79"), "{message}");
    for id in ["a", "none"] {
        fs::write(site.notes().join(format!("go-{id}")), "").unwrap();
        let heard = work.wait_over(id);
        assert_eq!(heard.states().last(), Some(&TaskState::Finished), "{heard:#?}");
    }
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}
