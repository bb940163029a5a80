//! B16: from nothing to the first RUNNING task, and what the idle daemons weigh.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use libactor::Clock;

use super::report::percentiles_ms;
use super::{Effort, Figure};

/// Lines that say where a daemon is, and that a task runs.
const LISTENING: &str = "listening on ";
const REGISTERED: &str = "registered agent_id=";
const RUNNING: &str = "TASK_RUNNING";

pub(super) fn run(effort: Effort) -> Result<Vec<Figure>, Box<dyn Error>> {
    let runs = match effort {
        Effort::Quick => 5,
        Effort::Full => 25,
    };
    let program = std::env::current_exe()?;
    let mut times = (0..runs).map(|_| first_running(&program)).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    let median = times[times.len() / 2];
    let size = std::fs::metadata(&program)?.len() as f64 / 1e6;
    let (master, agent) = idle_memory(&program)?;
    let figure = |params: &str, value: f64, unit| Figure {
        name: "B16",
        params: params.into(),
        value,
        unit,
        percentiles_ms: None,
    };
    Ok(vec![
        Figure {
            percentiles_ms: percentiles_ms(times),
            ..figure(
                &format!("local, 2 agents, to the first RUNNING, {runs} runs"),
                median.as_secs_f64() * 1e3,
                "ms",
            )
        },
        figure("size of the program", size, "MB"),
        figure("resident memory of an idle master", master, "MiB"),
        figure("resident memory of an idle agent", agent, "MiB"),
    ])
}

fn first_running(program: &Path) -> Result<Duration, Box<dyn Error>> {
    let clock = Clock::real();
    let begin = clock.now();
    let mut child = Command::new(program)
        .args(["local", "--run=true", "--verbose", "--logging_level=ERROR"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = lines_of(&mut child)?;
    wait_for(&mut lines, RUNNING)?;
    let elapsed = clock.now().since(begin);
    // The rest is read so that the child is not stopped by a full pipe.
    std::io::copy(&mut lines, &mut std::io::sink())?;
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("'meseta local --run=true' ended with {status}").into());
    }
    Ok(elapsed)
}

fn lines_of(child: &mut Child) -> Result<BufReader<ChildStderr>, Box<dyn Error>> {
    child.stderr.take().map(BufReader::new).ok_or_else(|| "the child has no standard error".into())
}

/// Reads lines up to one that has a text in it; says what follows the text.
fn wait_for(lines: &mut BufReader<ChildStderr>, text: &str) -> Result<String, Box<dyn Error>> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(format!("the child ended without '{text}'; it said: {said}").into());
        }
        if let Some((_, rest)) = line.split_once(text) {
            return Ok(rest.split_whitespace().next().unwrap_or_default().to_owned());
        }
        said.push_str(&line);
    }
}

/// A daemon that ends with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself: nothing is left to do then.
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

fn daemon(program: &Path, words: &[String]) -> Result<(Daemon, BufReader<ChildStderr>), Box<dyn Error>> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let lines = lines_of(&mut child)?;
    Ok((Daemon(child), lines))
}

/// MiB of a master and of an agent that is registered with it.
fn idle_memory(program: &Path) -> Result<(f64, f64), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("meseta-bench-{}", std::process::id()));
    let path = |name: &str| format!("--work_dir={}", directory.join(name).display());
    let common = ["--ip=127.0.0.1".to_owned(), "--port=0".to_owned()];
    let measured = (|| {
        let words = [&["master".to_owned(), path("master")], &common[..]].concat();
        let (master, mut lines) = daemon(program, &words)?;
        let pid = wait_for(&mut lines, LISTENING)?;
        let words = [&["agent".to_owned(), path("agent"), format!("--master={pid}")], &common[..]].concat();
        let (agent, mut lines) = daemon(program, &words)?;
        wait_for(&mut lines, REGISTERED)?;
        Ok((resident_mib(master.0.id())?, resident_mib(agent.0.id())?))
    })();
    if let Err(error) = std::fs::remove_dir_all(&directory) {
        tracing::warn!(%error, directory = %directory.display(), "a directory of the benchmark stays");
    }
    measured
}

fn resident_mib(pid: u32) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
