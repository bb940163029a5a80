//! What a master and an agent weigh that have nothing to do.

use std::error::Error;
use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use libactor::Clock;

use super::{Effort, lines_of, wait_for};
use crate::runtime;

/// Lines that say where a daemon is, and that an agent is registered.
const LISTENING: &str = "listening on ";
const REGISTERED: &str = "registered agent_id=";
/// Ticks of `/proc/<pid>/stat` in a second: what Linux shows to programs, whatever it ticks by itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// What was measured, how much, and its unit.
pub(super) type Measured = Vec<(String, f64, &'static str)>;

/// A master, and an agent that is registered with it, each with the processes that it has started for itself.
pub(super) fn measure(program: &Path, effort: Effort) -> Result<Measured, Box<dyn Error>> {
    let seconds = match effort {
        Effort::Quick => 8,
        Effort::Full => 30,
    };
    let directory = std::env::temp_dir().join(format!("meseta-bench-{}", std::process::id()));
    let measured = of_daemons(program, &directory, Duration::from_secs(seconds));
    if let Err(error) = fs::remove_dir_all(&directory) {
        tracing::warn!(%error, directory = %directory.display(), "a directory of the benchmark stays");
    }
    measured
}

fn of_daemons(program: &Path, directory: &Path, time: Duration) -> Result<Measured, Box<dyn Error>> {
    let path = |name: &str| format!("--work_dir={}", directory.join(name).display());
    let common = ["--ip=127.0.0.1".to_owned(), "--port=0".to_owned()];
    let words = [&["master".to_owned(), path("master")], &common[..]].concat();
    let (master, mut lines) = daemon(program, &words)?;
    let pid = wait_for(&mut lines, LISTENING)?;
    let words = [&["agent".to_owned(), path("agent"), format!("--master={pid}")], &common[..]].concat();
    let (agent, mut lines) = daemon(program, &words)?;
    wait_for(&mut lines, REGISTERED)?;
    let (master, agent) = (master.0.id(), agent.0.id());
    let before = (ticks(&family(master)?)?, ticks(&family(agent)?)?);
    let clock = Clock::real();
    runtime::block_on(async {
        clock.sleep_until(clock.now() + time).await;
        Ok::<(), std::io::Error>(())
    })?;
    let (masters, agents) = (family(master)?, family(agent)?);
    let busy = |ticks: u64| ticks as f64 / TICKS_PER_SECOND / time.as_secs_f64() * 100.0;
    let over = format!("over {} s", time.as_secs());
    let mut measured = vec![
        ("resident memory of an idle master".to_owned(), resident_mib(master)?, "MiB"),
        ("resident memory of an idle agent".to_owned(), resident_mib(agent)?, "MiB"),
        (format!("CPU of an idle master, {over}"), busy(ticks(&masters)? - before.0), "% of a core"),
        (format!("CPU of an idle agent, {over}"), busy(ticks(&agents)? - before.1), "% of a core"),
    ];
    if let [_, helpers @ ..] = agents.as_slice()
        && !helpers.is_empty()
    {
        let own = helpers.iter().map(|pid| private_mib(*pid)).sum::<Result<f64, _>>()?;
        let what =
            format!("memory that the {} helper process(es) of an idle agent do not share", helpers.len());
        measured.push((what, own, "MiB"));
    }
    Ok(measured)
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

/// A process, and after it those that descend from it.
fn family(first: u32) -> Result<Vec<u32>, Box<dyn Error>> {
    let mut all = vec![first];
    let mut at = 0;
    while let Some(pid) = all.get(at) {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let children = fs::read_to_string(thread?.path().join("children"))?;
            all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        at += 1;
    }
    Ok(all)
}

/// Time on CPUs.
fn ticks(processes: &[u32]) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for pid in processes {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = text.rsplit_once(") ").ok_or("a line of /proc that can't be read")?;
        let mut fields = fields.split_ascii_whitespace().skip(11);
        for _ in 0..2 {
            sum += fields.next().ok_or("a short line of /proc")?.parse::<u64>()?;
        }
    }
    Ok(sum)
}

fn resident_mib(pid: u32) -> Result<f64, Box<dyn Error>> {
    mib_of(&fs::read_to_string(format!("/proc/{pid}/status"))?, &["VmRSS:"])
}

fn private_mib(pid: u32) -> Result<f64, Box<dyn Error>> {
    mib_of(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?, &["Private_Clean:", "Private_Dirty:"])
}

/// MiB in the lines of some names, together.
fn mib_of(text: &str, names: &[&str]) -> Result<f64, Box<dyn Error>> {
    let mut sum = 0.0;
    for name in names {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).ok_or("a line is missing in /proc")?;
        sum += line.trim().trim_end_matches(" kB").parse::<f64>()?;
    }
    Ok(sum / 1024.0)
}
