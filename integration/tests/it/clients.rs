//! Mesos clients that nobody here wrote, unmodified, against a master and an agent as processes: pymesos from PyPI,
//! mesos-framework from npm.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::daemons::{Daemons, target};

/// How long a script may take before it gives up by itself.
const SECONDS: &str = "60";
/// Unpacks the pure part of a package that has a compiled one as well, which later versions of Python refuse.
const UNPACK: &str = "
import glob, sys, sysconfig, tarfile
with tarfile.open(glob.glob(sys.argv[1] + '/http[-_]parser-*.tar.gz')[0]) as package:
    for member in package.getmembers():
        inner = member.name.split('/', 1)[-1]
        if inner.startswith('http_parser/') and inner.endswith('.py'):
            member.name = inner
            package.extract(member, sysconfig.get_path('purelib'))
";

#[test]
fn pymesos_runs_tasks() {
    run("pymesos_tasks.py", &["8", SECONDS]);
}

#[test]
fn pymesos_asks_about_a_task_and_kills_it() {
    run("pymesos_kill.py", &[SECONDS]);
}

#[test]
fn pymesos_sees_a_task_fall_ill() {
    run("pymesos_health.py", &[SECONDS]);
}

#[test]
fn pymesos_has_an_executor_of_its_own() {
    run("pymesos_executor.py", &[SECONDS]);
}

#[test]
fn mesos_framework_runs_tasks() {
    run_with(node_client(), "mesos_framework.js", &[SECONDS]);
}

fn run(script: &str, arguments: &[&str]) {
    run_with(client(), script, arguments);
}

/// Runs a script by an interpreter that knows its client; skips it aloud where there is none.
fn run_with(interpreter: Result<&Path, String>, script: &str, arguments: &[&str]) {
    let interpreter = match interpreter {
        Ok(interpreter) => interpreter,
        Err(reason) => {
            println!("SKIPPED: {script}: {reason}");
            return;
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let daemons = Daemons::start(directory.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut command = Command::new(interpreter);
    command.current_dir(directory.path()).env("NODE_PATH", node_modules());
    let output = command.arg(script).arg(daemons.address.to_string()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}\n{}", text(&output), sandboxes(&directory.path().join("agent")));
}

/// The interpreter that knows the client; why there is none.
fn client() -> Result<&'static Path, String> {
    static CLIENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    CLIENT.get_or_init(install).as_deref().map_err(Clone::clone)
}

fn install() -> Result<PathBuf, String> {
    let folder = target().join("clients/pymesos-0.3.15");
    let (python, done) = (folder.join("bin/python3"), folder.join("complete"));
    if done.exists() {
        return Ok(python);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let folder = folder.display().to_string();
    let sources = format!("{folder}/sources");
    does("python3", &["-m", "venv", &folder])?;
    let own = python.display().to_string();
    let pip = |arguments: &[&str]| does(&own, &[&["-m", "pip", "--quiet"], arguments].concat());
    pip(&["install", "six", "addict", "kazoo"])?;
    pip(&["install", "--no-deps", "pymesos==0.3.15"])?;
    pip(&["download", "--no-deps", "--no-binary", ":all:", "http-parser==0.9.0", "--dest", &sources])?;
    does(&own, &["-c", UNPACK, &sources])?;
    does(&own, &["-c", "import pymesos"])?;
    std::fs::write(&done, "").map_err(|error| error.to_string())?;
    Ok(python)
}

/// An interpreter whose `NODE_PATH` holds the client.
fn node_client() -> Result<&'static Path, String> {
    static CLIENT: OnceLock<Result<(), String>> = OnceLock::new();
    let installed = CLIENT.get_or_init(|| {
        let folder = target().join("clients/mesos-framework-0.5.3");
        if folder.join("complete").exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let prefix = folder.display().to_string();
        does(
            "npm",
            &["install", "--prefix", &prefix, "--no-save", "--ignore-scripts", "mesos-framework@0.5.3"],
        )?;
        std::fs::write(folder.join("complete"), "").map_err(|error| error.to_string())
    });
    installed.clone().map(|()| Path::new("node"))
}

fn node_modules() -> PathBuf {
    target().join("clients/mesos-framework-0.5.3/node_modules")
}

fn does(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program} can't be run: {error}"))?;
    let last = || text(&output).lines().last().unwrap_or_default().to_owned();
    output
        .status
        .success()
        .then_some(())
        .ok_or_else(|| format!("{program} {}: {}", arguments.join(" "), last()))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// What executors have written.
fn sandboxes(folder: &Path) -> String {
    let mut said = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.ends_with("stdout") || path.ends_with("stderr") {
                said +=
                    &format!("{}:\n{}\n", path.display(), std::fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    said
}
