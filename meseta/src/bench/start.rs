//! B16: from nothing to the first RUNNING task, and what the idle daemons weigh.

mod idle;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use libactor::Clock;

use super::report::percentiles_ms;
use super::{Effort, Figure};

/// What a line has that says that a task runs.
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
    let idle = idle::measure(&program, effort)?;
    let figure = |params: &str, value: f64, unit| Figure {
        name: "B16",
        params: params.into(),
        value,
        unit,
        percentiles_ms: None,
    };
    let mut figures = vec![
        Figure {
            percentiles_ms: percentiles_ms(times),
            ..figure(
                &format!("local, 2 agents, to the first RUNNING, {runs} runs"),
                median.as_secs_f64() * 1e3,
                "ms",
            )
        },
        figure("size of the program", size, "MB"),
    ];
    figures.extend(idle.iter().map(|(what, value, unit)| figure(what, *value, unit)));
    Ok(figures)
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
