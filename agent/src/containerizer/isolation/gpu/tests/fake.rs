//! A machine with GPUs that are not there: the fake library, built by the system's C compiler, and what it tells.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::super::Driver;

/// A library of its own for each test: what one does is not seen by another.
pub(super) struct Fake {
    place: TempDir,
    lines: Vec<String>,
}

/// The built library, or why there is none.
fn built(flags: &'static [&'static str]) -> Result<Vec<u8>, String> {
    static FULL: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    static BARE: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let build = || {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let library = place.path().join("fake.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_nvml.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-w"]).args(flags).arg("-o").arg(&library).args([source, "-ldl"]);
        let done = cc.output().map_err(|error| format!("no C compiler: {error}"))?;
        match done.status.success() {
            true => fs::read(&library).map_err(|error| error.to_string()),
            false => panic!("{}", String::from_utf8_lossy(&done.stderr)),
        }
    };
    let kept = if flags.is_empty() { &FULL } else { &BARE };
    kept.get_or_init(build).clone()
}

impl Fake {
    /// A machine with these lines; `None`, with a line that says so, where the library can't be built.
    pub(super) fn new(lines: &[&str]) -> Option<Self> {
        Self::with(lines, &[])
    }

    /// With a library that holds nothing but how to begin.
    pub(super) fn bare() -> Option<Self> {
        Self::with(&[], &["-DBARE"])
    }

    fn with(lines: &[&str], flags: &'static [&'static str]) -> Option<Self> {
        let library = match built(flags) {
            Ok(library) => library,
            Err(why) => {
                eprintln!("SKIPPED: {why}");
                return None;
            }
        };
        let place = tempfile::tempdir().unwrap();
        let fake = Self { place, lines: lines.iter().map(|line| (*line).to_owned()).collect() };
        fs::write(fake.library(), library).unwrap();
        fake.write();
        Some(fake)
    }

    /// So many GPUs, each near to the one beside it: 0 to 1, 2 to 3.
    pub(super) fn with_gpus(count: u32) -> Option<Self> {
        let mut fake = Self::new(&["driver version=550.54.15"])?;
        for index in 0..count {
            fake.lines.push(gpu(index));
            for other in 0..index {
                let (level, links) = if other == index - 1 && index % 2 == 1 { (10, 2) } else { (50, 0) };
                fake.lines.push(format!("link a={other} b={index} level={level} nvlinks={links}"));
            }
        }
        fake.write();
        Some(fake)
    }

    pub(super) fn library(&self) -> PathBuf {
        self.place.path().join("libnvidia-ml.so.1")
    }

    pub(super) fn driver(&self) -> Driver {
        Driver::open(Some(&self.library())).unwrap()
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: &str) {
        self.lines.push(line.to_owned());
        self.write();
    }

    /// Takes lines that begin so away.
    pub(super) fn remove(&mut self, start: &str) {
        self.lines.retain(|line| !line.starts_with(start));
        self.write();
    }

    /// Changes a field of a GPU.
    pub(super) fn set(&mut self, index: u32, field: &str, value: u64) {
        let start = format!("gpu index={index} ");
        for line in self.lines.iter_mut().filter(|line| line.starts_with(&start)) {
            let fields = line.split(' ').map(|part| match part.split_once('=') {
                Some((name, _)) if name == field => format!("{name}={value}"),
                _ => part.to_owned(),
            });
            *line = fields.collect::<Vec<_>>().join(" ");
        }
        self.write();
    }

    /// In one step: the library reads at any moment.
    fn write(&self) {
        let name = self.library().with_extension("1.txt");
        let new = self.place.path().join("new");
        fs::write(&new, self.lines.join("\n") + "\n").unwrap();
        fs::rename(new, name).unwrap();
    }
}

/// The UUID of a GPU.
pub(super) fn uuid(index: u32) -> String {
    format!("GPU-00000000-0000-0000-0000-{index:012}")
}

fn gpu(index: u32) -> String {
    format!(
        "gpu index={index} uuid={} minor={index} name=Fake_H200 bus=00000000:{index:02X}:00.0 numa=0 mem=16000 used=10 util=5 \
         temp=40 power=70000 ecc=1 dbe=0 energy=1000 mig=0 rc=0",
        uuid(index)
    )
}
